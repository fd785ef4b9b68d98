"""What a forger does to a bundle: all of it is refused, with an error of ours."""

from __future__ import annotations

import base64
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from doit_provenance.provenance.attest.bundle import Bundle, write_key_bundle
from doit_provenance.provenance.attest.dsse import Envelope, pae
from doit_provenance.provenance.attest.statement import PAYLOAD_TYPE, SPDX, make_statement
from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import ProvenanceError, UnreadableError, VerificationError
from doit_provenance.provenance.verify.trust import Trust, TrustedKey
from doit_provenance.provenance.verify.verifier import Verified, verify_bundle

if TYPE_CHECKING:
    from doit_provenance.provenance.sign.key import LocalKey

ARTIFACT = digest_bytes(b"artifact")
STATEMENT = make_statement(name="wash", digest=ARTIFACT, predicate_type=SPDX, predicate=b'{"a":1}')
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of P-256 (FIPS 186-5)."""


def _der(r: bytes, s: bytes) -> bytes:
    numbers = b"".join(b"\x02" + bytes([len(number)]) + number for number in (r, s))
    return b"\x30" + bytes([len(numbers)]) + numbers


def _verify(bundle: bytes, trust: Trust, predicate_type: str | None = SPDX) -> Verified:
    return verify_bundle(bundle, artifact=ARTIFACT, trust=trust, predicate_type=predicate_type)


@pytest.fixture(scope="module")
def genuine(key: LocalKey) -> bytes:
    return key.sign_statement(STATEMENT)


@pytest.fixture(scope="module")
def envelope(genuine: bytes) -> Envelope:
    return Bundle.from_json(genuine).envelope


def _forged(key: LocalKey, envelope: Envelope, **changes: Any) -> bytes:
    fields = {"payload": envelope.payload, "payload_type": envelope.payload_type, "signature": envelope.signature}
    return write_key_bundle(Envelope(**(fields | changes)), hint=key.hint)


def test_the_genuine_one_verifies(genuine: bytes, trust: Trust, key: LocalKey) -> None:
    for predicate_type in (SPDX, None):
        found = _verify(genuine, trust, predicate_type)
        assert found.signer.hint == key.hint
        assert found.statement.predicate_bytes == b'{"a":1}'


def test_each_flipped_byte_of_the_payload_is_refused(key: LocalKey, envelope: Envelope, trust: Trust) -> None:
    for index in range(len(envelope.payload)):
        for flip in (0x01, 0x20, 0x80):
            payload = bytearray(envelope.payload)
            payload[index] ^= flip
            with pytest.raises(VerificationError, match="did not sign this payload"):
                _verify(_forged(key, envelope, payload=bytes(payload)), trust)


def test_each_flipped_bit_of_the_signature_is_refused(key: LocalKey, envelope: Envelope, trust: Trust) -> None:
    for bit in range(8 * len(envelope.signature)):
        signature = bytearray(envelope.signature)
        signature[bit // 8] ^= 1 << bit % 8
        with pytest.raises(VerificationError, match="did not sign this payload"):
            _verify(_forged(key, envelope, signature=bytes(signature)), trust)


def test_other_encodings_of_the_signature_are_refused(key: LocalKey, envelope: Envelope, trust: Trust) -> None:
    genuine = envelope.signature
    r, s = decode_dss_signature(genuine)
    length = genuine[1]
    for signature in (
        b"",
        genuine + b"\x00",
        genuine[:-1],
        b"\x30\x81" + bytes([length]) + genuine[2:],  # a longer form of the length
        b"\x30" + bytes([length + 2]) + genuine[2:] + b"\x05\x00",  # a third element
        b"\x30\x80" + genuine[2:] + b"\x00\x00",  # an indefinite length
        r.to_bytes(32, "big") + s.to_bytes(32, "big"),  # as in JSON Web Signatures
        encode_dss_signature(r + ORDER, s),
        encode_dss_signature(r, s + ORDER),
        _der(r.to_bytes(33, "big"), b"\xff" + (s - (1 << 256)).to_bytes(33, "big", signed=True)[1:]),  # a negative s
        _der(r.to_bytes(40, "big"), s.to_bytes(40, "big")),  # padded numbers
        encode_dss_signature(s, r),
        encode_dss_signature(0, 0),
        encode_dss_signature(1, 0),
        encode_dss_signature(0, s),
        encode_dss_signature(ORDER, ORDER),
    ):
        with pytest.raises(VerificationError, match="did not sign this payload"):
            _verify(_forged(key, envelope, signature=signature), trust)


def test_the_other_signature_of_ecdsa_says_nothing_else(key: LocalKey, envelope: Envelope, trust: Trust) -> None:
    """(r, n-s) is valid wherever (r, s) is: other signers make it, and it is still over the same statement."""
    r, s = decode_dss_signature(envelope.signature)
    other = encode_dss_signature(r, ORDER - s)
    assert other != envelope.signature
    assert _verify(_forged(key, envelope, signature=other), trust).statement.predicate_bytes == b'{"a":1}'
    with pytest.raises(VerificationError, match="did not sign this payload"):
        _verify(_forged(key, envelope, signature=other, payload=STATEMENT + b" "), trust)


def test_a_signature_over_something_else_is_none_over_a_statement(
    key: LocalKey, envelope: Envelope, trust: Trust
) -> None:
    def sign(message: bytes) -> bytes:
        return key._private.sign(message, ECDSA(SHA256()))

    with pytest.raises(VerificationError, match="did not sign this payload"):
        _verify(_forged(key, envelope, signature=sign(STATEMENT)), trust)
    with pytest.raises(VerificationError, match="did not sign this payload"):
        _verify(_forged(key, envelope, signature=sign(pae("text/plain", STATEMENT))), trust)
    with pytest.raises(VerificationError, match="did not sign this payload"):
        _verify(_forged(key, envelope, payload_type="text/plain"), trust)
    for other in ("text/plain", PAYLOAD_TYPE + " ", PAYLOAD_TYPE.upper(), ""):
        forged = _forged(key, envelope, payload_type=other, signature=sign(pae(other, STATEMENT)))
        with pytest.raises(VerificationError, match="the payload is of type"):
            _verify(forged, trust)


def test_a_stranger_gains_nothing_by_naming_a_trusted_key(key: LocalKey, stranger: LocalKey, trust: Trust) -> None:
    theirs = Bundle.from_json(stranger.sign_statement(STATEMENT)).envelope
    with pytest.raises(VerificationError, match="not trusted"):
        _verify(stranger.sign_statement(STATEMENT), trust)
    with pytest.raises(VerificationError, match="did not sign this payload"):
        _verify(_forged(key, theirs), trust)


def test_the_hint_never_passes_one_trusted_signer_off_as_another(
    key: LocalKey, stranger: LocalKey, envelope: Envelope
) -> None:
    both = Trust(keys=tuple(TrustedKey.from_pem(k.public_pem, origin=str(k.path)) for k in (key, stranger)))
    assert _verify(key.sign_statement(STATEMENT), both).signer.hint == key.hint
    assert _verify(stranger.sign_statement(STATEMENT), both).signer.hint == stranger.hint
    with pytest.raises(VerificationError, match="did not sign this payload"):
        _verify(_forged(stranger, envelope), both)


def test_a_genuine_statement_of_another_kind_or_artifact_is_refused(
    key: LocalKey, genuine: bytes, trust: Trust
) -> None:
    with pytest.raises(VerificationError, match="is of type"):
        _verify(genuine, trust, "https://slsa.dev/provenance/v1")
    other = make_statement(name="wash", digest=digest_bytes(b"other"), predicate_type=SPDX, predicate=b"{}")
    for predicate_type in (SPDX, None):
        with pytest.raises(VerificationError, match="the statement is about"):
            _verify(key.sign_statement(other), trust, predicate_type)


@pytest.mark.parametrize(
    "statement",
    [
        b"",
        b"[]",
        STATEMENT + b"{}",
        STATEMENT.replace(b'"predicate":', b'"predicateType":"https://x.example/","predicate":'),
        STATEMENT.replace(b'"subject":[', b'"subject":[{"name":"b","digest":{"sha256":"' + b"0" * 64 + b'"}},'),
        STATEMENT.replace(b'"predicate":', b'"Subject":[],"predicate":'),
        b'{"a":' * 100_000,
    ],
)
def test_even_a_trusted_key_signs_only_strict_statements(key: LocalKey, trust: Trust, statement: bytes) -> None:
    assert statement != STATEMENT
    with pytest.raises(UnreadableError):
        _verify(key.sign_statement(statement), trust)


def _meaning(bundle: bytes) -> object:
    found = Bundle.from_json(bundle)
    return found.envelope.payload, found.envelope.payload_type, found.envelope.signature, found.material


def _mutated(data: bytes, random_: random.Random) -> bytes:
    """Return the bundle after one to three of a forger's moves."""
    found = bytearray(data)
    for _ in range(random_.randint(1, 3)):
        at = random_.randrange(len(found) + 1)
        match random_.randrange(7):
            case 0:
                found[at : at + 1] = bytes([random_.randrange(256)])
            case 1:
                found[at:at] = random_.choice(
                    (b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\u0000", b"\xff", b"=", b"A")
                )
            case 2:
                del found[at : at + random_.randint(1, 20)]
            case 3:
                start = random_.randrange(len(found) + 1)
                found[at:at] = found[start : start + random_.randint(1, 40)]
            case 4:
                del found[at:]
            case 5:
                found = bytearray(_restructured(bytes(found), random_))
            case 6:
                found[at : at + 1] = bytes(found[at : at + 1]).swapcase()
    return bytes(found)


def _restructured(data: bytes, random_: random.Random) -> bytes:
    try:
        document = json.loads(data)
    except ValueError:
        return data
    place: Any = document
    for _ in range(random_.randint(0, 3)):
        keys = list(place) if isinstance(place, dict) else list(range(len(place))) if isinstance(place, list) else []
        inner = [key for key in keys if isinstance(place[key], dict | list)]
        if inner:
            place = place[random_.choice(inner)]
    value = random_.choice([None, True, 0, -1, 1e308, "", "AA==", [], {}, [{}], {"hint": ""}, "\udfff", base64])
    if value is base64:
        value = base64.b64encode(random_.randbytes(70)).decode()
    if isinstance(place, dict) and place:
        place[random_.choice([*place, "certificate", "keyid", "extra", "tlogEntries"])] = value
    elif isinstance(place, list):
        place.append(value)
    return json.dumps(document).encode()


def test_no_mutation_is_accepted_with_another_meaning(genuine: bytes, trust: Trust) -> None:
    """Seeded: the same 10 000 bundles each time. White space and unread fields may change, nothing else."""
    random_ = random.Random(20260102)  # noqa: S311 - repeatable, not secret
    meaning, refused = _meaning(genuine), 0
    for _ in range(10_000):
        mutated = _mutated(genuine, random_)
        try:
            _verify(mutated, trust)
        except ProvenanceError:
            refused += 1
        else:
            assert _meaning(mutated) == meaning, mutated
    assert refused > 9_000
