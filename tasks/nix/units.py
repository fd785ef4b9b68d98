"""What `[nix]` comes to: the artifacts of each package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...provenance.record import IMAGE
from ..artifacts import part
from ..builder import Artifact, Form
from . import BUILDER
from .packages import matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...provenance.config import Nix
    from .packages import Evaluation, Package

ANY_FILE = "*"
"""The name of a file that only the build tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One artifact of a package.

    Attributes:
        pattern: of its file, from the output; `None`: the output itself is the file, or the one file in its `bin`.
    """

    artifact: Artifact
    package: Package
    pattern: str | None


def group_of(system: str) -> str:
    """Return the group of all packages of a system: one call of nix builds them."""
    return f"{BUILDER}:{system}"


def patterns_of(config: Nix, name: str) -> list[str]:
    """Return which files of a package's output ship; none: what `Unit.pattern` says of `None`."""
    entries = (entry.partition("/") for entry in config.files)
    return [pattern for package, _, pattern in entries if matches([package], name)]


def names_of(config: Nix, package: str) -> list[str]:
    """Return the names of a package's artifacts, in the order of `patterns_of`."""
    found = patterns_of(config, package)
    return [package] if len(found) < 2 else [f"{package}/{part(one)}" for one in found]  # noqa: PLR2004 - several


def units(config: Nix, evaluation: Evaluation) -> list[Unit]:
    """Return all units, images last: those are made of the others."""
    found = [one for package in evaluation.packages for one in _units(config, package, ())]
    files = [one for one in found if one.artifact.form is Form.FILE]
    images = [
        image
        for one in found
        if one.artifact.form is Form.IMAGE
        for image in _units(config, one.package, tuple(_within(one.package, files)))
    ]
    return [*files, *images]


def _within(image: Package, files: Sequence[Unit]) -> Iterator[str]:
    """Yield the artifacts whose derivations an image is made of: they may lie in its layers."""
    for one in files:
        if one.package.derivation in image.within:
            yield one.artifact.id


def _units(config: Nix, package: Package, upstream: tuple[str, ...]) -> Iterator[Unit]:
    is_image = matches(config.images, package.name)
    patterns: Sequence[str | None] = [None] if is_image else patterns_of(config, package.name) or [None]
    names = [package.name] if is_image else names_of(config, package.name)
    for name, pattern in zip(names, patterns, strict=True):
        yield Unit(
            artifact=Artifact(
                builder=BUILDER,
                name=name,
                platform=package.system,
                group=group_of(package.system),
                file=IMAGE if is_image else ANY_FILE if pattern is None else pattern.rpartition("/")[2],
                form=Form.IMAGE if is_image else Form.FILE,
                upstream=upstream,
            ),
            package=package,
            pattern=pattern,
        )
