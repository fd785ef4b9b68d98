"""SPDX 2.3 JSON from an inventory (https://spdx.github.io/spdx-spec/v2.3/). `docs/sbom.md` says what stands where.

Relationships that lead from the artifact lead to what is in it, or may be; what is not in it points at the artifact:

    artifact STATIC_LINK component              for every component of role `linked`
    artifact CONTAINS component                 `contained`; what is linked into one of these is `STATIC_LINK` of that
    component COPY_OF DocumentRef-…             where a component is an artifact that has SBOMs of its own
    component RUNTIME_DEPENDENCY_OF artifact    `dynamic`
    component BUILD_TOOL_OF artifact            `build`
    artifact GENERATED_FROM component           `input`
    a DEPENDS_ON b                              among the artifact and its linked components
    b BUILD_DEPENDENCY_OF a                     where one of the two is of role `build`
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from ..digest import digest_bytes
from . import licence
from .encoder import JSONDocument, encode
from .inventory import Completeness, Component, Inventory, Kind, Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .party import Party
    from .reference import Reference

_NAMESPACE = UUID("f3b7c1f7-8c61-5c0e-9d0c-5f2f6b6f4f23")
_DOCUMENT = "SPDXRef-DOCUMENT"
_UNKNOWN = "NOASSERTION"
_PURPOSE = {kind: kind.name for kind in Kind}  # CycloneDX and SPDX have the same names for these
_CHECKSUM = {"sha256": "SHA256", "sha512": "SHA512"}
_UNFIT = re.compile(r"[^A-Za-z0-9.]+")

# What spdx-tools takes for an address, and a little less: it must have a domain, without which it means nothing to
# another reader, and behind `git+` and the like spdx-tools knows top-level domains of five letters at most.
_DOMAIN = r"(?:[A-Za-z0-9]+[.-])*[A-Za-z0-9]+\."
_PATH = r"(?::[0-9]{1,5})?(?:/\S*)?"
_WEB = re.compile(rf"https?://{_DOMAIN}[A-Za-z]{{2,}}{_PATH}")
_REPOSITORY = re.compile(
    rf"(?:git|hg|svn|bzr)\+(?:https?|ssh|git)://(?:[A-Za-z0-9._-]+@)?{_DOMAIN}[A-Za-z]{{2,5}}{_PATH}"
)


def write(inventory: Inventory, *, inventory_sha256: str | None = None) -> bytes:
    """Return the SPDX document; equal inventories give equal bytes.

    `inventory_sha256` is that of the inventory's file; pass it if known, to avoid rehashing.
    """
    parts = (inventory.subject, *inventory.components)
    ids = {part.ref: _spdx_id(part) for part in parts}
    licences = {part.ref: _licence(part) for part in parts}
    inventory_sha256 = inventory_sha256 or digest_bytes(inventory.to_json()).sha256
    unique = uuid5(_NAMESPACE, inventory_sha256)
    references = frozenset[str]().union(*(licence.references(text) for text in licences.values()))
    document: dict[str, JSONDocument] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": inventory.artifact,
        "documentNamespace": f"https://spdx.org/spdxdocs/{_slug(inventory.artifact)}-{unique}",
        "creationInfo": _creation(inventory, inventory_sha256),
        "packages": [_package(part, inventory, ids[part.ref], licences[part.ref]) for part in parts],
        "relationships": [
            {"spdxElementId": source, "relationshipType": kind, "relatedSpdxElement": target}
            for source, kind, target in _relationships(inventory, ids)
        ],
    }
    if external := _external_documents(inventory):
        document["externalDocumentRefs"] = external
    if references:
        document["hasExtractedLicensingInfos"] = [
            {"licenseId": name, "name": _UNKNOWN, "extractedText": licence.explain(name)} for name in sorted(references)
        ]
    return encode(document)


def _creation(inventory: Inventory, inventory_sha256: str) -> dict[str, JSONDocument]:
    name, version = inventory.generator
    return {
        "created": inventory.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "creators": [_actor(inventory.author), f"Tool: {name}-{version}"],
        "comment": (
            "Generation context: build; written by the task that built the artifact. The time is that of the sources. "
            f"{inventory.note} "
            "Completeness of the components in the artifact and of the shared libraries that it asks for, and of the "
            f"relationships among them: {inventory.completeness}. Build tools and their relationships are listed as "
            f"far as they are known. Written from the inventory sha256:{inventory_sha256}."
        ),
    }


def _package(part: Component, inventory: Inventory, spdx_id: str, declared: str) -> dict[str, JSONDocument]:
    """Return one package (SPDX 2.3, clause 7)."""
    hashes = inventory.digest.as_digest_set() if part.role is Role.SUBJECT else part.hashes
    found: dict[str, JSONDocument] = {
        "name": part.name,
        "SPDXID": spdx_id,
        "versionInfo": part.version or _UNKNOWN,
        "packageFileName": part.filename,
        "supplier": _actor(part.supplier) if part.supplier else _UNKNOWN,
        "originator": _actor(part.authors[0]) if part.authors else _UNKNOWN,
        "downloadLocation": _address(part.download, _WEB, _REPOSITORY),
        "filesAnalyzed": False,
        "checksums": [{"algorithm": _CHECKSUM[k], "checksumValue": v} for k, v in sorted(hashes.items())] or None,
        "homepage": _address(part.homepage, _WEB),
        "sourceInfo": f"source repository: {part.repository}" if part.repository else None,
        # A concluded licence would require an analysis of the files.
        "licenseConcluded": _UNKNOWN,
        "licenseDeclared": declared,
        "copyrightText": _UNKNOWN,
        "description": part.description,
        "comment": "\n".join(_remarks(part)) or None,
        "externalRefs": _purl(part),
        "primaryPackagePurpose": _PURPOSE[part.kind],
    }
    return {key: value for key, value in found.items() if value is not None}


def _address(text: str | None, *forms: re.Pattern[str]) -> str:
    return text if text and any(form.fullmatch(text) for form in forms) else _UNKNOWN


def _purl(part: Component) -> list[JSONDocument] | None:
    if part.purl is None:
        return None
    return [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": part.purl}]


def _remarks(part: Component) -> Iterator[str]:
    """Yield facts without a field in SPDX 2.3: authors beyond the first, and properties."""
    if part.authors[1:]:
        yield "further originators: " + ", ".join(_actor(author) for author in part.authors[1:])
    for name, value in sorted(part.properties.items()):
        yield f"{name}: {value}"


def _licence(part: Component) -> str:
    expression = licence.normalise(part.licence) if part.licence else None
    return licence.without_plus(expression) if expression else _UNKNOWN


def _relationships(inventory: Inventory, ids: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield source, type and target (SPDX 2.3, clause 11), first those that give each component's role."""
    subject = ids[inventory.subject.ref]
    yield _DOCUMENT, "DESCRIBES", subject
    held = _held(inventory)
    order = list(Role)
    for part in sorted(inventory.components, key=lambda part: order.index(part.role)):
        match part.role:
            case Role.LINKED if part.ref not in held:
                yield subject, "STATIC_LINK", ids[part.ref]
            case Role.CONTAINED:
                yield subject, "CONTAINS", ids[part.ref]
            case Role.DYNAMIC if part.ref not in held:
                yield ids[part.ref], "RUNTIME_DEPENDENCY_OF", subject
            case Role.BUILD:
                yield ids[part.ref], "BUILD_TOOL_OF", subject
            case Role.INPUT:
                yield subject, "GENERATED_FROM", ids[part.ref]
            case _:  # related to a contained component by an edge of the graph
                pass
        if part.sbom:
            yield ids[part.ref], "COPY_OF", f"{_document_ref(part.sbom)}:{part.sbom.spdx.id}"
    roles = {part.ref: part.role for part in (inventory.subject, *inventory.components)}
    for ref, targets in sorted(inventory.dependencies.items()):
        for target in targets:
            yield from _edge(ids, ref, roles[ref], target, roles[target])
    yield from _ends(inventory, ids, roles)


