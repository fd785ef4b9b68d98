"""Compose the inventory of an image from its attributed files and the inventories of the artifacts that it contains."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .. import licence
from ..graph import Graph
from ..inventory import Completeness, Component, Inventory, Kind, Role
from ..package import edges, shown
from ..party import Party
from .attribution import AttributedTo
from .notes import note, properties

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ...digest import Digest
    from ...platform import Platform
    from ..program.linked import Linked
    from ..reference import Reference
    from .attribution import AttributedFile, Attribution

LISTED = 5000
"""Unexplained programs that become components; further ones are only counted."""
_PATHS = 8
"""Paths of one component that are named."""

_ANNOTATION = "org.opencontainers.image."
_BSI = {
    "bsi:component:executable": "non-executable",
    "bsi:component:archive": "archive",
    "bsi:component:structured": "structured",
}
"""BSI TR-03183-2, 5.2.2: the parts of an image can be separated again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Included:
    """An artifact of the workspace that an image contains: its inventory, and the reference to its SBOMs."""

    inventory: Inventory
    reference: Reference


def compose(  # noqa: PLR0913 - the parts of an inventory
    attribution: Attribution,
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

    `subject` is the image as a component (`image_component`), and `included` has the artifacts that are files of the
    image, by sha256 in hex; `given` are inputs of the build that are no file of the image but may be in it in part.
    """
    composer = _Composer(attribution=attribution, included=included)
    composer.run()
    graph = composer.graph
    for artifact_input in given:
        graph.add(_as_component(artifact_input, Role.INPUT), origin=artifact_input.inventory.artifact)
    own = {ref for ref, part in graph.components.items() if part.role in {Role.CONTAINED, Role.INPUT}}
    inventories = [item.inventory for item in composer.used]
    partial = [item.artifact for item in inventories if item.completeness is not Completeness.COMPLETE]
    incomplete = bool(attribution.unexplained or attribution.scan.unread or partial)
    return Inventory.for_artifact(
        artifact,
        replace(subject, properties={**subject.properties, **properties(attribution, composer.left_out, partial)}),
        graph.components.values(),
        {subject.ref: own, **graph.edges},
        digest=digest,
        completeness=Completeness.INCOMPLETE if incomplete else Completeness.COMPLETE,
        note=note(attribution, composer.left_out, partial),
        created=created,
        author=author,
    )


@dataclass(slots=True, kw_only=True)
class _Composer:
    """Builds the graph of an image's components.

    Attributes:
        holders: paths of files to the `ref` of the component that the file is or belongs to.
        store: base names of Nix store paths to the `ref`s of their components.
        used: artifacts that the image contains.
        listed: number of unexplained programs that are components. left_out: number of those only counted.
    """

    attribution: Attribution
    included: Mapping[str, Included]
    graph: Graph = field(default_factory=Graph)
    holders: dict[str, str] = field(default_factory=dict)
    store: dict[str, str] = field(default_factory=dict)
    used: list[Included] = field(default_factory=list)
    listed: int = 0
    left_out: int = 0

    def run(self) -> None:
        scan = self.attribution.scan
        if scan.distribution is not None:
            self.graph.add(scan.distribution.component, origin="os-release")
        self._packages()
        artifacts: dict[str, list[AttributedFile]] = {}
        for file in self.attribution.files:
            if file.attributed_to is AttributedTo.ARTIFACT:
                artifacts.setdefault(file.sha256, []).append(file)
            else:
                self._file(file)
        present = [(self.included[sha256], files) for sha256, files in artifacts.items()]
        present.sort(key=lambda pair: pair[0].inventory.artifact)
        # All artifacts are added before their contents, since one may be a library that another needs.
        refs = [self._artifact(item, files) for item, files in present]
        for ref, (item, files) in zip(refs, present, strict=True):
            self._contents(ref, item)
            if item.inventory.completeness is Completeness.UNKNOWN:  # what its linker embedded is all that is known
                for contents in scan.linked.get(files[0].path, ()):
                    self._link(ref, contents, shown(files[0].path))

    def _packages(self) -> None:
        paths_of: dict[str, list[str]] = {}
        for package in self.attribution.scan.packages:
            ref = self.graph.add(package.component, origin=shown(package.database))
            if store_path := package.component.properties.get("nix:store-path"):
                self.store[store_path.rpartition("/")[2]] = ref
            paths_of.setdefault(ref, []).extend([] if package.system else [package.folder or package.database])
        for ref, paths in paths_of.items():
            if paths:
                self._locate(ref, paths)
        for ref, targets in edges(self.attribution.scan.packages).items():
            self.graph.connect(ref, targets)

    def _file(self, file: AttributedFile) -> None:
        linked = self.attribution.scan.linked.get(file.path, ())
        match file.attributed_to:
            case AttributedTo.SYSTEM | AttributedTo.LANGUAGE if file.name is not None:
                self.holders[file.path] = file.name
                for contents in linked:
                    main = self.graph.add(replace(contents.main, role=Role.LINKED), origin=shown(file.path))
                    self.graph.connect(file.name, [main])
                    self._link(main, contents, shown(file.path))
            case AttributedTo.PROGRAM:
                ref = self._program(file, linked[0].main)
                for contents in linked:
                    self._link(ref, contents, shown(file.path))
            case AttributedTo.NOBODY if file.program:
                if self.listed == LISTED:
                    self.left_out += 1
                else:
                    self.listed += 1
                    self._program(file, None)
            case _:  # other files are only counted
                pass

    def _program(self, file: AttributedFile, main: Component | None) -> str:
        path = shown(file.path)
        base = main or Component(ref="", kind=Kind.FILE, role=Role.CONTAINED, name=path)
        altered = {"image:altered": file.altered} if file.altered else {}
        component = replace(
            base,
            ref=f"file:{path}",
            hashes={"sha256": file.sha256},
            filename=path.rpartition("/")[2],
            properties={**base.properties, **altered, "image:explained-by": file.attributed_to.value},
        )
        ref = self.graph.add(component, origin=file.sha256)
        self.holders[file.path] = ref
        self._locate(ref, [file.path], file)
        return ref

    def _link(self, holder: str, contents: Linked, origin: str) -> None:
        names = {ref: self.graph.add(part, origin=origin) for ref, part in contents.components.items()}
        self.graph.connect(holder, (names[ref] for ref in contents.uses))
        for ref, targets in contents.edges.items():
            self.graph.connect(names[ref], (names[target] for target in targets))

    def _artifact(self, item: Included, files: list[AttributedFile]) -> str:
        self.used.append(item)
        ref = self.graph.add(_as_component(item, Role.CONTAINED), origin=item.inventory.artifact)
        self.holders.update((file.path, ref) for file in files)
        self._locate(ref, [file.path for file in files], files[0])
        return ref

    def _contents(self, ref: str, item: Included) -> None:
        """Add what is linked into an artifact, and its shared libraries, but not build tools: its own SBOM has them."""
        inventory = item.inventory
        inside = [part for part in inventory.components if part.role in {Role.LINKED, Role.CONTAINED}]
        names = {part.ref: self.graph.add(part, origin=inventory.artifact) for part in inside}
        names[inventory.subject.ref] = ref
        sources = tuple(names)
        names |= {part.ref: self._library(part, inventory.artifact) for part in inventory.of_role(Role.DYNAMIC)}
        for source in sources:
            self.graph.connect(names[source], (names[t] for t in inventory.dependencies[source] if t in names))

    def _library(self, part: Component, origin: str) -> str:
        """Return the `ref` that provides a library or store path in this image; if there is none, add `part` itself."""
        if "nix:store-path" in part.properties:
            present = self.store.get(part.properties["nix:store-path"].rpartition("/")[2])
            return present or self.graph.add(part, origin=origin)
        path = self.attribution.scan.libraries.get(part.name)
        holder = self.holders.get(path) if path is not None else None
        return holder or self.graph.add(part, origin=origin)

    def _locate(self, ref: str, paths: list[str], file: AttributedFile | None = None) -> None:
        part = self.graph.components[ref]
        facts = {"image:path": "\n".join(map(shown, sorted(set(paths))[:_PATHS]))}
        if file is not None:
            facts["image:layer"] = self.attribution.scan.layers[file.layer]
        self.graph.components[ref] = replace(part, properties={**part.properties, **facts})


def _as_component(item: Included, role: Role) -> Component:
    digests = item.inventory.digest.as_digest_set()
    return replace(item.inventory.subject, role=role, hashes=digests, sbom=item.reference)


def image_component(
    name: str, digest: Digest, *, platform: Platform | None, annotations: Mapping[str, str], supplier: Party | None
) -> Component:
    """Return an image or an index as the subject of its inventory, with the facts in its annotations.

    `digest` is that of its manifest; `annotations` are as in image-spec v1.1, annotations.md.
    """
    facts = {
        key.removeprefix(_ANNOTATION): text for key, text in annotations.items() if key.startswith(_ANNOTATION) and text
    }
    declared = facts.get("licenses")
    properties = {f"image:{key}": facts[key] for key in ("base.name", "base.digest", "revision") if key in facts}
    purl = package_url(name, str(digest), platform)
    return Component(
        ref=purl,
        kind=Kind.CONTAINER,
        role=Role.SUBJECT,
        name=name,
        version=facts.get("version"),
        purl=purl,
        hashes=digest.as_digest_set(),
        licence=licence.normalise(declared) if declared else None,
        supplier=supplier,
        authors=(Party(name=" ".join(facts["authors"].split())),) if facts.get("authors", "").strip() else (),
        description=" ".join(facts["description"].split()) if "description" in facts else None,
        homepage=facts.get("url"),
        repository=facts.get("source"),
        properties=_BSI | properties | ({"image:platform": str(platform)} if platform else {}),
    )


def package_url(name: str, digest: str, platform: Platform | None) -> str:
    """Return the package URL of an image (purl-spec, type `oci`); the version is the digest of its manifest."""
    from packageurl import PackageURL

    qualifiers = {"arch": platform.architecture} if platform else {}
    return PackageURL("oci", None, name.rpartition("/")[2].lower(), digest, qualifiers).to_string()
