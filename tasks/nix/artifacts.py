"""The artifacts of each package in `[nix]`: their names, their inputs, and what can be wrong with the table."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ...provenance.errors import did_you_mean, quoted
from ...provenance.record import IMAGE
from ..artifacts import Artifact, Form, part
from ..freshness.inputs import ABSENT, Declared, Kind, key
from . import BUILDER
from .evaluation import matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...provenance.config import Nix
    from ..workspace import Workspace
    from .evaluation import Evaluation, NixPackage

ANY_FILE = "*"
"""The name of a file that is known only after the build."""
DERIVATION = key(Kind.RESOLUTION, "derivation")
_FILE, _ANNOTATIONS, _REBUILD, _BUILD_INVENTORY = (
    key(Kind.SETTING, name) for name in ("file", "annotations", "rebuild", "build-inventory")
)
_VALID_NAME = re.compile(r"[A-Za-z0-9_+'.-]+\Z")
_COMPARED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class NixArtifact:
    """One artifact of a package.

    Attributes:
        pattern: of its file, relative to the output; `None`: the output itself, or the only file in its `bin`.
    """

    artifact: Artifact
    package: NixPackage
    pattern: str | None


def artifacts_of(config: Nix, evaluation: Evaluation) -> list[NixArtifact]:
    """Return all artifacts, images last, as they contain the others."""
    listed = [artifact for package in evaluation.packages for artifact in _artifacts(config, package, ())]
    files = [each for each in listed if each.artifact.form is Form.FILE]
    images = [each.package for each in listed if each.artifact.form is Form.IMAGE]
    return [*files, *(image for package in images for image in _artifacts(config, package, _upstream(package, files)))]


def _upstream(image: NixPackage, files: Sequence[NixArtifact]) -> tuple[str, ...]:
    """Return the artifacts whose derivations an image is built from: its layers may contain them."""
    return tuple(file.artifact.id for file in files if file.package.derivation in image.requisites)


def _artifacts(config: Nix, package: NixPackage, upstream: tuple[str, ...]) -> Iterator[NixArtifact]:
    is_image = matches(config.images, package.name)
    patterns: Sequence[str | None] = [None] if is_image else _patterns(config, package.name) or [None]
    names = [package.name] if is_image else _names(config, package.name)
    for name, pattern in zip(names, patterns, strict=True):
        yield NixArtifact(
            artifact=Artifact(
                builder=BUILDER,
                name=name,
                platform=package.system,
                group=f"{BUILDER}:{package.system}",  # one call of nix builds all packages of a system
                file=IMAGE if is_image else ANY_FILE if pattern is None else pattern.rpartition("/")[2],
                form=Form.IMAGE if is_image else Form.FILE,
                upstream=upstream,
            ),
            package=package,
            pattern=pattern,
        )


def _patterns(config: Nix, package: str) -> list[str]:
    """Return the patterns of a package's files that ship; none: see `NixArtifact.pattern`."""
    entries = (entry.partition("/") for entry in config.files)
    return [pattern for glob, _, pattern in entries if matches([glob], package)]


def _names(config: Nix, package: str) -> list[str]:
    """Return the names of a package's artifacts, in the order of `_patterns`."""
    patterns = _patterns(config, package)
    return [f"{package}/{part(pattern)}" for pattern in patterns] if len(patterns) > 1 else [package]


def declare(workspace: Workspace, artifact: NixArtifact) -> Declared:
    """Return the inputs of an artifact: its derivation, and which file of the output ships.

    Equal derivations have equal outputs, whatever else changed in the source tree; so no file is an input.
    """
    config = workspace.config.nix
    values = {
        DERIVATION: artifact.package.derivation or ABSENT,
        _FILE: json.dumps([artifact.package.output, artifact.pattern]),
    }
    if artifact.artifact.form is Form.IMAGE:
        from ..images.annotations import as_input

        values[_ANNOTATIONS] = as_input(workspace, artifact.artifact.name, {})
    if config.rebuild:
        values[_REBUILD] = "true"
    if config.build_inventory:
        values[_BUILD_INVENTORY] = "true"
    return Declared(values=values)


def is_valid_name(name: str) -> bool:
    """Tell whether a package's name can be part of an artifact's id, and be written in provenance.toml."""
    return bool(_VALID_NAME.match(name)) and name not in {".", ".."}


def table_errors(config: Nix) -> Iterator[str]:
    """Yield what is wrong with the table before any evaluation, as `nix.attributes: …`."""
    if config.file and not config.attributes:
        yield "nix.attributes: missing; it says what of `nix.file` ships"
    if config.attributes and not config.file:
        yield "nix.file: missing; `nix.attributes` are attributes of an expression in a file"


def package_errors(config: Nix, evaluation: Evaluation) -> Iterator[str]:
    """Yield what is wrong with the evaluated packages, a line each."""
    yield from _unmatched(config, evaluation)
    seen: set[tuple[str, str]] = set()
    for package in evaluation.packages:
        name = package.name
        if (name, package.system) in seen:
            yield f"nix.attributes: {quoted(name)} is the name of a package of the flake too; leave one out"
        seen.add((name, package.system))
        if package.derivation is None:
            yield f"nix.packages: {quoted(name)} of {package.system} is no derivation; leave it out with `exclude`"
        elif not is_valid_name(name):
            yield f"nix.packages: {quoted(name)} can't be part of an artifact's id; leave it out with `exclude`"
    for name in dict.fromkeys(name for name, _ in seen):
        yield from _file_errors(config, name)
    yield from _shared_folders(config, seen)


def _unmatched(config: Nix, evaluation: Evaluation) -> Iterator[str]:
    """Yield globs that match nothing: because of a typo something would not ship."""
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
    for where, glob in globs:
        if not any(matches([glob], name) for name in chosen):
            guess = did_you_mean(glob, islice(chosen, _COMPARED))
            yield f"{where}: {quoted(glob)} matches no package that ships{guess}"


def _file_errors(config: Nix, package: str) -> Iterator[str]:
    patterns = _patterns(config, package)
    if patterns and matches(config.images, package):
        yield f"nix.files: {quoted(package)} is one of `nix.images`, which ship as a whole"
    elif len(patterns) > 1:
        named: dict[str, str] = {}
        for pattern, artifact in zip(patterns, _names(config, package), strict=True):
            if artifact.endswith("/"):
                yield f"nix.files: {quoted(pattern)} names its artifact by wildcards alone; write a part of its name"
            elif artifact in named:
                both = f"{quoted(named[artifact])} and {quoted(pattern)}"
                yield f"nix.files: {both} would both be the artifact `{BUILDER}:{artifact}`; let their names differ"
            named.setdefault(artifact, pattern)


def _shared_folders(config: Nix, packages: set[tuple[str, str]]) -> Iterator[str]:
    """Yield artifacts that would share a folder of the output folder."""
    folders: dict[tuple[str, str], str] = {}
    for name, system in sorted(packages):
        for artifact in [name] if matches(config.images, name) else _names(config, name):
            other = folders.setdefault((artifact.replace("/", "-"), system), artifact)
            if other != artifact:
                both = f"the artifacts `{BUILDER}:{artifact}` and `{BUILDER}:{other}`"
                yield f"nix.files: {both} would have one folder; leave one out"
