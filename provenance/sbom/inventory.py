"""The inventory: the components found in one artifact. The one model behind every SBOM format.

It is kept as `NAME.inventory.json` beside the artifact, so that SBOMs can be made again without a build. Its JSON is
canonical (sorted keys, a line for each component, UTF-8, a final newline): equal inventories are equal bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from .. import VERSION
from ..digest import Digest
from ..errors import UnreadableError, quoted
from ..json import JSONObject, read_object
from .encoder import JSONDocument, encode
from .party import Party
from .reference import Reference, read_reference
from .reference import to_json as _reference_to_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

SCHEMA = "https://github.com/doit-provenance/doit-provenance/blob/main/docs/inventory.md#v1"
LIMIT = 64 << 20
"""Bytes of an inventory."""


class Kind(StrEnum):
    """The type of a component (CycloneDX 1.6, component.type)."""

    APPLICATION = "application"
    LIBRARY = "library"
    FRAMEWORK = "framework"
    FILE = "file"
    CONTAINER = "container"
    OPERATING_SYSTEM = "operating-system"


class Role(StrEnum):
    """How a component is related to the artifact."""

    SUBJECT = "subject"
    """The artifact itself."""
    LINKED = "linked"
    """Statically linked into the artifact or into a program that it contains."""
    CONTAINED = "contained"
    """In the artifact as files: a package or a program in an image, a platform's image in an index."""
    DYNAMIC = "dynamic"
    """Used at run time but not in the artifact: a shared library that it needs; of Nix, a store path."""
    BUILD = "build"
    """Ran while the artifact was built (compiler, proc-macro, build script and their dependencies); not inside it."""
    INPUT = "input"
    """An input of the build, all, a part or none of which may be in the artifact."""


