"""Strict JSON: one meaning or none."""

from __future__ import annotations

import pytest

from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.provenance.json import JSONObject, read_object


def _read(data: bytes) -> JSONObject:
    return read_object(data, what="the document", limit=1 << 20)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a": 1, "a": 1}', "`a` twice"),
        (b'{"a": {"b": 1, "\\u0062": 2}}', "`b` twice"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": -Infinity}', "not JSON"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too large"),
        (b'{"a": "\\ud800"}', "surrogates not allowed"),
        (b'{"\\udfff": 1}', "surrogates not allowed"),
        (b'{"a": "\xff"}', "can't decode"),
        (b"\xef\xbb\xbf{}", "BOM"),
        ('{"a": 1}'.encode("utf-16"), "can't decode"),
        (b'{"a": 1} {}', "Extra data"),
        (b'{"a": 1,}', "not strict JSON"),
        (b"{'a': 1}", "not strict JSON"),
        (b'{"a": "\x00"}', "not strict JSON"),
        (b'{"a": 01}', "not strict JSON"),
        (b"", "not strict JSON"),
        (b"[]", "not a JSON object"),
        (b'"{}"', "not a JSON object"),
        (b"null", "not a JSON object"),
    ],
)
def test_refuses_what_two_readers_could_read_differently(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        _read(data)


@pytest.mark.parametrize("pair", [(b"[", b"]"), (b'{"a":', b"}")])
def test_refuses_deep_nesting_without_falling_over(pair: tuple[bytes, bytes]) -> None:
    deep = b'{"a":' + pair[0] * 100_000 + b"1" + pair[1] * 100_000 + b"}"
    with pytest.raises(UnreadableError, match="nested too deeply"):
        _read(deep)


def test_reads_no_more_than_the_limit() -> None:
    assert read_object(b'{"a":1}', what="the document", limit=7).found == {"a": 1}
    with pytest.raises(UnreadableError, match="larger than the 6 bytes"):
        read_object(b'{"a":1}', what="the document", limit=6)


def test_reads_ordinary_json() -> None:
    found = _read('{"a": ["\\ud83d\\ude00", "é", 1.5, -9223372036854775808, true, null]}'.encode()).found
    assert found == {"a": ["😀", "é", 1.5, -(1 << 63), True, None]}


def test_errors_name_the_way_to_the_key() -> None:
    document = _read(b'{"a": {"b": [{"c": 1}]}}')
    item = document.child("a").children("b")[0]
    with pytest.raises(UnreadableError, match=r"^the document: `a\.b\[0\]\.c` must be text$"):
        item.text("c")
    with pytest.raises(UnreadableError, match=r"`a\.b\[0\]\.d` is missing"):
        item.text("d")
    with pytest.raises(UnreadableError, match="`a` must be a list"):
        document.children("a")
    with pytest.raises(UnreadableError, match=r"`a\.b` must be an object"):
        document.child("a").child("b")
    with pytest.raises(UnreadableError, match=r"`a\.b` must be text"):
        document.texts("a")
    with pytest.raises(UnreadableError, match=r"`a\[1\]` must be an object"):
        _read(b'{"a": [{}, 1]}').children("a")


@pytest.mark.parametrize("key", ["Subject", "SUBJECT", "\u017fubject"])
def test_lookalikes_of_known_keys_are_refused_and_strangers_are_not(key: str) -> None:
    """Readers that ignore case fold these to `subject`, the long s among them."""
    _read(b'{"subjects": 1, "vendor_subject": 2}').refuse_lookalikes(("subject",))
    with pytest.raises(UnreadableError, match="can be mistaken for `subject`"):
        _read(f'{{"{key}": 1}}'.encode()).refuse_lookalikes(("subject",))


def test_what_is_printed_cannot_drive_the_terminal() -> None:
    with pytest.raises(UnreadableError) as caught:
        _read(b'{"\\u001b[31m\\u202e": 1}').refuse_others(())
    assert str(caught.value) == "the document: `\\x1b[31m\\u202e` is not a field of this format"
