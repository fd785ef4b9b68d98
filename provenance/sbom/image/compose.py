"""The inventory of an image, from what was found in it and what is known of the artifacts that it holds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..graph import Graph
from ..inventory import Completeness, Component, Inventory, Kind, Role
from ..package import edges, shown
from .remarks import note, properties
from .survey import By, Explained, Survey

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ...digest import Digest
    from ..party import Party
    from ..program.linked import Linked
    from ..reference import Reference

LISTED = 5000
"""Programs that nobody explains of which each is a component; how many more there are is told."""
_PLACES = 8
"""Paths of one component that are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Included:
    """An artifact of the workspace that an image holds: its inventory, and what refers to its SBOMs."""

    inventory: Inventory
    reference: Reference


def compose(  # noqa: PLR0913 - the things that an inventory is made of
    survey: Survey,
    artifact: str,
    digest: Digest,
    *,
    subject: Component,
    included: Mapping[str, Included],
    given: tuple[Included, ...] = (),
    created: datetime,
    author: Party,
) -> Inventory:
    """Return the inventory of an image.

    `subject` is the image as a component, and `included` has the artifacts that files of it are, by sha256 in hex;
    `given` are those that its build was given and that are no file of it: a part of them may be in it.
    """
    composed = _Composed(survey=survey, included=included)
    composed.run()
    graph = composed.graph
    for one in given:
        of_input = replace(one.inventory.subject, role=Role.INPUT, sbom=one.reference)
        graph.add(replace(of_input, hashes=one.inventory.digest.as_digest_set()), origin=one.inventory.artifact)
    own = {ref for ref, part in graph.components.items() if part.role in {Role.CONTAINED, Role.INPUT}}
    partial = [
        one.inventory.artifact for one in composed.used if one.inventory.completeness is not Completeness.COMPLETE
    ]
    incomplete = bool(survey.unexplained or survey.look.unread or partial)
    return Inventory.for_artifact(
        artifact,
        replace(subject, properties={**subject.properties, **properties(survey, composed.left_out, partial)}),
        graph.components.values(),
        {subject.ref: own, **graph.edges},
        digest=digest,
        completeness=Completeness.INCOMPLETE if incomplete else Completeness.COMPLETE,
        note=note(survey, composed.left_out, partial),
        created=created,
        author=author,
    )


