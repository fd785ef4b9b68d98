"""Another SBOM that says more of a component: which document, by digest, and what the component is called in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..digest import digest_bytes
from ..errors import UnreadableError
from ..json import JSONValue, read_json
from .reader import Reader, as_count, as_list_of, as_made_by, as_members, as_name, as_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .encoder import JSONDocument

_DOCUMENT = "SPDXRef-DOCUMENT"
_URN = "urn:uuid:"


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
    """The SBOMs of an artifact, of which the component that has this is a copy.

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
    except (ValueError, KeyError) as error:
        raise UnreadableError(f"an SBOM of `{artifact}` can't be referred to: {error}") from error


def _of_spdx(data: bytes) -> SPDXReference:
    document = as_members(read_json(data))
    relationships = as_list_of(as_members)(document["relationships"])
    described = [
        as_name(found["relatedSpdxElement"])
        for found in relationships
        if found.get("spdxElementId") == _DOCUMENT and found.get("relationshipType") == "DESCRIBES"
    ]
    if len(described) != 1:
        raise ValueError("it does not describe exactly one thing")
    return SPDXReference(
        namespace=as_name(document["documentNamespace"]), id=described[0], sha256=digest_bytes(data).sha256
    )


def _of_cyclonedx(data: bytes) -> CycloneDXReference:
    document = as_members(read_json(data))
    serial = as_name(document["serialNumber"])
    if not serial.startswith(_URN):
        raise ValueError("its serial number is no UUID")
    return CycloneDXReference(
        serial=serial.removeprefix(_URN),
        version=as_count(document["version"]),
        ref=as_name(as_members(as_members(document["metadata"])["component"])["bom-ref"]),
        sha256=digest_bytes(data).sha256,
    )


def to_json(reference: Reference) -> Mapping[str, JSONDocument]:
    """Return the reference as the inventory has it."""
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


def as_reference(value: JSONValue) -> Reference:
    """Read what `to_json` gave.

    Raises:
        ValueError: it is something else.
    """
    found: Reference = as_made_by(Reference, _REFERENCE)(value)
    return found


_SPDX: Mapping[str, Reader] = {"namespace": as_name, "id": as_name, "sha256": as_sha256}
_CYCLONEDX: Mapping[str, Reader] = {"serial": as_name, "version": as_count, "ref": as_name, "sha256": as_sha256}
_REFERENCE: Mapping[str, Reader] = {
    "artifact": as_name,
    "spdx": as_made_by(SPDXReference, _SPDX),
    "cyclonedx": as_made_by(CycloneDXReference, _CYCLONEDX),
}
