"""Whom to trust: public keys, each with where it came from, so that a command can say which one it used."""

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
    """A public key (ECDSA on P-256) whose signatures are believed.

    Attributes:
        spki: SubjectPublicKeyInfo in DER.
        hint: as bundles name the key.
        origin: where it came from, for a person: a path and why it counts.
    """

    spki: bytes = field(repr=False)
    hint: str
    origin: str

    @classmethod
    def from_pem(cls, pem: bytes, *, origin: str) -> TrustedKey:
        """Read a public key: one SubjectPublicKeyInfo in PEM and nothing else.

        Raises:
            UnreadableError: it is something else, or not on P-256.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            PublicFormat,
            load_pem_public_key,
        )

        if b"PRIVATE KEY-----" in pem:
            raise UnreadableError(f"{origin} holds a private key", hint="give the public key that lies beside it")
        if not _PUBLIC_PEM.fullmatch(pem):
            raise UnreadableError(f"{origin} is not one public key in PEM (`-----BEGIN PUBLIC KEY-----`)")
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise UnreadableError(f"{origin} holds no public key that can be read: {error}") from error
        if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
            raise UnreadableError(f"{origin} holds a key that is not ECDSA on P-256")
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(spki=spki, hint=key_hint(spki), origin=origin)

    def made(self, signature: bytes, message: bytes) -> bool:
        """Return whether this key signed `message` (ECDSA with SHA-256, signature in DER).

        To every ECDSA signature (r, s) belongs another valid one, (r, n-s), that anybody can compute, and signers
        make either. So a signature says that the key signed the message; its own bytes identify nothing.
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
            # One encoding for each pair of numbers: no trailing bytes, no padded lengths, whatever the backend allows.
            if encode_dss_signature(*decode_dss_signature(signature)) != signature:
                return False
            key.verify(signature, message, ECDSA(SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The keys that are trusted; at least one.

    Raises:
        UsageError: there is none; trusting nobody would refuse everything, and never on purpose.
    """

    keys: tuple[TrustedKey, ...]

    def __post_init__(self) -> None:
        """Require at least one trusted key."""
        if not self.keys:
            raise UsageError(
                "there is no public key to verify with",
                hint="give one with `--key FILE`, or name it in `[signing] public-keys` of provenance.toml",
            )

    def find(self, hint: str) -> TrustedKey | None:
        """Return the trusted key of this hint."""
        return next((key for key in self.keys if key.hint == hint), None)


def trust_for(*, keys: Sequence[Path], configured: Sequence[Path], own: Path | None) -> Trust:
    """Return whom to trust: the `keys` of the command line alone, else those of the workspace and the user's own.

    Args:
        keys: files given with `--key`.
        configured: files of `[signing] public-keys`.
        own: the user's own public key; it may not exist yet.

    Raises:
        UnreadableError: a file can't be read or holds no public key.
        UsageError: there is no key at all.
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
        # A key that is there but out of reach is not the same as none.
        raise UnreadableError(f"can't read `{path}`: {error.strerror}") from error
    return True


def _read(path: Path, why: str) -> TrustedKey:
    origin = f"`{path}` ({why})"
    try:
        pem = read_limited(path, _LIMIT)
    except UnreadableError as error:
        raise UnreadableError(f"a key to verify with, {origin}: {error.message}", hint=error.hint) from error
    return TrustedKey.from_pem(pem, origin=origin)
