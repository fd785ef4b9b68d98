"""Sigstore bundle v0.3 around a DSSE envelope (sigstore/protobuf-specs, sigstore_bundle.proto, in ProtoJSON)."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass

from ..errors import UnreadableError
from ..json import JSONObject, read_object
from . import statement
from .dsse import Envelope, decode_base64

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"

LIMIT = (statement.LIMIT // 3 + 1) * 4 + (1 << 20)
"""Bytes of a bundle: the largest statement in base64, and room for certificates and log entries."""

_WHAT = "the bundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMaterial:
    """Signed with a key that the verifier must already have; the hint selects it and is not evidence."""

    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateMaterial:
    """Signed with the key of a certificate (DER): keyless signing."""

    certificate: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A signed statement with its verification material.

    Transparency log entries and timestamps of key-signed bundles are ignored, as trust in a key does not depend on
    the time of signing.
    """

    envelope: Envelope
    material: KeyMaterial | CertificateMaterial

    @classmethod
    def from_json(cls, data: bytes) -> Bundle:
        """Read a bundle strictly.

        The format is closed, as for every ProtoJSON reader: another field needs another media type.

        Raises:
            UnreadableError: it is not a version 0.3 bundle with a DSSE envelope.
        """
        document = read_object(data, what=_WHAT, limit=LIMIT)
        if document.text("mediaType") != MEDIA_TYPE:
            raise document.error("mediaType", f"must be `{MEDIA_TYPE}`")
        if "messageSignature" in document.found:
            raise UnreadableError(
                f"{_WHAT} signs a file's digest (`messageSignature`), not a statement",
                hint="use a bundle that contains an attestation (`dsseEnvelope`)",
            )
        document.refuse_others(("mediaType", "verificationMaterial", "dsseEnvelope"))
        return cls(
            envelope=Envelope.from_document(document.child("dsseEnvelope")),
            material=_material(document.child("verificationMaterial")),
        )


def write_key_bundle(envelope: Envelope, *, hint: str) -> bytes:
    """Return the bundle for an envelope signed with the key with this `hint`."""
    document = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": hint}},
        "dsseEnvelope": envelope.to_document(),
    }
    return (json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def key_hint(spki: bytes) -> str:
    """Return the hint of a public key (SubjectPublicKeyInfo in DER): base64 of its sha256, as cosign writes it."""
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


def _material(document: JSONObject) -> KeyMaterial | CertificateMaterial:
    document.refuse_others(("publicKey", "certificate", "tlogEntries", "timestampVerificationData"))
    if "tlogEntries" in document.found:
        document.children("tlogEntries")
    document.optional_child("timestampVerificationData")
    match "publicKey" in document.found, "certificate" in document.found:
        case True, False:
            key = document.child("publicKey")
            key.refuse_others(("hint",))
            return KeyMaterial(hint=key.text("hint"))
        case False, True:
            certificate = document.child("certificate")
            certificate.refuse_others(("rawBytes",))
            return CertificateMaterial(certificate=decode_base64(certificate, "rawBytes"))
    raise UnreadableError(f"{_WHAT} must hold exactly one of `publicKey` and `certificate` in `verificationMaterial`")
