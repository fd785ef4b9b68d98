"""What `doit init` proposes about images: the targets of bake files, and Dockerfiles that no bake file speaks of."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...provenance.config.starter import Proposed, Standing
from ...provenance.errors import ToolError
from .bake import bake_files, read_bake
from .seen import dockerfiles, named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ...provenance.config.schema import Value
    from .bake import Target
    from .seen import Dockerfile

PARENT = "docker"
_MOST = 30
"""Dockerfiles that are offered: who has more wants few of them."""
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """What was found.

    Attributes:
        proposed: tables for `provenance.toml`.
        said: what could not be proposed and why, in lines for a person.
    """

    proposed: tuple[Proposed, ...]
    said: tuple[str, ...]


def propose_images(root: Path, project: str, made: Iterable[Path]) -> Images:
    """Look for bake files and Dockerfiles.

    Targets that `docker buildx bake` builds by itself are set, as somebody has said that they are what is built. All
    else is offered behind `#`: a Dockerfile may as well be for tests or for a developer's machine.

    Args:
        root: the workspace.
        project: its name.
        made: folders that builds fill.
    """
    files = bake_files(root)
    said: list[str] = []
    targets: Sequence[Target] = ()
    if files:
        try:
            targets = read_bake(root, files)
        except ToolError as error:
            said.append(f"{', '.join(files)} was not read, so its targets are not proposed: {error}")
    found = list(_from_bake(targets, files, said))
    baked = {target.dockerfile for target in targets if not target.unfit}
    others = [one for one in dockerfiles(root, made) if one.path not in baked]
    if len(others) > _MOST:
        said.append(f"only the first {_MOST} of {len(others)} Dockerfiles are proposed")
    found += _from_dockerfiles(others[:_MOST], project, taken={one.name for one in found})
    fit = []
    for one in found:
        mistakes = one.mistakes()
        said += [f"{PARENT}:{one.name} is not proposed: {line}" for line in mistakes]
        fit += [] if mistakes else [one]
    return Images(proposed=tuple(fit), said=tuple(said))


def _from_bake(targets: Iterable[Target], files: Sequence[str], said: list[str]) -> Iterator[Proposed]:
    where = ", ".join(files)
    others = [target.name for target in targets if not target.is_image]
    if others:
        more = f", and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        said.append(f"targets of {where} that make no image are not proposed: {', '.join(others[:_NAMED])}{more}")
    for target in targets:
        if not target.is_image:
            continue
        if target.unfit:
            said.append(f"target `{target.name}` of {where} is not proposed: {target.unfit}")
            continue
        seen = f"Found: target `{target.name}` of {where}."
        standing = Standing.SET if target.is_default and not target.left_out else Standing.OFFERED
        if target.left_out:
            seen += f" No setting says of it: {', '.join(target.left_out)}."
        yield _proposed(target.name, target.settings, seen, standing)


def _from_dockerfiles(found: Iterable[Dockerfile], project: str, *, taken: set[str]) -> Iterator[Proposed]:
    for one in found:
        name = _free(named(one.path, project), taken)
        taken.add(name)
        settings = {"context": one.context}
        if one.path != posixpath.normpath(posixpath.join(one.context, "Dockerfile")):
            settings["dockerfile"] = one.path
        yield _proposed(name, settings, f"Found: {one.path}.", Standing.OFFERED)


def _proposed(name: str, settings: Mapping[str, Value], seen: str, standing: Standing) -> Proposed:
    offered = "" if standing is Standing.SET else " Take the `#` away to build it."
    return Proposed(parent=PARENT, name=name, settings=settings, seen=f"{seen}{offered}", standing=standing)


def _free(names: Sequence[str], taken: set[str]) -> str:
    """Return the first name that nobody has, else the last with a number."""
    for name in names:
        if name not in taken:
            return name
    number = 2
    while (name := f"{names[-1]}-{number}") in taken:
        number += 1
    return name
