"""CycloneDX 1.6 JSON from an inventory (https://cyclonedx.org/docs/1.6/json/).

`docs/sbom.md` says what stands where, and what the format can't hold.
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import UUID, uuid5

from .. import INVENTORY_PROPERTY
from . import licence
from .encoder import JSONDocument, encode
from .inventory import Component, Inventory, Kind, Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .party import Party
    from .reference import Reference


_NAMESPACE = UUID("7e0b6a0e-57cf-5d0a-8a3b-0d6a2f2f7b52")
_HASH = {"sha256": "SHA-256", "sha512": "SHA-512"}

# What the schema's `iri-reference` means, for the addresses that packages give: a host, and no blanks, brackets or
# stray `%`; so none that lead into a machine's own files either.
_PATH = r"(?:[A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"
_URI = re.compile(
    rf"[A-Za-z][A-Za-z0-9+.-]*://(?:[A-Za-z0-9._~-]+@)?[A-Za-z0-9.-]+(?::[0-9]+)?(?:[/?]{_PATH})?(?:#{_PATH})?"
)
_REPOSITORIES = ("git+", "hg+", "svn+", "bzr+")

# BSI TR-03183-2, 5.2.2: a linked program is not an archive, and its parts can't be separated again. Builders of other
# kinds of artifacts override this in the properties of the subject.
_BSI_OF_PROGRAMS = {
    "bsi:component:executable": "executable",
    "bsi:component:archive": "no archive",
    "bsi:component:structured": "unstructured",
}


def write(inventory: Inventory, *, inventory_sha256: str) -> bytes:
    """Return the CycloneDX document; equal inventories give equal bytes.

    `inventory_sha256` is that of the inventory's file.
    """
    document: dict[str, JSONDocument] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(_NAMESPACE, inventory_sha256)}",
        "version": 1,
        "metadata": _metadata(inventory, inventory_sha256),
        "components": [_component(part, part.hashes) for part in inventory.components],
        "dependencies": list(_dependencies(inventory)),
        "compositions": list(_compositions(inventory)),
    }
    return encode(document)


def _metadata(inventory: Inventory, inventory_sha256: str) -> dict[str, JSONDocument]:
    name, version = inventory.generator
    return {
        "timestamp": inventory.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycles": [{"phase": "build"}],
        "tools": {"components": [{"type": "application", "name": name, "version": version}]},
        **_makers((inventory.author,)),
        "component": _component(inventory.subject, inventory.digest.as_digest_set()),
        "supplier": _organisation(inventory.subject.supplier or inventory.author),
        "properties": [
            {"name": INVENTORY_PROPERTY, "value": inventory_sha256},
            {"name": "doit-provenance:artifact", "value": inventory.artifact},
            {"name": "doit-provenance:note", "value": inventory.note},
        ],
    }


def _component(part: Component, hashes: Mapping[str, str]) -> dict[str, JSONDocument]:
    found: dict[str, JSONDocument] = {
        "type": part.kind.value,
        "bom-ref": part.ref,
        "supplier": _organisation(part.supplier) if part.supplier else None,
        **_makers(part.authors),
        "name": part.name,
        "version": part.version,
        "description": part.description,
        "scope": _scope(part.role),
        "hashes": _hashes(hashes),
        "licenses": _licences(part),
        "purl": part.purl,
        "externalReferences": list(_references(part)) or None,
        "properties": [{"name": k, "value": v} for k, v in sorted(_properties(part).items())],
    }
    return {key: value for key, value in found.items() if value is not None}


def _scope(role: Role) -> str | None:
    """Return the scope (CycloneDX): whether the component is needed when the artifact runs.

    Build tools are `excluded`: they document use other than at run time and can't be reached by a call there. Shared
    libraries are `required`, though they are not in the artifact: the property `doit-provenance:role` says which are.
    So are inputs, of which a part may be in it: who looks for flaws must not pass them over.
    """
    match role:
        case Role.SUBJECT:
            return None
        case Role.LINKED | Role.CONTAINED | Role.DYNAMIC | Role.INPUT:
            return "required"
        case Role.BUILD:
            return "excluded"


def _hashes(hashes: Mapping[str, str]) -> list[JSONDocument] | None:
    return [{"alg": _HASH[name], "content": content} for name, content in sorted(hashes.items())] or None


def _licences(part: Component) -> list[JSONDocument] | None:
    """Return the declared licence, always as an expression (BSI TR-03183-2, 8.2), even if it is a single id."""
    expression = licence.normalise(part.licence) if part.licence else None
    return [{"expression": expression, "acknowledgement": "declared"}] if expression else None


def _references(part: Component) -> Iterator[JSONDocument]:
    if part.repository and _URI.fullmatch(part.repository):
        yield {"type": "vcs", "url": part.repository}
    if part.homepage and _URI.fullmatch(part.homepage):
        yield {"type": "website", "url": part.homepage}
    if part.download and _URI.fullmatch(part.download):
        hashes = _hashes(part.hashes)
        kind = "vcs" if part.download.startswith(_REPOSITORIES) else "distribution"
        yield {"type": kind, "url": part.download} | ({"hashes": hashes} if hashes else {})
    if part.sbom:
        yield _bom_link(part.sbom)


def _bom_link(reference: Reference) -> JSONDocument:
    """Return the reference to a component of another BOM (CycloneDX, BOM-Link), with the digest of that file."""
    found = reference.cyclonedx
    return {
        "type": "bom",
        "url": f"urn:cdx:{found.serial}/{found.version}#{quote(found.ref, safe='')}",
        "comment": f"the SBOM of {reference.artifact}",
        "hashes": _hashes({"sha256": found.sha256}),
    }


def _properties(part: Component) -> dict[str, str]:
    found = {"doit-provenance:role": part.role.value}
    if part.filename:
        found["bsi:component:filename"] = part.filename
    if part.role is Role.SUBJECT and part.kind in {Kind.APPLICATION, Kind.LIBRARY}:
        found |= _BSI_OF_PROGRAMS
    return found | dict(part.properties)


def _dependencies(inventory: Inventory) -> Iterator[JSONDocument]:
    """Yield the graph. No entry means unknown and an empty one none, so who was not looked into has no empty one."""
    roles = {part.ref: part.role for part in (inventory.subject, *inventory.components)}
    for ref, targets in sorted(inventory.dependencies.items()):
        if targets:
            yield {"ref": ref, "dependsOn": targets}
        elif roles[ref] in {Role.SUBJECT, Role.LINKED}:
            yield {"ref": ref}


def _compositions(inventory: Inventory) -> Iterator[JSONDocument]:
    """Yield how complete the lists are: of what is in the artifact as claimed, of the rest nothing is claimed."""
    inside = [inventory.subject.ref, *(part.ref for part in inventory.of_role(Role.LINKED))]
    yield {"aggregate": inventory.completeness.value, "assemblies": [inventory.subject.ref], "dependencies": inside}
    # Contained packages are known, but not what they were linked from.
    others = {Role.CONTAINED, Role.DYNAMIC, Role.BUILD, Role.INPUT}
    outside = [part.ref for part in inventory.components if part.role in others]
    if outside:
        yield {"aggregate": "unknown", "dependencies": outside}


def _makers(parties: tuple[Party, ...]) -> dict[str, JSONDocument]:
    """Split who made something into an organisation, of which there is one, and all others, as CycloneDX does."""
    organisation = next((party for party in parties if not party.person), None)
    others = [_contact(party) for party in parties if party is not organisation]
    found: dict[str, JSONDocument] = {"manufacturer": _organisation(organisation)} if organisation else {}
    return found | ({"authors": others} if others else {})


def _organisation(party: Party) -> dict[str, JSONDocument]:
    """Return an organizationalEntity; a person is one whose contact is that person."""
    found: dict[str, JSONDocument] = {"name": party.name}
    if party.url and _URI.fullmatch(party.url):
        found["url"] = [party.url]
    contact = _contact(party)
    return found | ({"contact": [contact]} if party.person or "email" in contact else {})


def _contact(party: Party) -> dict[str, JSONDocument]:
    found: dict[str, JSONDocument] = {"name": party.name}
    return found | ({"email": party.email} if party.email and "@" in party.email else {})