def _held(inventory: Inventory) -> frozenset[str]:
    """Return what is linked into something that the artifact contains, or loaded by it, and so not by the artifact."""
    roles = {part.ref: part.role for part in inventory.components}
    waiting = [part.ref for part in inventory.of_role(Role.CONTAINED)]
    found = set[str]()
    while waiting:
        for target in inventory.dependencies[waiting.pop()]:
            if target not in found and roles.get(target) in {Role.LINKED, Role.DYNAMIC}:
                found.add(target)
                waiting.append(target)
    return frozenset(found.difference(inventory.dependencies[inventory.subject.ref]))


def _edge(ids: Mapping[str, str], ref: str, role: Role, target: str, its_role: Role) -> Iterator[tuple[str, str, str]]:
    """Yield what an edge of the graph means; what leads from the artifact by role stands above."""
    if Role.BUILD in {role, its_role}:
        yield ids[target], "BUILD_DEPENDENCY_OF", ids[ref]
    elif its_role in {Role.DYNAMIC, Role.INPUT}:
        if role is not Role.SUBJECT:
            yield ids[target], "RUNTIME_DEPENDENCY_OF", ids[ref]
    elif (role, its_role) == (Role.CONTAINED, Role.LINKED):
        yield ids[ref], "STATIC_LINK", ids[target]
    elif (role, its_role) != (Role.SUBJECT, Role.CONTAINED):
        yield ids[ref], "DEPENDS_ON", ids[target]


