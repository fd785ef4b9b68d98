"""The inventory: the components found in one artifact. The one model behind every SBOM format.

It is kept as `NAME.inventory.json` beside the artifact, so that SBOMs can be made again without a build. Its JSON is
canonical (sorted keys, two-space indent, UTF-8, a final newline): equal inventories are equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from ..digest import Digest
from ..errors import UnreadableError

SCHEMA = "https://github.com/doit-provenance/doit-provenance/blob/main/docs/inventory.md#v1"


class Kind(StrEnum):
    """What a component is, in CycloneDX's words (CycloneDX 1.6, component.type)."""

    APPLICATION = "application"
    LIBRARY = "library"
    FRAMEWORK = "framework"


class Role(StrEnum):
    """How a component came to be part of the artifact."""

    SUBJECT = "subject"
    """The artifact itself."""
    LINKED = "linked"
    """Its code was given to the linker for this artifact (statically linked)."""
    DYNAMIC = "dynamic"
    """A shared library that the artifact asks the loader for at run time; not inside it."""
    BUILD = "build"
    """Ran while the artifact was built (compiler, proc-macro, build script and their dependencies); not inside it."""


class Completeness(StrEnum):
    """What is claimed of a list (CycloneDX 1.6, compositions.aggregate)."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A person or an organisation."""

    name: str
    email: str | None = None
    url: str | None = None
    person: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One thing in the artifact, or the artifact itself. `None` means: not known, and the formats say so.

    Attributes:
        ref: unique within the inventory and the same on every machine; the package URL where there is one.
        hashes: algorithm (`sha256`, `sha512`) to lower-case hex, of the package as distributed (a crate's `.crate`) or,
            for the artifact itself and for files, of the file.
        licence: SPDX licence expression as its makers declare it, normalised; `None`: not declared.
        supplier: who distributes it (SPDX 2.3, 7.5): for a registry package the registry, for the workspace's own
            packages the project.
        authors: who made it (SPDX 2.3, 7.6 originator).
        download: where exactly this version can be had, as a URL or SPDX download location; never a machine's path.
        filename: the file's name, for what is a file.
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
            build dependencies, to `dynamic` ones dynamic links, all others static links. Every component is a key.
        completeness: of the list of components of role `linked` and `dynamic`, and of the relationships among them.
        note: how the list was found, and, where it is not complete, why not.
        created: UTC; the time of the sources (SOURCE_DATE_EPOCH or the last commit), not of the run.
        author: who answers for the SBOM: the project that ships the artifact.
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

    def of_role(self, role: Role) -> tuple[Component, ...]:
        """Return the components of one role."""
        return tuple(c for c in self.components if c.role is role)

    def to_json(self) -> bytes:
        """Return the canonical bytes."""
        document = {
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
        return (json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> Inventory:
        """Read what `to_json` wrote.

        Raises:
            UnreadableError: these bytes are no inventory of this version.
        """
        try:
            document = json.loads(data)
            if document["schema"] != SCHEMA:
                raise UnreadableError(f"not an inventory of a known version: {document['schema']!r}")  # noqa: TRY301 - translated below
            return cls(
                artifact=_text(document["artifact"]),
                digest=Digest(**document["digest"]),
                subject=_component_from_json(document["subject"]),
                components=tuple(_component_from_json(c) for c in document["components"]),
                dependencies={_text(k): tuple(_text(i) for i in v) for k, v in document["dependencies"].items()},
                completeness=Completeness(document["completeness"]),
                note=_text(document["note"]),
                created=datetime.strptime(document["created"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
                author=Party(**document["author"]),
                generator=(_text(document["generator"]["name"]), _text(document["generator"]["version"])),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UnreadableError(f"not an inventory: {error}") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {value!r}")
    return value


def _party_to_json(party: Party) -> dict[str, object]:
    found = {"name": party.name, "email": party.email, "url": party.url, "person": party.person or None}
    return {k: v for k, v in found.items() if v is not None}


def _component_to_json(component: Component) -> dict[str, object]:
    found: dict[str, object] = {
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
        "properties": dict(component.properties) or None,
    }
    return {k: v for k, v in found.items() if v is not None}


def _component_from_json(document: dict[str, object]) -> Component:
    found = dict(document)
    found["kind"] = Kind(_text(found["kind"]))
    found["role"] = Role(_text(found["role"]))
    supplier, authors = found.get("supplier"), found.get("authors", [])
    if isinstance(supplier, dict):
        found["supplier"] = Party(**supplier)
    if not isinstance(authors, list):
        raise TypeError(f"expected a list of authors, found {authors!r}")
    found["authors"] = tuple(Party(**p) for p in authors)
    return Component(**found)  # type: ignore[arg-type] # every key is checked by the constructor's names
