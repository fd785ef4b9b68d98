"""What can be wrong with `[nix]` beyond the words of provenance.toml: a line for each mistake."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from ...provenance.errors import did_you_mean, quoted
from . import BUILDER
from .packages import matches
from .units import names_of, patterns_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...provenance.config import Nix
    from .packages import Evaluation

_FIT = re.compile(r"[A-Za-z0-9_+'.-]+\Z")
_COMPARED = 1000


def is_fit(name: str) -> bool:
    """Tell whether a package's name can be part of an artifact's id, and be named in provenance.toml."""
    return bool(_FIT.match(name)) and name not in {".", ".."}


def settings(config: Nix) -> Iterator[str]:
    """Yield what is wrong before anything is evaluated, as `nix.attributes: …`."""
    if config.file and not config.attributes:
        yield "nix.attributes: missing; it says what of `nix.file` ships"
    if config.attributes and not config.file:
        yield "nix.file: missing; `nix.attributes` are attributes of an expression in a file"


def mistakes(config: Nix, evaluation: Evaluation) -> Iterator[str]:
    """Yield what is wrong with the packages that Nix has found."""
    yield from _idle(config, evaluation)
    seen: set[tuple[str, str]] = set()
    for package in evaluation.packages:
        name = package.name
        if (name, package.system) in seen:
            yield f"nix.attributes: {quoted(name)} is the name of a package of the flake too; leave one out"
        seen.add((name, package.system))
        if package.derivation is None:
            yield f"nix.packages: {quoted(name)} of {package.system} is no derivation; leave it out with `exclude`"
        elif not is_fit(name):
            yield f"nix.packages: {quoted(name)} can't be part of an artifact's id; leave it out with `exclude`"
    for name in dict.fromkeys(name for name, _ in seen):
        yield from _parts(config, name)
    yield from _folders(config, seen)


def _idle(config: Nix, evaluation: Evaluation) -> Iterator[str]:
    """Yield globs that stand for nothing: a slip of the pen, and something would not ship."""
    names = list(dict.fromkeys(name for listed in evaluation.names.values() for name in listed))
    chosen = {package.name for package in evaluation.packages}
    systems = ", ".join(evaluation.names)
    for index, glob in enumerate(config.packages):
        if not any(matches([glob], name) for name in names):
            guess = did_you_mean(glob, islice(names, _COMPARED))
            yield f"nix.packages[{index}]: {quoted(glob)} matches no package of the flake for {systems}{guess}"
    globs = [
        *((f"nix.files[{index}]", entry.partition("/")[0]) for index, entry in enumerate(config.files)),
        *((f"nix.images[{index}]", glob) for index, glob in enumerate(config.images)),
    ]
    for at, glob in globs:
        if not any(matches([glob], name) for name in chosen):
            guess = did_you_mean(glob, islice(chosen, _COMPARED))
            yield f"{at}: {quoted(glob)} matches no package that ships{guess}"


def _parts(config: Nix, name: str) -> Iterator[str]:
    patterns = patterns_of(config, name)
    if patterns and matches(config.images, name):
        yield f"nix.files: {quoted(name)} is one of `nix.images`, which ship as a whole"
    elif len(patterns) > 1:
        named: dict[str, str] = {}
        for pattern, artifact in zip(patterns, names_of(config, name), strict=True):
            if artifact.endswith("/"):
                yield f"nix.files: {quoted(pattern)} names its artifact by wildcards alone; write a part of its name"
            elif artifact in named:
                both = f"{quoted(named[artifact])} and {quoted(pattern)}"
                yield f"nix.files: {both} would both be the artifact `{BUILDER}:{artifact}`; let their names differ"
            named.setdefault(artifact, pattern)


def _folders(config: Nix, packages: set[tuple[str, str]]) -> Iterator[str]:
    """Yield artifacts that would lie in one folder of the output folder."""
    folders: dict[tuple[str, str], str] = {}
    for name, system in sorted(packages):
        for artifact in [name] if matches(config.images, name) else names_of(config, name):
            other = folders.setdefault((artifact.replace("/", "-"), system), artifact)
            if other != artifact:
                both = f"the artifacts `{BUILDER}:{artifact}` and `{BUILDER}:{other}`"
                yield f"nix.files: {both} would have one folder; leave one out"