def _ends(inventory: Inventory, ids: Mapping[str, str], roles: Mapping[str, Role]) -> Iterator[tuple[str, str, str]]:
    """Yield the ends of the lists: `NONE` if they are complete, `NOASSERTION` if there may be more."""
    complete = inventory.completeness is Completeness.COMPLETE
    for ref, targets in sorted(inventory.dependencies.items()):
        if roles[ref] not in {Role.SUBJECT, Role.LINKED}:
            continue
        inside = [target for target in targets if roles[target] not in {Role.BUILD, Role.INPUT}]
        if not inside or (roles[ref] is Role.SUBJECT and not complete):
            container = ref == inventory.subject.ref and inventory.subject.kind is Kind.CONTAINER
            yield ids[ref], "CONTAINS" if container else "DEPENDS_ON", "NONE" if complete else _UNKNOWN


def _external_documents(inventory: Inventory) -> list[JSONDocument]:
    """Return each referenced document once (SPDX 2.3, 6.6)."""
    found = {_document_ref(part.sbom): part.sbom for part in inventory.components if part.sbom}
    return [
        {
            "externalDocumentId": name,
            "spdxDocument": reference.spdx.namespace,
            "checksum": {"algorithm": _CHECKSUM["sha256"], "checksumValue": reference.spdx.sha256},
        }
        for name, reference in sorted(found.items())
    ]


def _document_ref(reference: Reference) -> str:
    return f"DocumentRef-{_slug(reference.artifact)}-{reference.spdx.sha256[:16]}"


def _spdx_id(part: Component) -> str:
    """Name a package (SPDX 2.3, 7.2) after its `ref` alone, so that it has this name in every document."""
    readable = "-".join(_slug(text) for text in (part.name, part.version or "") if _slug(text))
    return f"SPDXRef-{readable}-{digest_bytes(part.ref.encode()).sha256[:16]}"


def _slug(text: str) -> str:
    return _UNFIT.sub("-", text).strip("-")[:80]


def _actor(party: Party) -> str:
    name = " ".join(party.name.split())
    kind = "Person" if party.person else "Organization"
    if party.email and "@" in party.email:
        return f"{kind}: {name} ({party.email})"
    # The last parentheses are parsed as the e-mail address.
    return f"{kind}: {name} ()" if name.endswith(")") else f"{kind}: {name}"
