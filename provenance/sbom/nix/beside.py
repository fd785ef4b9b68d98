"""What a file of an output uses that lies beside it: libraries, other programs of its output, Python distributions."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...digest import digest_file
from ..inventory import Component, Kind, Role
from ..package import Package, Unread, edges, shown
from .output import distributions, files_below
from .program import read_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..graph import Graph
    from ..program.elf import Needed
    from ..program.linked import Linked
    from .crates import VendoredLock

_LIBRARY_FOLDERS = ("lib", "lib64")


@dataclass(slots=True, kw_only=True)
class Beside:
    """What was found beside a file.

    Attributes:
        python: how many Python distributions the store paths hold.
        programs: other programs of the output that say what they are made of, as paths in it.
        silent: those that do not say it.
        unread: what could not be read.
    """

    python: int = 0
    programs: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


def add_linked(
    graph: Graph, holder: str, contents: Linked, role: Role, lock: VendoredLock | None, origin: str = ""
) -> None:
    """Add what a program consists of, with the hashes that the lock file of its build has of it."""
    names = {
        ref: graph.add(replace(lock.with_checksum(part) if lock else part, role=role), origin=origin or holder)
        for ref, part in contents.components.items()
    }
    graph.connect(holder, (names[ref] for ref in contents.uses))
    for ref, targets in contents.edges.items():
        graph.connect(names[ref], (names[target] for target in targets))


def add_libraries(graph: Graph, holder: str, needed: Iterable[Needed], used: Iterable[str]) -> None:
    """Add the shared libraries that a file asks for and that no store path has that it names.

    `used` are these store paths; of the libraries in them they are the packages.
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
        graph.connect(holder, [graph.add(part, origin=holder)])


def add_distributions(graph: Graph, refs: Mapping[str, str], beside: Beside) -> None:
    """Add the Python distributions of store paths, each used by the component that has it."""
    packages: list[Package] = []
    for path, ref in sorted(refs.items()):
        for found in distributions(Path(path)):
            if isinstance(found, Unread):
                beside.unread.append(found)
                continue
            facts = {"nix:store-path": path, "nix:place": found.database}
            part = replace(found.component, role=Role.DYNAMIC, properties={**found.component.properties, **facts})
            name = graph.add(part, origin=path)
            graph.connect(ref, [name])
            packages.append(replace(found, component=replace(part, ref=name)))
    for ref, targets in edges(packages).items():
        graph.connect(ref, targets)
    beside.python = len(packages)


def add_siblings(
    graph: Graph, holder: str, output: Path, place: str, beside: Beside, lock: VendoredLock | None
) -> None:
    """Add the other programs of an output, which the file at `place` in it may start: wrappers do.

    Raises:
        UnreadableError: the output can't be read.
    """
    for name in files_below(output):
        if name == place:
            continue
        where = shown(name)
        program = read_program(output / name, name=where)
        beside.unread += program.unread
        if not program.linked:
            if program.executable and not program.script:
                beside.silent.append(where)
            continue
        beside.programs.append(where)
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
            graph.connect(holder, [ref])
            add_linked(graph, ref, contents, Role.DYNAMIC, lock, origin=where)
