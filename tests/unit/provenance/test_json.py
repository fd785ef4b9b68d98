from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance.json import read_json

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(value=_VALUES, ascii_only=st.booleans())
def test_reads_what_json_writes(value: object, ascii_only: bool) -> None:  # noqa: FBT001 - drawn
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert read_json(text.encode("utf-8", errors="surrogatepass")) == value


@given(data=st.binary(max_size=40))
def test_any_bytes_are_a_value_or_a_value_error(data: bytes) -> None:
    try:
        value = read_json(data)
    except ValueError:
        return
    assert json.loads(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": 1, "a": 1}', "the key `a` twice"),
        (b'{"x": [{"a": 1, "b": 2, "a": 3}]}', "the key `a` twice"),
        (b'{"a": 1, "\\u0061": 2}', "the key `a` twice"),
        (b'{"\\u001b[31m": 1, "\\u001b[31m": 1}', r"the key `\\x1b\[31m` twice"),
        (b"NaN", "`NaN` is not JSON"),
        (b"[Infinity]", "`Infinity` is not JSON"),
        (b"[-Infinity]", "`-Infinity` is not JSON"),
        (b"1e999", "the number `1e999` is too large"),
        (b"-1e999", "too large"),
        (b"1" * 5000, "too large"),
        (b"123456789012345678901", "too large"),
        (b'"\\ud800"', "surrogates not allowed"),
        (b'{"\\udc00x": 1}', "surrogates not allowed"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"\xff", "decode byte 0xff"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"", "Expecting value"),
        (b"{} {}", "Extra data"),
        (b"{'a': 1}", "Expecting property name"),
        (b"[1,]", "Expecting value|Illegal trailing comma"),
        (b'"\n"', "Invalid control character"),
    ],
)
def test_refuses_what_two_readers_could_read_differently(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_json(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'"\\ud83e\\uded6"', "\N{TEAPOT}"),
        (b'"\\\\ud800"', "\\ud800"),
        (b"-9223372036854775808", -(2**63)),
        (b"18446744073709551615", 2**64 - 1),
        (b'{"a": {"a": 1}}', {"a": {"a": 1}}),
        (b" [1.5e3] ", [1500.0]),
    ],
)
def test_takes_what_every_reader_takes(data: bytes, value: object) -> None:
    assert read_json(data) == value
