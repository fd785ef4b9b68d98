"""The rules about signer and statement, each with what it must refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.attest.bundle import Bundle, CertificateMaterial, KeyMaterial
from doit_provenance.provenance.attest.dsse import Envelope
from doit_provenance.provenance.attest.statement import PAYLOAD_TYPE, PROVENANCE, SPDX, Statement
from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import VerificationError
from doit_provenance.provenance.record import RECORD_PAYLOAD_TYPE, Record, RecordSignature
from doit_provenance.provenance.verify.policy import About, AllOf, OfType, trusted_record_signer, trusted_signer

if TYPE_CHECKING:
    from doit_provenance.provenance.sign.key import LocalKey
    from doit_provenance.provenance.verify.trust import Trust

ARTIFACT, OTHER = digest_bytes(b"artifact"), digest_bytes(b"other")


def _statement(predicate_type: str = SPDX, **digest: str) -> Statement:
    return Statement(
        name="\x1b[2Jwash",
        digest=digest or {"sha256": ARTIFACT.sha256},
        predicate_type=predicate_type,
        predicate={},
        predicate_bytes=None,
    )


def test_all_of_nothing_is_an_error() -> None:
    with pytest.raises(VerificationError, match="without conditions"):
        AllOf(policies=())


def test_all_of_asks_every_rule() -> None:
    rules = (OfType(predicate_type=SPDX), About(artifact=ARTIFACT))
    AllOf(policies=rules).check(_statement())
    for bad in (_statement(PROVENANCE), _statement(sha256=OTHER.sha256)):
        for order in (rules, rules[::-1]):
            with pytest.raises(VerificationError):
                AllOf(policies=order).check(bad)


@pytest.mark.parametrize(
    "found",
    [
        "https://spdx.dev/Document",
        SPDX + "/",
        SPDX.upper(),
        " " + SPDX,
        SPDX + "\x00",
        "https://spdx.dev/Document/v2.\u0663",
        "",
    ],
)
def test_types_are_compared_character_by_character(found: str) -> None:
    with pytest.raises(VerificationError, match="is of type"):
        OfType(predicate_type=SPDX).check(_statement(found))


@pytest.mark.parametrize(
    ("digest", "reason"),
    [
        ({"sha256": OTHER.sha256}, "is about"),
        ({"sha256": OTHER.sha256, "sha512": ARTIFACT.sha512}, "is about"),
        ({"sha256": ARTIFACT.sha256, "sha512": OTHER.sha512}, "another sha512"),
        ({"sha512": ARTIFACT.sha512}, "no sha256"),
        ({"sha1": "0" * 40}, "no sha256"),
    ],
)
def test_about_another_artifact(digest: dict[str, str], reason: str) -> None:
    with pytest.raises(VerificationError, match=reason) as caught:
        About(artifact=ARTIFACT).check(_statement(**digest))
    assert "\x1b" not in str(caught.value)


def test_about_this_artifact() -> None:
    for digest in ({"sha256": ARTIFACT.sha256}, {"sha256": ARTIFACT.sha256, "sha512": ARTIFACT.sha512, "gitBlob": "1"}):
        About(artifact=ARTIFACT).check(_statement(**digest))


def test_a_certificate_is_said_to_be_one(trust: Trust) -> None:
    envelope = Envelope(payload=b"{}", payload_type="", signature=b"")
    bundle = Bundle(envelope=envelope, material=CertificateMaterial(certificate=b"der"))
    with pytest.raises(VerificationError, match="signed with a certificate; this version verifies key signatures only"):
        trusted_signer(bundle, trust)


@pytest.mark.parametrize("hint", ["", "hint", "\x1b[2J"])
def test_an_unknown_hint_names_what_is_trusted(trust: Trust, hint: str) -> None:
    envelope = Envelope(payload=b"{}", payload_type="", signature=b"")
    with pytest.raises(VerificationError, match="not trusted") as caught:
        trusted_signer(Bundle(envelope=envelope, material=KeyMaterial(hint=hint)), trust)
    assert trust.keys[0].hint in str(caught.value.hint)
    assert trust.keys[0].origin in str(caught.value.hint)
    assert "\x1b" not in str(caught.value)


RECORD = Record(
    artifact="cargo:wash@any",
    file="wash",
    digest=ARTIFACT,
    inputs="0" * 64,
    evidence={"wash.spdx.json": "1" * 64},
    generator="0.1.0",
)


def test_seal_of_a_trusted_key_names_it(key: LocalKey, trust: Trust) -> None:
    assert trusted_record_signer(key.sign_record(RECORD), trust) == trust.keys[0]


def test_record_without_a_seal_has_no_sealer(trust: Trust) -> None:
    with pytest.raises(VerificationError, match="the record is not signed"):
        trusted_record_signer(RECORD, trust)


def test_seal_of_a_stranger_is_named_without_what_a_terminal_would_obey(stranger: LocalKey, trust: Trust) -> None:
    sealed = stranger.sign_record(RECORD)
    with pytest.raises(VerificationError, match="record signed with a key that is not trusted"):
        trusted_record_signer(sealed, trust)
    assert sealed.seal is not None
    with pytest.raises(VerificationError, match="not trusted") as caught:
        trusted_record_signer(replace(sealed, seal=replace(sealed.seal, hint="\x1b[2J")), trust)
    assert "\x1b" not in str(caught.value)


def test_hint_of_a_trusted_key_over_a_strangers_seal_is_no_seal(
    key: LocalKey, stranger: LocalKey, trust: Trust
) -> None:
    sealed = stranger.sign_record(RECORD)
    assert sealed.seal is not None
    with pytest.raises(VerificationError, match="did not sign this record"):
        trusted_record_signer(replace(sealed, seal=replace(sealed.seal, hint=key.hint)), trust)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("artifact", "cargo:other@any"),
        ("file", "other"),
        ("digest", OTHER),
        ("inputs", "2" * 64),
        ("evidence", {"wash.spdx.json": "2" * 64}),
        ("generator", "0.2.0"),
    ],
)
def test_seal_of_another_record_is_none(key: LocalKey, trust: Trust, field: str, value: object) -> None:
    forged = replace(key.sign_record(RECORD), **{field: value})  # type: ignore[arg-type] # each of its field's type
    with pytest.raises(VerificationError, match="did not sign this record"):
        trusted_record_signer(forged, trust)


def test_signature_over_a_statement_is_no_seal(key: LocalKey, trust: Trust) -> None:
    """Even one whose payload is the record, letter by letter."""
    envelope = Bundle.from_json(key.sign_statement(RECORD.payload())).envelope
    forged = replace(RECORD, seal=RecordSignature(hint=key.hint, signature=envelope.signature))
    with pytest.raises(VerificationError, match="did not sign this record"):
        trusted_record_signer(forged, trust)


def test_seal_is_no_signature_over_a_statement(key: LocalKey, trust: Trust) -> None:
    sealed = key.sign_record(RECORD)
    assert sealed.seal is not None
    for payload_type in (PAYLOAD_TYPE, RECORD_PAYLOAD_TYPE):
        envelope = Envelope(payload=RECORD.payload(), payload_type=payload_type, signature=sealed.seal.signature)
        with pytest.raises(VerificationError, match=r"is invalid|is of type"):
            trusted_signer(Bundle(envelope=envelope, material=KeyMaterial(hint=key.hint)), trust)


@pytest.mark.parametrize("signature", [b"", b"\0", b"\x30\x06\x02\x01\x00\x02\x01\x00", b"0" * 72])
def test_bytes_that_are_no_signature_are_no_seal(key: LocalKey, trust: Trust, signature: bytes) -> None:
    with pytest.raises(VerificationError, match="did not sign this record"):
        trusted_record_signer(replace(RECORD, seal=RecordSignature(hint=key.hint, signature=signature)), trust)
