"""Verification policies: the only place that decides about the signer of a bundle and the signed statement.

Policies raise instead of returning a verdict, so a caller can't forget to check it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..attest.bundle import CertificateMaterial
from ..attest.dsse import pae
from ..attest.statement import PAYLOAD_TYPE
from ..errors import VerificationError, quoted
from ..record import RECORD_PAYLOAD_TYPE

if TYPE_CHECKING:
    from ..attest.bundle import Bundle
    from ..attest.statement import Statement
    from ..digest import Digest
    from ..record import Record
    from .trust import Trust, TrustedKey


class Policy(Protocol):
    """A condition that a statement must meet."""

    def check(self, statement: Statement) -> None:
        """Return if the statement meets the condition.

        Raises:
            VerificationError: it does not.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class OfType:
    """The predicate has this type, so that evidence of one kind is not accepted as another."""

    predicate_type: str

    def check(self, statement: Statement) -> None:
        """Compare the types exactly.

        Raises:
            VerificationError: they differ.
        """
        if statement.predicate_type != self.predicate_type:
            raise VerificationError(
                f"the statement is of type {quoted(statement.predicate_type)}, not `{self.predicate_type}`"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The subject is this artifact: sha256 is required and must match; sha512 must match if present."""

    artifact: Digest

    def check(self, statement: Statement) -> None:
        """Compare the digests; the subject's name is not evidence.

        Raises:
            VerificationError: the subject is another artifact, or has no sha256.
        """
        sha256 = statement.digest.get("sha256")
        if sha256 is None:
            raise VerificationError("the statement has no sha256 of its subject")
        if sha256 != self.artifact.sha256:
            raise VerificationError(
                f"the statement is about {quoted(statement.name)} with sha256:{sha256}, the artifact is {self.artifact}"
            )
        if statement.digest.get("sha512", self.artifact.sha512) != self.artifact.sha512:
            raise VerificationError("the statement has the artifact's sha256, but another sha512")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The subject has this name, so that an artifact can't be presented under another name."""

    name: str

    def check(self, statement: Statement) -> None:
        """Compare the names exactly.

        Raises:
            VerificationError: they differ.
        """
        if statement.name != self.name:
            raise VerificationError(f"the statement is about a file named {quoted(statement.name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    """All of these policies; an empty list is an error, as it would accept everything."""

    policies: tuple[Policy, ...]

    def __post_init__(self) -> None:
        """Refuse an empty list.

        Raises:
            VerificationError: the list is empty.
        """
        if not self.policies:
            raise VerificationError("a policy without conditions accepts nothing")

    def check(self, statement: Statement) -> None:
        """Check each policy in order.

        Raises:
            VerificationError: one of them is not met.
        """
        for policy in self.policies:
            policy.check(statement)


def trusted_signer(bundle: Bundle, trust: Trust) -> TrustedKey:
    """Return the trusted key that signed the bundle's payload as an in-toto statement.

    1. The bundle is signed with a key, not with a certificate.
    2. The key with the bundle's hint is trusted. The hint only selects the key; it proves nothing.
    3. That key signed payload type and payload.
    4. The payload type is in-toto's: a signature over another kind of payload does not count.

    Raises:
        VerificationError: one of these steps fails.
    """
    if isinstance(bundle.material, CertificateMaterial):
        raise VerificationError("signed with a certificate; this version verifies key signatures only")
    key = trust.find(bundle.material.hint)
    if key is None:
        trusted = "; ".join(f"{k.hint} from {k.origin}" for k in trust.keys)
        raise VerificationError(
            f"signed with a key that is not trusted: {quoted(bundle.material.hint)}",
            hint=f"trusted: {trusted}; pass another public key with `--key`",
        )
    envelope = bundle.envelope
    if not key.verifies(envelope.signature, envelope.signed_bytes()):
        raise VerificationError(f"the signature is invalid: {key.origin} did not sign this payload")
    if envelope.payload_type != PAYLOAD_TYPE:
        raise VerificationError(f"the payload is of type {quoted(envelope.payload_type)}, not `{PAYLOAD_TYPE}`")
    return key


def trusted_record_signer(record: Record, trust: Trust) -> TrustedKey:
    """Return the trusted key that signed the record, and with it the digest of the inputs.

    Raises:
        VerificationError: the record is not signed, the key is not trusted, or the signature is of another record.
    """
    if record.seal is None:
        raise VerificationError("the record is not signed")
    key = trust.find(record.seal.hint)
    if key is None:
        raise VerificationError(
            f"record signed with a key that is not trusted: {quoted(record.seal.hint)} "
            "(add its public key to `[signing] public-keys` to avoid a rebuild)"
        )
    if not key.verifies(record.seal.signature, pae(RECORD_PAYLOAD_TYPE, record.payload())):
        raise VerificationError(f"the record's signature is invalid: {key.origin} did not sign this record")
    return key