class Completeness(StrEnum):
    """How complete a list is (CycloneDX 1.6, compositions.aggregate)."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A part of the artifact, or the artifact itself. `None` means unknown, which the formats state.

    Attributes:
        ref: unique within the inventory and the same on every machine; the package URL where there is one.
        hashes: algorithm (`sha256`, `sha512`) to lower-case hex, of the package as distributed (a crate's `.crate`) or,
            for the artifact itself and for files, of the file.
        licence: SPDX licence expression as its makers declare it, normalised; `None`: not declared.
        supplier: who distributes it (SPDX 2.3, 7.5): for a registry package the registry, for the workspace's own
            packages the project.
        authors: who made it (SPDX 2.3, 7.6 originator).
        download: URL or SPDX download location of this version; never a local path.
        filename: the name of a file.
        sbom: the SBOMs of this component, if it is an artifact of the workspace.
        properties: further facts, name to value; names are prefixed by the ecosystem, as `cargo:features`.
    """

    ref: str
    kind: Kind
    role: Role
    name: str
    version: str | None = None
    purl: str | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)
    licence: str | None = None
    supplier: Party | None = None
    authors: tuple[Party, ...] = ()
    description: str | None = None
    homepage: str | None = None
    repository: str | None = None
    download: str | None = None
    filename: str | None = None
    sbom: Reference | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What is in one artifact.

    Attributes:
        artifact: the artifact's id, as `cargo:wash@x86_64-unknown-linux-gnu`.
        digest: of the artifact's bytes.
        subject: the artifact as a component (role `subject`).
        components: everything else, sorted by `ref`.
        dependencies: `ref` to the `ref`s that it uses, both sides sorted. Edges to components of role `build` are
            build dependencies, to `dynamic` ones dynamic links, to `input` ones sources, to `contained` ones what is
            inside the subject or used from beside, all others static links. Every component is a key.
        completeness: of the list of components of role `linked`, `contained` and `dynamic`, and of the relationships
            among them; not of what contained packages were linked from.
        note: how the list was made and, if it is not complete, why.
        created: UTC; the time of the sources (SOURCE_DATE_EPOCH or the last commit), not of the run.
        author: of the SBOM: the project that ships the artifact.
        generator: name and version of this program.
    """

    artifact: str
    digest: Digest
    subject: Component
    components: tuple[Component, ...]
    dependencies: Mapping[str, tuple[str, ...]]
    completeness: Completeness
    note: str
    created: datetime
    author: Party
    generator: tuple[str, str]

    def __post_init__(self) -> None:
        """Check that the parts are consistent, so that users of an inventory can rely on it."""
        refs = [c.ref for c in self.components]
        if self.subject.role is not Role.SUBJECT or self.of_role(Role.SUBJECT):
            raise ValueError("not exactly the subject has the role `subject`")
        if not _ascending(refs) or self.subject.ref in refs:
            raise ValueError("components are not sorted by `ref`, or one stands there twice")
        if self.dependencies.keys() != {self.subject.ref, *refs}:
            raise ValueError("the keys of `dependencies` are not the components")
        for ref, targets in self.dependencies.items():
            if not _ascending(targets) or not self.dependencies.keys() >= set(targets):
                raise ValueError(f"the dependencies of {quoted(ref)} are not components, sorted, each once")

    @classmethod
    def for_artifact(  # noqa: PLR0913 - the fields of an inventory, without those that follow from them
        cls,
        artifact: str,
        subject: Component,
        components: Iterable[Component],
        dependencies: Mapping[str, Collection[str]],
        *,
        digest: Digest,
        completeness: Completeness,
        note: str,
        created: datetime,
        author: Party,
    ) -> Inventory:
        """Return an inventory with this program as its generator.

        `components` and `dependencies` may be in any order; a component that is no key of `dependencies` has none.

        Raises:
            ValueError: two components have the same `ref`, or a dependency is not a component.
        """
        ordered = tuple(sorted(components, key=lambda component: component.ref))
        edges: dict[str, Collection[str]] = {subject.ref: (), **{part.ref: () for part in ordered}, **dependencies}
        return cls(
            artifact=artifact,
            digest=digest,
            subject=subject,
            components=ordered,
            dependencies={ref: tuple(sorted(targets)) for ref, targets in sorted(edges.items())},
            completeness=completeness,
            note=note,
            created=created,
            author=author,
            generator=("doit-provenance", VERSION),
        )

    def of_role(self, role: Role) -> tuple[Component, ...]:
        """Return the components of one role."""
        return tuple(c for c in self.components if c.role is role)

    def to_json(self) -> bytes:
        """Return the canonical bytes."""
        document: dict[str, JSONDocument] = {
            "schema": SCHEMA,
            "artifact": self.artifact,
            "digest": {"sha256": self.digest.sha256, "sha512": self.digest.sha512, "size": self.digest.size},
            "subject": _component_to_json(self.subject),
            "components": [_component_to_json(c) for c in self.components],
            "dependencies": {k: list(v) for k, v in self.dependencies.items()},
            "completeness": self.completeness.value,
            "note": self.note,
            "created": self.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "author": _party_to_json(self.author),
            "generator": {"name": self.generator[0], "version": self.generator[1]},
        }
        return encode(document, sort_keys=True)

    @classmethod
    def from_json(cls, data: bytes) -> Inventory:
        """Parse the output of `to_json`.

        Raises:
            UnreadableError: the bytes are not an inventory of this schema version.
        """
        try:
            return _inventory(read_object(data, what="the inventory", limit=LIMIT))
        except UnreadableError as error:
            raise UnreadableError(error.message, hint="build the artifact again") from error
        except ValueError as error:  # inconsistent parts
            raise UnreadableError(f"the inventory: {error}", hint="build the artifact again") from error


def _party_to_json(party: Party) -> dict[str, JSONDocument]:
    found: dict[str, JSONDocument] = {
        "name": party.name,
        "email": party.email,
        "url": party.url,
        "person": party.person or None,
    }
    return {k: v for k, v in found.items() if v is not None}


def _component_to_json(component: Component) -> dict[str, JSONDocument]:
    found: dict[str, JSONDocument] = {
        "ref": component.ref,
        "kind": component.kind.value,
        "role": component.role.value,
        "name": component.name,
        "version": component.version,
        "purl": component.purl,
        "hashes": dict(component.hashes) or None,
        "licence": component.licence,
        "supplier": _party_to_json(component.supplier) if component.supplier else None,
        "authors": [_party_to_json(p) for p in component.authors] or None,
        "description": component.description,
        "homepage": component.homepage,
        "repository": component.repository,
        "download": component.download,
        "filename": component.filename,
        "sbom": _reference_to_json(component.sbom) if component.sbom else None,
        "properties": dict(component.properties) or None,
    }
    return {k: v for k, v in found.items() if v is not None}


def _ascending(texts: Sequence[str]) -> bool:
    return list(texts) == sorted(set(texts))


def _inventory(found: JSONObject) -> Inventory:
    found.refuse_others({*Inventory.__dataclass_fields__, "schema"})
    if found.text("schema") != SCHEMA:
        raise found.error("schema", "is another schema version")
    digest, generator, dependencies = found.child("digest"), found.child("generator"), found.child("dependencies")
    digest.refuse_others(Digest.__dataclass_fields__)
    generator.refuse_others(("name", "version"))
    return Inventory(
        artifact=found.name("artifact"),
        digest=Digest(sha256=digest.text("sha256"), sha512=digest.text("sha512"), size=digest.count("size")),
        subject=_component(found.child("subject")),
        components=tuple(_component(item) for item in found.children("components")),
        dependencies={ref: dependencies.strings(ref) for ref in dependencies.found},
        completeness=found.member("completeness", Completeness),
        note=found.text("note"),
        created=_time(found, "created"),
        author=_party(found.child("author")),
        generator=(generator.name("name"), generator.name("version")),
    )


def _component(found: JSONObject) -> Component:
    found.refuse_others(Component.__dataclass_fields__)
    return Component(
        ref=found.name("ref"),
        kind=found.member("kind", Kind),
        role=found.member("role", Role),
        name=found.name("name"),
        version=found.optional_text("version"),
        purl=found.optional_text("purl"),
        hashes=_hashes(found) if "hashes" in found.found else {},
        licence=found.optional_text("licence"),
        supplier=_party(found.child("supplier")) if "supplier" in found.found else None,
        authors=tuple(_party(item) for item in found.children("authors")) if "authors" in found.found else (),
        description=found.optional_text("description"),
        homepage=found.optional_text("homepage"),
        repository=found.optional_text("repository"),
        download=found.optional_text("download"),
        filename=found.optional_text("filename"),
        sbom=read_reference(found.child("sbom")) if "sbom" in found.found else None,
        properties=found.texts("properties") if "properties" in found.found else {},
    )


def _party(found: JSONObject) -> Party:
    found.refuse_others(Party.__dataclass_fields__)
    return Party(
        name=found.name("name"),
        email=found.optional_text("email"),
        url=found.optional_text("url"),
        person=found.flag("person") if "person" in found.found else False,
    )


def _time(found: JSONObject, key: str) -> datetime:
    try:
        return datetime.strptime(found.text(key), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise found.error(key, "must be a time in UTC, as `2024-05-17T09:00:00Z`") from error


def _hashes(found: JSONObject) -> dict[str, str]:
    hashes = found.texts("hashes")
    for algorithm, value in hashes.items():
        if algorithm not in _HEX_DIGITS or not re.fullmatch(rf"[0-9a-f]{{{_HEX_DIGITS[algorithm]}}}", value):
            raise found.error("hashes", f"has {quoted(algorithm)}, which is no known hash or has a malformed value")
    return hashes


_HEX_DIGITS = {"sha256": 64, "sha512": 128}
