"""The local signing key: ECDSA P-256 with SHA-256, the key type that every Sigstore verifier supports.

It is created on first use, outside the repository and never implicitly in CI. Neither `repr` nor error messages
contain secrets.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..attest.bundle import key_hint, write_key_bundle
from ..attest.dsse import Envelope, pae
from ..attest.statement import PAYLOAD_TYPE
from ..digest import read_limited
from ..errors import KeyFileError
from ..record import RECORD_PAYLOAD_TYPE, RecordSignature
from . import keyfile
from .keyfile import KEY_VARIABLE, is_ci, public_path

# cryptography is slow to import, and `doit list` does not need it: import it where it is used.
if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from ..record import Record
    from .passphrase import PassphraseSource

_PUBLIC_LIMIT = 64 << 10
_MAKE = "openssl ecparam -genkey -name prime256v1 -noout"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalKey:
    """A loaded private key.

    Attributes:
        path: the private key file.
        public_pem: the public key, SubjectPublicKeyInfo in PEM.
        hint: the public key's hint, as used in bundles.
    """

    path: Path
    public_pem: bytes
    hint: str
    _private: EllipticCurvePrivateKey = field(repr=False, compare=False)

    @property
    def public_path(self) -> Path:
        """The public key file that `doit verify` uses, beside the private key."""
        return public_path(self.path)

    def sign_statement(self, statement: bytes) -> bytes:
        """Sign a statement and return a Sigstore bundle with exactly these bytes as its payload."""
        envelope = Envelope(
            payload=statement, payload_type=PAYLOAD_TYPE, signature=self._sign(pae(PAYLOAD_TYPE, statement))
        )
        return write_key_bundle(envelope, hint=self.hint)

    def sign_record(self, record: Record) -> Record:
        """Return the record with a signature of this key."""
        signature = self._sign(pae(RECORD_PAYLOAD_TYPE, record.payload()))
        return replace(record, seal=RecordSignature(hint=self.hint, signature=signature))

    def _sign(self, message: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.hashes import SHA256

        return self._private.sign(message, ECDSA(SHA256()))


def load_key(path: Path, passphrase: PassphraseSource) -> LocalKey:
    """Load the private key at `path`.

    Raises:
        KeyFileError: it is missing, unsafe (see `keyfile.read_private`), not a P-256 key, or can't be decrypted.
        UnreadableError: the passphrase file can't be read.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    private = _decode(path, keyfile.read_private(path), passphrase)
    if not isinstance(private, EllipticCurvePrivateKey) or not isinstance(private.curve, SECP256R1):
        raise KeyFileError(f"the key `{path}` is not an ECDSA key on P-256", hint=f"create one: {_MAKE}")
    public = private.public_key()
    return LocalKey(
        path=path,
        public_pem=public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        hint=key_hint(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
        _private=private,
    )


def load_or_create(
    path: Path, passphrase: PassphraseSource, *, workspace: Path | None, environ: Mapping[str, str]
) -> LocalKey:
    """Load the private key at `path`; create it if missing, encrypted if a passphrase is set.

    The public key is written beside it, unless the folder is read-only (a mounted secret). Concurrent processes end up
    with the same key.

    Args:
        path: the private key file; usually `default_key_path`.
        passphrase: only used for encrypted keys.
        workspace: the repository; no key is created inside it. `None`: outside a repository.
        environ: used to detect CI, where no key is created.

    Raises:
        KeyFileError: as `load_key`; or the key is missing and may not be created; or the public key beside it does not
            belong to it.
        UnreadableError: the passphrase file or the public key can't be read.
    """
    if path == public_path(path):
        raise KeyFileError(f"`{path}` is named as a public key", hint="private keys are named `NAME.pem`")
    if not os.path.lexists(path):
        _refuse_to_create(path, workspace, environ)
        keyfile.create_private(path, _new_key(passphrase))
    key = load_key(path, passphrase)
    _keep_public(key)
    return key


def _refuse_to_create(path: Path, workspace: Path | None, environ: Mapping[str, str]) -> None:
    if is_ci(environ):
        raise KeyFileError(
            f"no signing key at `{path}`, and none is created in CI, where it would be lost",
            hint=f"create a key once ({_MAKE}), store it as a secret, write it to a file with mode 0600 "
            f"and set `{KEY_VARIABLE}` to its path",
        )
    if workspace is not None and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(workspace)):
        raise KeyFileError(
            f"no key is created at `{path}`: it is inside the repository and could be committed",
            hint=f"set `{KEY_VARIABLE}` to a path outside the repository",
        )


def _new_key(passphrase: PassphraseSource) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    given = passphrase.given()
    protection = NoEncryption() if given is None else BestAvailableEncryption(given)
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def _decode(path: Path, pem: bytes, passphrase: PassphraseSource) -> object:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    # `from None`: the decoder's message may quote parts of the key.
    try:
        return load_pem_private_key(pem, password=None)
    except TypeError:
        pass  # encrypted
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(f"`{path}` is not a private key in PEM", hint=f"create one: {_MAKE}") from None
    secret = passphrase.required_for(path)
    try:
        return load_pem_private_key(pem, password=secret)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(f"the key `{path}` can't be decrypted: the passphrase is wrong") from None


def _keep_public(key: LocalKey) -> None:
    path = key.public_path
    if os.path.lexists(path):
        if read_limited(path, _PUBLIC_LIMIT) != key.public_pem:
            raise KeyFileError(
                f"`{path}` is not the public key of `{key.path}`", hint=f"remove `{path}`; it will be written again"
            )
        return
    try:
        keyfile.replace_public(path, key.public_pem)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise KeyFileError(f"can't write the public key `{path}`: {error.strerror}") from error
