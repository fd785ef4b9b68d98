"""The inventory of a file that Nix built: its runtime closure, and the language packages in it and beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UnreadableError, quoted
from ..graph import Graph
from ..inventory import Completeness, Component, Inventory, Kind, Role
from .beside import Beside, add_distributions, add_libraries, add_linked, add_siblings
from .closure import add_closure, expression, package_url
from .crates import taken, vendored_lock
from .name import StoreName
from .program import Program, read_program
from .remarks import is_complete, note, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ...digest import Digest
    from ..party import Party
    from .closure import Packages
    from .model import Derivation, PathInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """A file that ships, and what it is from.

    Attributes:
        artifact: the artifact's id. name: its name. filename: the file's.
        path: of a copy of the file, with `digest`.
        output: the store path. place: where in it the file lies; empty: the output is the file.
        derivation: path of the `.drv` file that makes the output.
        system: that it is for, as `x86_64-linux`.
        closure: the output's runtime closure, itself included, by store path.
        build_closure: what its build used, likewise; `None`: not asked for.
        unbuilt: why the run that took it can say nothing of its build, in a sentence; empty: it built it.
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
    shipped: Shipped, packages: Packages, *, project_source: str | None, created: datetime, author: Party
) -> Inventory:
    """Return the inventory of a file. `project_source` is the public address of the repository that `author` ships.

    Raises:
        UnreadableError: the file, a store path or a lock file can't be read, or the closure is none.
    """
    if shipped.output not in shipped.closure:
        raise UnreadableError(f"the closure of {quoted(shipped.output)} does not hold it")
    composed = _Composed(shipped=shipped, packages=packages)
    composed.run(author, project_source)
    program, beside, graph = composed.program, composed.beside, composed.graph
    return Inventory.for_artifact(
        shipped.artifact,
        _subject(shipped, packages, composed, author),
        graph.components.values(),
        graph.edges,
        digest=shipped.digest,
        completeness=Completeness.COMPLETE if is_complete(program, beside) else Completeness.INCOMPLETE,
        note=note(program, beside, listed=composed.listed, unbuilt=shipped.unbuilt),
        created=created,
        author=author,
    )


@dataclass(slots=True, kw_only=True)
class _Composed:
    """A graph that is being put together; the file's edges are among its own.

    Attributes:
        refs: the store paths in it, to their `ref`s.
        listed: crates are known from a lock file alone.
    """

    shipped: Shipped
    packages: Packages
    graph: Graph = field(default_factory=Graph)
    program: Program = field(default_factory=Program)
    beside: Beside = field(default_factory=Beside)
    refs: dict[str, str] = field(default_factory=dict)
    listed: bool = False

    def run(self, author: Party, project_source: str | None) -> None:
        one, home = self.shipped, self._home()
        derivation = self.packages.derivations.get(one.derivation)
        lock = vendored_lock(derivation, self.packages.derivations) if derivation else None
        used = self._used(home)
        # The file stands for the store path that it is from, unless it uses what else lies there.
        itself = {} if home.path in used else {home.path: one.artifact}
        self.graph.edges[one.artifact] = set()
        self.refs = dict(add_closure(self.graph, one.closure, self.packages, Role.DYNAMIC, itself))
        self.graph.connect(one.artifact, (self.refs[path] for path in used))
        for contents in self.program.linked:
            add_linked(self.graph, one.artifact, contents, Role.LINKED, lock)
        add_libraries(self.graph, one.artifact, self.program.needed or (), used)
        add_distributions(self.graph, self.refs, self.beside)
        if home.path in used:
            add_siblings(self.graph, self.refs[home.path], Path(home.path), home.place, self.beside, lock)
        if lock and not self.program.linked and not self.beside.programs:
            parts = lock.components(author, project_source)
            self.graph.connect(one.artifact, [self.graph.add(part, origin=lock.place) for part in parts])
            self.listed = True
        if one.build_closure is not None:
            self._tools(one.build_closure, derivation)

    def _home(self) -> _Home:
        """Return where the file really lies: packages that join others are links to these."""
        one = self.shipped
        real = os.path.realpath(Path(one.output, one.place))
        homes = (path for path in one.closure if real == path or real.startswith(f"{path}/"))
        path = next(homes, None)
        return _Home(path=path, place=real[len(path) + 1 :]) if path else _Home(path=one.output, place=one.place)

    def _used(self, home: _Home) -> set[str]:
        """Look into the file, and return the store paths that it names; of a whole store path, all its references."""
        one = self.shipped
        references = one.closure[home.path].references
        hashes = {StoreName.of(path).hash: path for path in references}
        self.program = read_program(one.path, hashes, name=one.filename)
        self.beside.unread += self.program.unread
        return {hashes[hash_] for hash_ in self.program.mentions} if home.place else {*references} - {home.path}

    def _tools(self, build_closure: Mapping[str, PathInfo], derivation: Derivation | None) -> None:
        """Add what the build used; what the file uses at run time as well stands in its closure."""
        made = {output.path for output in derivation.outputs.values()} if derivation else set[str]()
        tools = {path: info for path, info in build_closure.items() if path not in made}
        refs = add_closure(self.graph, tools, self.packages, Role.BUILD, self.refs)
        direct = taken(derivation, self.packages.derivations) if derivation else ()
        wanted = (path for path in direct if path in refs and path not in self.refs)
        self.graph.connect(self.shipped.artifact, (refs[path] for path in wanted))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Home:
    """The store path in which a file lies, and where in it; empty: it is the file."""

    path: str
    place: str


def _subject(shipped: Shipped, packages: Packages, composed: _Composed, author: Party) -> Component:
    """Return the file as a component: it is of the package that its output is."""
    program = composed.program
    said = packages.meta.get(shipped.output)
    named = packages.name_of(shipped.output, shipped.derivation)
    main = program.linked[0].main if program.linked else None
    properties = {
        "nix:store-path": shipped.output,
        "nix:nar-sha256": shipped.closure[shipped.output].nar_hash,
        "nix:derivation": shipped.derivation,
        "nix:system": shipped.system,
        **(main.properties if main else {}),
    }
    if missing := unknown(program, composed.beside, listed=composed.listed):
        properties["nix:unknown"] = missing
    return Component(
        ref=shipped.artifact,
        kind=Kind.APPLICATION if program.executable else Kind.FILE,
        role=Role.SUBJECT,
        name=shipped.name,
        version=named.version or (main.version if main else None),
        purl=package_url(named, StoreName.of(shipped.output).hash, place=shipped.place),
        hashes=shipped.digest.as_digest_set(),
        licence=expression(said.licences) if said else None,
        supplier=author,
        description=(" ".join(said.description.split()) or None) if said else None,
        homepage=(said.homepage or None) if said else None,
        filename=shipped.filename,
        properties=properties | ({"nix:program": main.purl} if main and main.purl else {}),
    )
