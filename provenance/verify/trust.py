"""Trusted public keys, each with its origin, so that commands can show which key was used."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..attest.bundle import key_hint
from ..digest import read_limited
from ..errors import UnreadableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LIMIT = 64 << 10
_PUBLIC_PEM = re.compile(rb"\s*-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """A trusted public key (ECDSA on P-256).

    Attributes:
        spki: SubjectPublicKeyInfo in DER.
        hint: the key hint used in bundles.
        origin: for messages: path, and why the key is trusted.
    """

    spki: bytes = field(repr=False)
    hint: str
    origin: str

    @classmethod
    def from_pem(cls, pem: bytes, *, origin: str) -> TrustedKey:
        """Read a public key: exactly one SubjectPublicKeyInfo in PEM.

        Raises:
            UnreadableError: it is not such a key, or not on P-256.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            PublicFormat,
            load_pem_public_key,
        )

        if b"PRIVATE KEY-----" in pem:
            raise UnreadableError(f"{origin} is a private key", hint="use the public key beside it (`.pub`)")
        if not _PUBLIC_PEM.fullmatch(pem):
            raise UnreadableError(f"{origin} is not one public key in PEM (`-----BEGIN PUBLIC KEY-----`)")
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise UnreadableError(f"{origin} is not a readable public key: {error}") from error
        if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
            raise UnreadableError(f"{origin} is not an ECDSA key on P-256")
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(spki=spki, hint=key_hint(spki), origin=origin)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Return whether this key signed `message` (ECDSA with SHA-256, signature in DER).

        ECDSA signatures are malleable: if (r, s) is valid, so is (r, n-s). A signature proves that the key signed
        the message, but its bytes are not an identifier.
        """
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
        from cryptography.hazmat.primitives.asymmetric.utils import (
            decode_dss_signature,
            encode_dss_signature,
        )
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_der_public_key

        key = load_der_public_key(self.spki)
        if not isinstance(key, EllipticCurvePublicKey):
            raise TypeError("a trusted key is always an elliptic curve key")
        try:
            # Accept canonical DER only: no trailing bytes or padded lengths, whatever the backend allows.
            if encode_dss_signature(*decode_dss_signature(signature)) != signature:
                return False
            key.verify(signature, message, ECDSA(SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The trusted keys; at least one.

    Raises:
        UsageError: there is no key.
    """

    keys: tuple[TrustedKey, ...]

    def __post_init__(self) -> None:
        """Require at least one trusted key."""
        if not self.keys:
            raise UsageError(
                "no public key to verify with",
                hint="pass one with `--key FILE`, or add it to `[signing] public-keys` of provenance.toml",
            )

    def find(self, hint: str) -> TrustedKey | None:
        """Return the trusted key with this hint."""
        return next((key for key in self.keys if key.hint == hint), None)


def trust_for(*, keys: Sequence[Path], configured: Sequence[Path], own: Path | None) -> Trust:
    """Return the trusted keys: only `keys` if any are given, else those of the workspace and the user's own.

    Args:
        keys: files from `--key`.
        configured: files from `[signing] public-keys`.
        own: the user's own public key; may not exist yet.

    Raises:
        UnreadableError: a file can't be read or is not a public key.
        UsageError: there is no key.
    """
    if keys:
        found = [_read(path, "given with --key") for path in keys]
    else:
        found = [_read(path, "[signing] public-keys") for path in configured]
        if own is not None and _exists(own):
            found.append(_read(own, "your own key"))
    unique = {key.hint: key for key in reversed(found)}
    return Trust(keys=tuple(reversed(unique.values())))


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        # An existing key that can't be accessed is an error, unlike a missing one.
        raise UnreadableError(f"can't read `{path}`: {error.strerror}") from error
    return True


def _read(path: Path, why: str) -> TrustedKey:
    origin = f"`{path}` ({why})"
    try:
        pem = read_limited(path, _LIMIT)
    except UnreadableError as error:
        raise UnreadableError(f"trusted key {origin}: {error.message}", hint=error.hint) from error
    return TrustedKey.from_pem(pem, origin=origin)
