"""Statements: one subject, and a predicate whose very bytes are signed."""

from __future__ import annotations

import json

import pytest

from doit_provenance.provenance.attest.statement import (
    LIMIT,
    SPDX,
    STATEMENT_TYPE,
    make_statement,
    parse_statement,
)
from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import UnreadableError

DIGEST = digest_bytes(b"artifact")


def _statement(**changes: object) -> bytes:
    document: dict[str, object] = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": "wash", "digest": {"sha256": DIGEST.sha256}}],
        "predicateType": SPDX,
        "predicate": {},
    }
    return json.dumps({k: v for k, v in (document | changes).items() if v is not None}).encode()


@pytest.mark.parametrize(
    "predicate",
    [
        b'{"a":1}',
        b'{\n  "a": 1\n}\n',
        b' \t{"b": [1.0, 1e3, "\\u00e9 \xc3\xa9"], "a": {"predicate": {}}} \r\n',
        b"{}",
    ],
)
@pytest.mark.parametrize("name", ["wash", 'a "quoted"\n\\name', "größe 😀", ""])
def test_keeps_the_predicates_bytes(predicate: bytes, name: str) -> None:
    payload = make_statement(name=name, digest=DIGEST, predicate_type=SPDX, predicate=predicate)
    assert predicate in payload
    found = parse_statement(payload)
    assert found.predicate_bytes == predicate
    assert found.predicate == json.loads(predicate)
    assert (found.name, found.predicate_type) == (name, SPDX)
    assert found.digest == {"sha256": DIGEST.sha256, "sha512": DIGEST.sha512}


def test_equal_values_are_equal_bytes() -> None:
    payload = make_statement(name="wash", digest=DIGEST, predicate_type=SPDX, predicate=b"{}")
    assert (
        payload
        == (
            f'{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"wash","digest":{{"sha256":"{DIGEST.sha256}",'
            f'"sha512":"{DIGEST.sha512}"}}}}],"predicateType":"https://spdx.dev/Document/v2.3","predicate":{{}}}}'
        ).encode()
    )


@pytest.mark.parametrize(
    "predicate",
    [b"", b"[]", b"1", b'{"a":1', b'{"a":1}}', b'{"a":1},"x":{}', b'{"a":1,"a":2}', b'\xef\xbb\xbf{"a":1}', b"{} {}"],
)
def test_embeds_nothing_but_one_object(predicate: bytes) -> None:
    with pytest.raises(UnreadableError):
        make_statement(name="wash", digest=DIGEST, predicate_type=SPDX, predicate=predicate)


def test_makes_nothing_that_it_would_not_read() -> None:
    filled = b'{"a":"' + b"x" * (LIMIT - 100) + b'"}'
    with pytest.raises(UnreadableError, match="larger than"):
        make_statement(name="wash", digest=DIGEST, predicate_type=SPDX, predicate=filled)
    with pytest.raises(UnreadableError, match="not Unicode"):
        make_statement(name="wash\udcff", digest=DIGEST, predicate_type=SPDX, predicate=b"{}")


def test_reads_what_others_wrote_but_not_as_ours() -> None:
    found = parse_statement(_statement(vendor_extension=1))
    assert found.predicate_bytes is None
    assert found.digest == {"sha256": DIGEST.sha256}


def test_layout_of_ours_with_something_added_is_not_ours() -> None:
    ours = make_statement(name="wash", digest=DIGEST, predicate_type=SPDX, predicate=b'{"a":1}')
    added = ours[:-1] + b',"extra":{}}'
    assert parse_statement(added).predicate_bytes is None
    assert parse_statement(ours + b"\n").predicate_bytes is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"_type": "https://in-toto.io/Statement/v0.1"}, "`_type` must be"),
        ({"_type": None}, "`_type` is missing"),
        ({"subject": []}, "exactly one subject, not 0"),
        ({"subject": [{"name": n, "digest": {"sha256": DIGEST.sha256}} for n in "ab"]}, "exactly one subject, not 2"),
        ({"subject": {"name": "a", "digest": {}}}, "`subject` must be a list"),
        ({"subject": ["a"]}, r"`subject\[0\]` must be an object"),
        ({"subject": [{"name": "a"}]}, r"`subject\[0\]\.digest` is missing"),
        ({"subject": [{"name": "a", "digest": {}}]}, "at least one digest"),
        ({"subject": [{"name": "a", "digest": {"sha256": 1}}]}, "must be text"),
        ({"subject": [{"name": "a", "digest": {"sha256": DIGEST.sha256.upper()}}]}, "malformed `sha256`"),
        ({"subject": [{"name": "a", "digest": {"sha256": DIGEST.sha256[:-2]}}]}, "malformed `sha256`"),
        ({"subject": [{"name": "a", "digest": {"sha256": DIGEST.sha256 + "\n"}}]}, "malformed `sha256`"),
        ({"subject": [{"name": "a", "digest": {"sha512": DIGEST.sha256}}]}, "malformed `sha512`"),
        ({"subject": [{"name": "a", "digest": {"SHA256": DIGEST.sha256}}]}, "mistaken for `sha256`"),
        ({"subject": [{"name": "a", "Name": "b", "digest": {"sha256": DIGEST.sha256}}]}, "mistaken for `name`"),
        ({"Subject": []}, "mistaken for `subject`"),
        ({"predicateType": 1}, "`predicateType` must be text"),
        ({"predicate": []}, "`predicate` must be an object"),
        ({"predicate": None}, "`predicate` is missing"),
    ],
)
def test_refuses_what_is_no_statement_about_one_thing(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        parse_statement(_statement(**changes))
