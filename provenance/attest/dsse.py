"""DSSE envelopes: signed bytes and serialisation (secure-systems-lab/dsse, v1)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..json import JSONObject, JSONValue


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the signed bytes: the pre-authentication encoding (DSSE v1, protocol.md)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A payload with one signature.

    DSSE allows several signatures, a Sigstore bundle exactly one (bundle v0.3, dsse_envelope).

    Attributes:
        payload: the signed bytes, never re-serialised.
        payload_type: its media type, which is signed too.
        signature: for ECDSA in DER.
    """

    payload: bytes
    payload_type: str
    signature: bytes

    def signed_bytes(self) -> bytes:
        """Return the bytes that the signature covers."""
        return pae(self.payload_type, self.payload)

    def to_document(self) -> dict[str, JSONValue]:
        """Return the envelope as JSON (DSSE v1, envelope.md)."""
        return {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [{"sig": base64.b64encode(self.signature).decode()}],
        }

    @classmethod
    def from_document(cls, document: JSONObject) -> Envelope:
        """Read an envelope strictly. `keyid` is accepted but not used for decisions (DSSE v1, protocol.md).

        Raises:
            UnreadableError: it is malformed, or does not have exactly one signature.
        """
        document.refuse_others(("payload", "payloadType", "signatures"))
        signatures = document.children("signatures")
        if len(signatures) != 1:
            raise document.error("signatures", f"must hold exactly one signature, not {len(signatures)}")
        signature = signatures[0]
        signature.refuse_others(("sig", "keyid"))
        signature.optional_text("keyid")
        return cls(
            payload=decode_base64(document, "payload"),
            payload_type=document.text("payloadType"),
            signature=decode_base64(signature, "sig"),
        )


def decode_base64(document: JSONObject, key: str) -> bytes:
    """Decode the base64 text at `key`.

    The standard and the URL-safe alphabet are allowed (DSSE v1, protocol.md; ProtoJSON), but not mixed. The encoding
    must be canonical: no white space, no stray bits, correct padding.

    Raises:
        UnreadableError: it is missing or not canonical base64.
    """
    text = document.text(key)
    url_safe = "-" in text or "_" in text
    encode, decode = (
        (base64.urlsafe_b64encode, base64.urlsafe_b64decode) if url_safe else (base64.b64encode, base64.b64decode)
    )
    try:
        encoded = text.encode("ascii")
        decoded = decode(encoded)
    except ValueError as error:
        raise document.error(key, f"is not base64: {error}") from error
    # The decoder ignores foreign characters and stray bits; encoding again reveals them.
    if encode(decoded) != encoded:
        raise document.error(key, "is not the canonical base64 of its bytes")
    return decoded
