"""Envelopes: what is signed, and the one way to write it down."""

from __future__ import annotations

import base64
import json

import pytest

from doit_provenance.provenance.attest.dsse import Envelope, pae
from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.provenance.json import read_object

ENVELOPE = Envelope(payload=b"hello world", payload_type="http://example.com/HelloWorld", signature=b"\xfb\xff\xfe\x01")


def _read(document: object) -> Envelope:
    return Envelope.from_document(read_object(json.dumps(document).encode(), what="the envelope", limit=1 << 20))


def test_pre_authentication_encoding_is_that_of_the_specification() -> None:
    """The example of the DSSE protocol's own test vectors; lengths count bytes, not characters."""
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("é", "é".encode()) == b"DSSEv1 2 \xc3\xa9 2 \xc3\xa9"
    assert pae("", b"") == b"DSSEv1 0  0 "


def test_no_two_pairs_of_type_and_payload_encode_alike() -> None:
    assert pae("a", b" 1 b") != pae("a  1", b"b")
    assert pae("a 1", b"b") != pae("a", b"1 b")


def test_round_trip() -> None:
    assert _read(ENVELOPE.to_document()) == ENVELOPE


def test_both_alphabets_are_read() -> None:
    document = ENVELOPE.to_document()
    url_safe = base64.urlsafe_b64encode(ENVELOPE.signature).decode()
    assert "-" in url_safe
    assert _read(document | {"signatures": [{"sig": url_safe, "keyid": "anything"}]}) == ENVELOPE


@pytest.mark.parametrize(
    "text",
    [
        "+__-AQ==",  # both alphabets in one text
        "+//+AQ",  # no padding
        "+//+AQ=",
        "+//+AQ===",
        "+//+AR==",  # stray bits
        "+//+\nAQ==",
        " +//+AQ==",
        "+//+AQ==\n",
        "+//+AQ==AAAA",
        "=+//+AQ=",
        "+//+A\u1d11==",
        "+//+*AQ==",
    ],
)
def test_only_canonical_base64_is_read(text: str) -> None:
    document = ENVELOPE.to_document()
    with pytest.raises(UnreadableError, match=r"`payload` is not"):
        _read(document | {"payload": text})
    with pytest.raises(UnreadableError, match=r"`signatures\[0\]\.sig` is not"):
        _read(document | {"signatures": [{"sig": text}]})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"signatures": []}, "exactly one signature, not 0"),
        ({"signatures": [{"sig": "AQ=="}, {"sig": "AQ=="}]}, "exactly one signature, not 2"),
        ({"signatures": [{}]}, "sig` is missing"),
        ({"signatures": [{"sig": "AQ==", "keyid": 1}]}, "keyid` must be text"),
        ({"signatures": [{"sig": "AQ==", "cert": ""}]}, "not a field"),
        ({"payloadType": None}, "`payloadType` must be text"),
        ({"payload": {}}, "`payload` must be text"),
        ({"payload_type": ""}, "not a field"),
    ],
)
def test_refuses_other_shapes(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        _read(ENVELOPE.to_document() | changes)
