"""What a file of an output uses besides its own contents: libraries, programs of its output, Python distributions."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...digest import digest_file
from ..inventory import Component, Kind, Role
from ..package import Package, Unread, edges, shown
from .output import distributions, files_below, read_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..graph import Graph
    from ..program.elf import Needed
    from ..program.linked import Linked
    from .crates import VendoredLock

_LIBRARY_FOLDERS = ("lib", "lib64")


@dataclass(slots=True, kw_only=True)
class AdjacentPackages:
    """What was read outside a file.

    Attributes:
        python: number of Python distributions in the store paths.
        programs: other programs of the output with embedded contents, as paths in it.
        silent: those without.
        unread: what could not be read.
    """

    python: int = 0
    programs: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


def add_linked(
    graph: Graph, user: str, contents: Linked, role: Role, lock: VendoredLock | None, origin: str = ""
) -> None:
    """Add the contents of a program, with checksums from the lock file of its build."""
    refs = {
        ref: graph.add(replace(lock.with_checksum(part) if lock else part, role=role), origin=origin or user)
        for ref, part in contents.components.items()
    }
    graph.connect(user, (refs[ref] for ref in contents.uses))
    for ref, targets in contents.edges.items():
        graph.connect(refs[ref], (refs[target] for target in targets))


def add_libraries(graph: Graph, user: str, needed: Iterable[Needed], used: Iterable[str]) -> None:
    """Add the shared libraries that a file needs and that none of the `used` store paths contains.

    Libraries in those store paths are represented by the store path.
    """
    folders = [Path(path, name) for path in sorted(used) for name in _LIBRARY_FOLDERS]
    for library in needed:
        if any(os.path.lexists(folder / library.name) for folder in folders):
            continue
        part = Component(
            ref=f"lib:{library.name}",
            kind=Kind.LIBRARY,
            role=Role.DYNAMIC,
            name=library.name,
            filename=library.name,
            properties={"elf:symbol-versions": ",".join(library.versions)} if library.versions else {},
        )
        graph.connect(user, [graph.add(part, origin=user)])


def add_distributions(graph: Graph, refs: Mapping[str, str], adjacent: AdjacentPackages) -> None:
    """Add the Python distributions of store paths, each used by the component of its store path."""
    packages: list[Package] = []
    for path, ref in sorted(refs.items()):
        for package in distributions(Path(path)):
            if isinstance(package, Unread):
                adjacent.unread.append(package)
                continue
            location = {"nix:store-path": path, "nix:place": package.database}
            properties = {**package.component.properties, **location}
            part = replace(package.component, role=Role.DYNAMIC, properties=properties)
            name = graph.add(part, origin=path)
            graph.connect(ref, [name])
            packages.append(replace(package, component=replace(part, ref=name)))
    for ref, targets in edges(packages).items():
        graph.connect(ref, targets)
    adjacent.python = len(packages)


def add_siblings(
    graph: Graph, user: str, output: Path, place: str, adjacent: AdjacentPackages, lock: VendoredLock | None
) -> None:
    """Add the other programs of an output: the file at `place` in it may start them, as wrappers do.

    Raises:
        UnreadableError: the output can't be read.
    """
    for name in files_below(output):
        if name == place:
            continue
        where = shown(name)
        program = read_program(output / name, name=where)
        adjacent.unread += program.unread
        if not program.linked:
            if program.executable and not program.script:
                adjacent.silent.append(where)
            continue
        adjacent.programs.append(where)
        digest = digest_file(output / name)
        for contents in program.linked:
            main = replace(
                contents.main,
                ref=f"file:{where}",
                role=Role.DYNAMIC,
                hashes=digest.as_digest_set(),
                filename=where.rpartition("/")[2],
                properties={**contents.main.properties, "nix:place": where},
            )
            ref = graph.add(main, origin=digest.sha256)
            graph.connect(user, [ref])
            add_linked(graph, ref, contents, Role.DYNAMIC, lock, origin=where)
