"""References to a component's own SBOMs: the documents, by digest, and the component's identifier in each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..digest import digest_bytes
from ..errors import UnreadableError
from ..json import JSONObject, read_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .encoder import JSONDocument

_DOCUMENT = "SPDXRef-DOCUMENT"
_URN = "urn:uuid:"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LIMIT = 64 << 20
"""Bytes of an SBOM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SPDXReference:
    """A package of another SPDX document (SPDX 2.3, 6.6): its namespace, the package's id, the file's sha256."""

    namespace: str
    id: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CycloneDXReference:
    """A component of another CycloneDX document (BOM-Link): serial number, version, `bom-ref`, the file's sha256."""

    serial: str
    version: int
    ref: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The SBOMs of an artifact that is a component of another one.

    Attributes:
        artifact: its id, as `cargo:wash@x86_64-unknown-linux-gnu`.
    """

    artifact: str
    spdx: SPDXReference
    cyclonedx: CycloneDXReference


def refer(artifact: str, *, spdx: bytes, cyclonedx: bytes) -> Reference:
    """Return the reference to the subject of an artifact's two SBOMs, as the bytes themselves name it.

    Raises:
        UnreadableError: one of them is no such document, or does not say what it describes.
    """
    try:
        return Reference(artifact=artifact, spdx=_of_spdx(spdx), cyclonedx=_of_cyclonedx(cyclonedx))
    except UnreadableError as error:
        raise UnreadableError(f"an SBOM of `{artifact}` can't be referred to: {error.message}") from error


def _of_spdx(data: bytes) -> SPDXReference:
    document = read_object(data, what="the SPDX document", limit=_LIMIT)
    described = [
        found.name("relatedSpdxElement")
        for found in document.children("relationships")
        if found.found.get("spdxElementId") == _DOCUMENT and found.found.get("relationshipType") == "DESCRIBES"
    ]
    if len(described) != 1:
        raise document.error("relationships", "must say that the document describes exactly one thing")
    return SPDXReference(
        namespace=document.name("documentNamespace"), id=described[0], sha256=digest_bytes(data).sha256
    )


def _of_cyclonedx(data: bytes) -> CycloneDXReference:
    document = read_object(data, what="the CycloneDX document", limit=_LIMIT)
    serial = document.name("serialNumber")
    if not serial.startswith(_URN):
        raise document.error("serialNumber", "must be a UUID as URN")
    return CycloneDXReference(
        serial=serial.removeprefix(_URN),
        version=document.count("version"),
        ref=document.child("metadata").child("component").name("bom-ref"),
        sha256=digest_bytes(data).sha256,
    )


def to_json(reference: Reference) -> Mapping[str, JSONDocument]:
    """Return the JSON of a reference in an inventory."""
    spdx, cyclonedx = reference.spdx, reference.cyclonedx
    return {
        "artifact": reference.artifact,
        "spdx": {"namespace": spdx.namespace, "id": spdx.id, "sha256": spdx.sha256},
        "cyclonedx": {
            "serial": cyclonedx.serial,
            "version": cyclonedx.version,
            "ref": cyclonedx.ref,
            "sha256": cyclonedx.sha256,
        },
    }


def read_reference(found: JSONObject) -> Reference:
    """Parse the output of `to_json`.

    Raises:
        UnreadableError: it is something else; the message has the path to the offending key.
    """
    spdx, cyclonedx = found.child("spdx"), found.child("cyclonedx")
    for table, kind in ((found, Reference), (spdx, SPDXReference), (cyclonedx, CycloneDXReference)):
        table.refuse_others(kind.__dataclass_fields__)
    return Reference(
        artifact=found.name("artifact"),
        spdx=SPDXReference(namespace=spdx.name("namespace"), id=spdx.name("id"), sha256=_sha256(spdx)),
        cyclonedx=CycloneDXReference(
            serial=cyclonedx.name("serial"),
            version=cyclonedx.count("version"),
            ref=cyclonedx.name("ref"),
            sha256=_sha256(cyclonedx),
        ),
    )


def _sha256(found: JSONObject) -> str:
    return found.matching("sha256", _SHA256, "a sha256 in hex")
