"""Bundles: the closed JSON of Sigstore bundle v0.3."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from doit_provenance.provenance.attest.bundle import (
    LIMIT,
    Bundle,
    CertificateMaterial,
    KeyMaterial,
    key_hint,
    write_key_bundle,
)
from doit_provenance.provenance.attest.dsse import Envelope
from doit_provenance.provenance.errors import UnreadableError

ENVELOPE = Envelope(payload=b"{}", payload_type="application/vnd.in-toto+json", signature=b"signature")


def _document(**material: object) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(write_key_bundle(ENVELOPE, hint="hint"))
    if material:
        document["verificationMaterial"] = material
    return document


def _read(document: object) -> Bundle:
    return Bundle.from_json(json.dumps(document).encode())


def test_round_trip_and_the_exact_bytes() -> None:
    data = write_key_bundle(ENVELOPE, hint="hint")
    assert Bundle.from_json(data) == Bundle(envelope=ENVELOPE, material=KeyMaterial(hint="hint"))
    assert data == (
        b'{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",'
        b'"verificationMaterial":{"publicKey":{"hint":"hint"}},'
        b'"dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json",'
        b'"signatures":[{"sig":"c2lnbmF0dXJl"}]}}\n'
    )


def test_hint_is_base64_of_the_sha256() -> None:
    assert key_hint(b"") == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def test_log_entries_and_timestamps_of_other_signers_may_be_there() -> None:
    found = _read(_document(publicKey={"hint": "hint"}, tlogEntries=[{"logIndex": "1"}], timestampVerificationData={}))
    assert found.material == KeyMaterial(hint="hint")


def test_a_certificate_is_recognised() -> None:
    raw = base64.b64encode(b"der").decode()
    assert _read(_document(certificate={"rawBytes": raw}, tlogEntries=[])).material == CertificateMaterial(
        certificate=b"der"
    )


@pytest.mark.parametrize(
    "material",
    [
        {"publicKey": {"hint": "hint"}, "certificate": {"rawBytes": "AQ=="}},
        {"tlogEntries": []},
        {"publicKey": {}},
        {"publicKey": {"hint": 1}},
        {"publicKey": {"hint": "hint", "rawBytes": "AQ=="}},
        {"publicKey": None},
        {"public_key": {"hint": "hint"}},
        {"publicKey": {"hint": "hint"}, "tlogEntries": {}},
        {"publicKey": {"hint": "hint"}, "timestampVerificationData": []},
        {"x509CertificateChain": {"certificates": []}},
        {"certificate": {"rawBytes": "AQ"}},
    ],
)
def test_refuses_other_verification_material(material: dict[str, object]) -> None:
    with pytest.raises(UnreadableError):
        _read(_document(**material))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.2"}, "`mediaType` must be"),
        ({"mediaType": "application/vnd.dev.sigstore.bundle.v0.4+json"}, "`mediaType` must be"),
        ({"messageSignature": {}}, "not a statement"),
        ({"media_type": ""}, "not a field"),
        ({"dsseEnvelope": []}, "`dsseEnvelope` must be an object"),
    ],
)
def test_refuses_other_bundles(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        _read(_document() | changes)


@pytest.mark.parametrize("key", ["mediaType", "verificationMaterial", "dsseEnvelope"])
def test_every_part_is_needed(key: str) -> None:
    document = _document()
    del document[key]
    with pytest.raises(UnreadableError, match=f"`{key}` is missing"):
        _read(document)


def test_reads_no_more_than_the_limit() -> None:
    with pytest.raises(UnreadableError, match="larger than"):
        Bundle.from_json(b" " * (LIMIT + 1))
