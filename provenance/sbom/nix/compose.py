"""The inventory of a file that Nix built: its runtime closure, and the language packages in and around the file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UnreadableError, quoted
from ..graph import Graph
from ..inventory import Completeness, Component, Inventory, Kind, Role
from .adjacent_packages import AdjacentPackages, add_distributions, add_libraries, add_linked, add_siblings
from .closure import add_closure, package_url, with_meta
from .crates import direct_inputs, vendored_lock
from .output import Program, read_program
from .store import StoreName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ...digest import Digest
    from ..party import Party
    from .closure import PackageMetadata
    from .store import Derivation, PathInfo

_LISTED_NAMES = 20
_CLOSURE = (
    "Store paths: the runtime closure of the output that the file is from, as Nix's store lists it; relationships: its "
    "references. Of these the file uses those whose hash stands in it."
)
_CRATES = (
    "Crates: the file does not say what it is made of; listed are those that the build was given, by its lock file."
)
_PYTHON = "Python distributions: as the metadata in `lib/python*/site-packages` of the store paths says."
_SILENT = "What is linked into the file is not known: its linker wrote no list into it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """A file that ships, and where it comes from.

    Attributes:
        artifact: the artifact's id. name: its name. filename: the file's.
        path: of a copy of the file, with `digest`.
        output: the store path. place: path of the file in it; empty: the output is the file.
        derivation: path of the `.drv` file that builds the output.
        system: of the output, as `x86_64-linux`.
        closure: the output's runtime closure, itself included, by store path.
        build_closure: what its build used, likewise; `None`: not requested.
        unbuilt: a sentence on why nothing is known about its build; empty: this run built it.
    """

    artifact: str
    name: str
    filename: str
    path: Path
    digest: Digest
    output: str
    place: str
    derivation: str
    system: str
    closure: Mapping[str, PathInfo]
    build_closure: Mapping[str, PathInfo] | None
    unbuilt: str


def compose(
    shipped: Shipped, packages: PackageMetadata, *, project_source: str | None, created: datetime, author: Party
) -> Inventory:
    """Return the inventory of a file. `project_source` is the public URL of the repository that `author` ships.

    Raises:
        UnreadableError: the file, a store path or a lock file can't be read, or the closure is incomplete.
    """
    if shipped.output not in shipped.closure:
        raise UnreadableError(f"the closure of {quoted(shipped.output)} does not hold it")
    composition = _Composition(shipped=shipped, packages=packages)
    composition.run(author, project_source)
    unknown, graph = composition.unknown(), composition.graph
    return Inventory.for_artifact(
        shipped.artifact,
        composition.subject(author, unknown),
        graph.components.values(),
        graph.edges,
        digest=shipped.digest,
        completeness=Completeness.INCOMPLETE if unknown else Completeness.COMPLETE,
        note=composition.note(),
        created=created,
        author=author,
    )


@dataclass(slots=True, kw_only=True)
class _Composition:
    """A graph under construction, the file's own edges included.

    Attributes:
        refs: `ref`s of the store paths in it.
        listed: crates are known from a lock file only.
    """

    shipped: Shipped
    packages: PackageMetadata
    graph: Graph = field(default_factory=Graph)
    program: Program = field(default_factory=Program)
    adjacent: AdjacentPackages = field(default_factory=AdjacentPackages)
    refs: dict[str, str] = field(default_factory=dict)
    listed: bool = False

    def run(self, author: Party, project_source: str | None) -> None:
        shipped, graph = self.shipped, self.graph
        home, place = self._home()
        derivation = self.packages.derivations.get(shipped.derivation)
        lock = vendored_lock(derivation, self.packages.derivations) if derivation else None
        used = self._used(home, place)
        # The file represents its store path, unless it uses other files there.
        itself = {} if home in used else {home: shipped.artifact}
        graph.edges[shipped.artifact] = set()
        self.refs = dict(add_closure(graph, shipped.closure, self.packages, Role.DYNAMIC, itself))
        graph.connect(shipped.artifact, (self.refs[path] for path in used))
        for contents in self.program.linked:
            add_linked(graph, shipped.artifact, contents, Role.LINKED, lock)
        add_libraries(graph, shipped.artifact, self.program.needed or (), used)
        add_distributions(graph, self.refs, self.adjacent)
        if home in used:
            add_siblings(graph, self.refs[home], Path(home), place, self.adjacent, lock)
        if lock and not self.program.linked and not self.adjacent.programs:
            crates = lock.components(author, project_source)
            graph.connect(shipped.artifact, [graph.add(crate, origin=lock.place) for crate in crates])
            self.listed = True
        if shipped.build_closure is not None:
            self._add_tools(shipped.build_closure, derivation)

    def _home(self) -> tuple[str, str]:
        """Return the store path that really contains the file, and where in it; empty: the store path is the file.

        Packages that join others consist of links to these.
        """
        shipped = self.shipped
        real = os.path.realpath(Path(shipped.output, shipped.place))
        for path in shipped.closure:
            if real == path or real.startswith(f"{path}/"):
                return path, real[len(path) + 1 :]
        return shipped.output, shipped.place

    def _used(self, home: str, place: str) -> set[str]:
        """Read the file, and return the store paths that it mentions; for a whole store path, all its references."""
        references = self.shipped.closure[home].references
        hashes = {StoreName.of(path).hash: path for path in references}
        self.program = read_program(self.shipped.path, hashes, name=self.shipped.filename)
        self.adjacent.unread += self.program.unread
        return {hashes[hash_] for hash_ in self.program.mentions} if place else {*references} - {home}

    def _add_tools(self, build_closure: Mapping[str, PathInfo], derivation: Derivation | None) -> None:
        """Add what only the build used, not what is in the runtime closure as well."""
        outputs = {output.path for output in derivation.outputs.values()} if derivation else set[str]()
        tools = {path: info for path, info in build_closure.items() if path not in outputs}
        refs = add_closure(self.graph, tools, self.packages, Role.BUILD, self.refs)
        direct = direct_inputs(derivation, self.packages.derivations) if derivation else ()
        wanted = (path for path in direct if path in refs and path not in self.refs)
        self.graph.connect(self.shipped.artifact, (refs[path] for path in wanted))

    def subject(self, author: Party, unknown: str) -> Component:
        """Return the file as a component of the package that its output belongs to."""
        shipped, program = self.shipped, self.program
        named = self.packages.name_of(shipped.output, shipped.derivation)
        main = program.linked[0].main if program.linked else None
        properties = {
            "nix:store-path": shipped.output,
            "nix:nar-sha256": shipped.closure[shipped.output].nar_hash,
            "nix:derivation": shipped.derivation,
            "nix:system": shipped.system,
            **(main.properties if main else {}),
        }
        if unknown:
            properties["nix:unknown"] = unknown
        component = Component(
            ref=shipped.artifact,
            kind=Kind.APPLICATION if program.executable else Kind.FILE,
            role=Role.SUBJECT,
            name=shipped.name,
            version=named.version or (main.version if main else None),
            purl=package_url(named, StoreName.of(shipped.output).hash, place=shipped.place),
            hashes=shipped.digest.as_digest_set(),
            supplier=author,
            filename=shipped.filename,
            properties=properties | ({"nix:program": main.purl} if main and main.purl else {}),
        )
        return with_meta(component, self.packages.meta.get(shipped.output))

    def unknown(self) -> str:
        """Return in few words what is unknown about the file's contents and use; empty: nothing."""
        program, adjacent = self.program, self.adjacent
        unknown = []
        if not (program.linked or program.script):
            unknown.append(
                "which of the crates given to its build are in it" if self.listed else "what is linked into it"
            )
        if adjacent.silent:
            unknown.append(f"what is linked into {_some(adjacent.silent)}")
        if adjacent.unread:
            unknown.append(f"what could not be read: {adjacent.unread[0]}")
        return "; ".join(unknown)

    def note(self) -> str:
        """Return how the components were determined, and why the list is incomplete, if it is."""
        program, adjacent = self.program, self.adjacent
        notes = [_CLOSURE]
        if program.linked:
            notes.append("What is linked into it: as its linker wrote it into it.")
        elif self.listed:
            notes.append(_CRATES)
        elif program.script:
            notes.append("It is a script: nothing is linked into it.")
        else:
            notes.append(_SILENT)
        if adjacent.programs:
            notes.append(f"Programs beside it, as their linkers say: {_some(adjacent.programs)}.")
        if adjacent.silent:
            notes.append(f"Programs beside it that do not say what they are made of: {_some(adjacent.silent)}.")
        if adjacent.python:
            notes.append(
                "Python distributions: as the metadata in `lib/python*/site-packages` of the store paths says."
            )
        if adjacent.unread:
            notes.append(f"Not read: {_some([str(unread) for unread in adjacent.unread])}.")
        if self.shipped.unbuilt:
            notes.append(self.shipped.unbuilt)
        return " ".join(notes)


def _some(names: Sequence[str]) -> str:
    more = f"; and {len(names) - _LISTED_NAMES} more" if len(names) > _LISTED_NAMES else ""
    return "; ".join(names[:_LISTED_NAMES]) + more
