"""What is judged, and the only place that judges: the signer of a bundle, and what the signed statement says.

Every rule raises; none returns a verdict that somebody could forget to look at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..attest.bundle import CertificateMaterial
from ..attest.dsse import pae
from ..attest.statement import PAYLOAD_TYPE
from ..errors import VerificationError, quoted
from ..record import SEAL_TYPE

if TYPE_CHECKING:
    from ..attest.bundle import Bundle
    from ..attest.statement import Statement
    from ..digest import Digest
    from ..record import Record
    from .trust import Trust, TrustedKey


class Policy(Protocol):
    """A rule about a statement."""

    def judge(self, statement: Statement) -> None:
        """Return if the statement keeps the rule.

        Raises:
            VerificationError: it does not.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class OfType:
    """The predicate is of this type: evidence of one kind never passes for another."""

    predicate_type: str

    def judge(self, statement: Statement) -> None:
        """Compare the types, character by character.

        Raises:
            VerificationError: they differ.
        """
        if statement.predicate_type != self.predicate_type:
            raise VerificationError(
                f"the statement is of type {quoted(statement.predicate_type)}, not `{self.predicate_type}`"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The statement's one subject is this artifact: sha256 must be named and equal, sha512 equal where it is named."""

    artifact: Digest

    def judge(self, statement: Statement) -> None:
        """Compare the digests; the subject's name says nothing about the bytes.

        Raises:
            VerificationError: the statement is about something else, or does not say by sha256 what it is about.
        """
        said = statement.digest.get("sha256")
        if said is None:
            raise VerificationError("the statement does not name its subject by sha256")
        if said != self.artifact.sha256:
            raise VerificationError(
                f"the statement is about {quoted(statement.name)} with sha256:{said}, the artifact is {self.artifact}"
            )
        if statement.digest.get("sha512", self.artifact.sha512) != self.artifact.sha512:
            raise VerificationError("the statement names the artifact's sha256, but another sha512")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The subject has this name: where a name is shown as a fact, no artifact is passed off as another program."""

    name: str

    def judge(self, statement: Statement) -> None:
        """Compare the names, character by character.

        Raises:
            VerificationError: they differ.
        """
        if statement.name != self.name:
            raise VerificationError(f"the statement is about a file named {quoted(statement.name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    """Each of these rules. All of nothing would accept everything, so it is refused."""

    policies: tuple[Policy, ...]

    def __post_init__(self) -> None:
        """Refuse an empty list.

        Raises:
            VerificationError: there is no rule.
        """
        if not self.policies:
            raise VerificationError("a policy without a rule accepts nothing")

    def judge(self, statement: Statement) -> None:
        """Judge by each rule, in order.

        Raises:
            VerificationError: one is not kept.
        """
        for policy in self.policies:
            policy.judge(statement)


def trusted_signer(bundle: Bundle, trust: Trust) -> TrustedKey:
    """Return the trusted key that signed the bundle's payload as an in-toto statement.

    1. The bundle names a key, not a certificate.
    2. The key that it names is trusted. The name chooses the key and proves nothing.
    3. That key made the signature over payload type and payload.
    4. The payload's type is in-toto's: a signature over something else is none over a statement.

    Raises:
        VerificationError: one of these does not hold.
    """
    if isinstance(bundle.material, CertificateMaterial):
        raise VerificationError("signed with a certificate; this version verifies key signatures only")
    key = trust.find(bundle.material.hint)
    if key is None:
        trusted = "; ".join(f"{trusted.hint} of {trusted.origin}" for trusted in trust.keys)
        raise VerificationError(
            f"signed with a key that is not trusted: {quoted(bundle.material.hint)}",
            hint=f"trusted: {trusted}; another public key can be given with `--key`",
        )
    envelope = bundle.envelope
    if not key.made(envelope.signature, envelope.signed_bytes()):
        raise VerificationError(f"the signature does not hold: {key.origin} did not sign this payload")
    if envelope.payload_type != PAYLOAD_TYPE:
        raise VerificationError(f"the payload is of type {quoted(envelope.payload_type)}, not `{PAYLOAD_TYPE}`")
    return key


def trusted_sealer(record: Record, trust: Trust) -> TrustedKey:
    """Return the trusted key whose holder vouches for the record's inputs digest.

    Raises:
        VerificationError: nobody does, or somebody who is not trusted, or the seal is of another record.
    """
    if record.seal is None:
        raise VerificationError("the record is not signed")
    key = trust.find(record.seal.hint)
    if key is None:
        raise VerificationError(
            f"sealed with a key that is not trusted: {quoted(record.seal.hint)} "
            "(its public half among `[signing] public-keys` would save a build)"
        )
    if not key.made(record.seal.signature, pae(SEAL_TYPE, record.payload())):
        raise VerificationError(f"its seal does not hold: {key.origin} did not seal this record")
    return key