@dataclass(slots=True, kw_only=True)
class _Composed:
    """A graph that is being put together.

    Attributes:
        holders: paths of files to the `ref` of the component that each is, or is of.
        store: the last parts of paths of a Nix store to the `ref`s of what lies there.
        listed: programs that nobody explains. left_out: further ones, which are only counted.
    """

    survey: Survey
    included: Mapping[str, Included]
    graph: Graph = field(default_factory=Graph)
    holders: dict[str, str] = field(default_factory=dict)
    store: dict[str, str] = field(default_factory=dict)
    used: list[Included] = field(default_factory=list)
    listed: int = 0
    left_out: int = 0

    def run(self) -> None:
        look = self.survey.look
        if look.distribution is not None:
            self.graph.add(look.distribution.component, origin="os-release")
        self._packages()
        artifacts: dict[str, list[Explained]] = {}
        for file in self.survey.files:
            if file.by is By.ARTIFACT:
                artifacts.setdefault(file.sha256, []).append(file)
            else:
                self._file(file)
        found = [(self.included[sha256], files) for sha256, files in artifacts.items()]
        found.sort(key=lambda each: each[0].inventory.artifact)
        refs = [self._artifact(one, files) for one, files in found]
        for ref, (one, files) in zip(refs, found, strict=True):  # of which one may be a library that another asks for
            self._contents(ref, one)
            if one.inventory.completeness is Completeness.UNKNOWN:  # then what it says of itself is all there is
                for contents in look.linked.get(files[0].path, ()):
                    self._link(ref, contents, shown(files[0].path))

    def _packages(self) -> None:
        places: dict[str, list[str]] = {}
        for package in self.survey.look.packages:
            ref = self.graph.add(package.component, origin=shown(package.database))
            if place := package.component.properties.get("nix:store-path"):
                self.store[place.rpartition("/")[2]] = ref
            places.setdefault(ref, []).extend([] if package.system else [package.folder or package.database])
        for ref, paths in places.items():
            if paths:
                self._place(ref, paths)
        for ref, targets in edges(self.survey.look.packages).items():
            self.graph.connect(ref, targets)

    def _file(self, file: Explained) -> None:
        linked = self.survey.look.linked.get(file.path, ())
        match file.by:
            case By.SYSTEM | By.LANGUAGE if file.name is not None:
                self.holders[file.path] = file.name
                for contents in linked:
                    main = self.graph.add(replace(contents.main, role=Role.LINKED), origin=shown(file.path))
                    self.graph.connect(file.name, [main])
                    self._link(main, contents, shown(file.path))
            case By.PROGRAM:
                ref = self._program(file, linked[0].main)
                for contents in linked:
                    self._link(ref, contents, shown(file.path))
            case By.NOBODY if file.program:
                if self.listed == LISTED:
                    self.left_out += 1
                else:
                    self.listed += 1
                    self._program(file, None)
            case _:  # sources, settings and notes of package managers are counted
                pass

    def _program(self, file: Explained, main: Component | None) -> str:
        path = shown(file.path)
        known = main or Component(ref="", kind=Kind.FILE, role=Role.CONTAINED, name=path)
        altered = {"image:altered": file.altered} if file.altered else {}
        component = replace(
            known,
            ref=f"file:{path}",
            hashes={"sha256": file.sha256},
            filename=path.rpartition("/")[2],
            properties={**known.properties, **altered, "image:explained-by": file.by.value},
        )
        ref = self.graph.add(component, origin=file.sha256)
        self.holders[file.path] = ref
        self._place(ref, [file.path], file)
        return ref

    def _link(self, holder: str, contents: Linked, origin: str) -> None:
        names = {ref: self.graph.add(part, origin=origin) for ref, part in contents.components.items()}
        self.graph.connect(holder, (names[ref] for ref in contents.uses))
        for ref, targets in contents.edges.items():
            self.graph.connect(names[ref], (names[target] for target in targets))

    def _artifact(self, one: Included, files: list[Explained]) -> str:
        inventory = one.inventory
        self.used.append(one)
        subject = replace(
            inventory.subject, role=Role.CONTAINED, hashes=inventory.digest.as_digest_set(), sbom=one.reference
        )
        ref = self.graph.add(subject, origin=inventory.artifact)
        self.holders.update((file.path, ref) for file in files)
        self._place(ref, [file.path for file in files], files[0])
        return ref

    def _contents(self, ref: str, one: Included) -> None:
        """Add what is linked into an artifact, and its shared libraries; build tools are left to its own SBOM."""
        inventory = one.inventory
        inside = [part for part in inventory.components if part.role in {Role.LINKED, Role.CONTAINED}]
        names = {part.ref: self.graph.add(part, origin=inventory.artifact) for part in inside}
        names[inventory.subject.ref] = ref
        sources = tuple(names)
        names |= {part.ref: self._library(part, inventory.artifact) for part in inventory.of_role(Role.DYNAMIC)}
        for source in sources:
            self.graph.connect(names[source], (names[t] for t in inventory.dependencies[source] if t in names))

    def _library(self, part: Component, origin: str) -> str:
        """Return who supplies a library or a store path in this image; where nobody does, it is still asked for."""
        if "nix:store-path" in part.properties:
            there = self.store.get(part.properties["nix:store-path"].rpartition("/")[2])
            return there or self.graph.add(part, origin=origin)
        path = self.survey.look.libraries.get(part.name)
        holder = self.holders.get(path) if path is not None else None
        return holder or self.graph.add(part, origin=origin)

    def _place(self, ref: str, paths: list[str], file: Explained | None = None) -> None:
        part = self.graph.components[ref]
        facts = {"image:path": "\n".join(map(shown, sorted(set(paths))[:_PLACES]))}
        if file is not None:
            facts["image:layer"] = self.survey.look.layers[file.layer]
        self.graph.components[ref] = replace(part, properties={**part.properties, **facts})
