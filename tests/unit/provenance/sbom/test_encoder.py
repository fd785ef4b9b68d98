from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doit_provenance.provenance.json import read_json
from doit_provenance.provenance.sbom.encoder import encode

_LEAVES = st.none() | st.booleans() | st.integers(min_value=-(2**53), max_value=2**53) | st.text()
_VALUES = st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@settings(deadline=None, max_examples=100)
@given(document=st.dictionaries(st.text(), _VALUES), sort_keys=st.booleans())
def test_reads_as_what_was_written(document: dict[str, Any], *, sort_keys: bool) -> None:
    """Whatever is written is strict JSON, and the same document."""
    data = encode(document, sort_keys=sort_keys)
    assert read_json(data) == document
    assert data.endswith(b"}\n")


@settings(deadline=None, max_examples=50)
@given(document=st.dictionaries(st.text(), _VALUES))
def test_sorted_keys_make_equal_documents_equal_bytes(document: dict[str, Any]) -> None:
    shuffled = json.loads(json.dumps(dict(reversed(document.items()))))
    assert encode(shuffled, sort_keys=True) == encode(document, sort_keys=True)


def test_each_component_has_its_line() -> None:
    """A line-based difference names the components that differ."""
    document = {
        "name": "é",
        "list": [1, 2],
        "components": [{"a": 1, "b": [2]}, {"a": 3}],
        "edges": {"a": ["b"], "b": []},
    }
    assert encode(document).decode().splitlines() == [
        "{",
        '"name": "é",',
        '"list": [1,2],',
        '"components": [',
        '{"a":1,"b":[2]},',
        '{"a":3}',
        "],",
        '"edges": {',
        '"a":["b"],',
        '"b":[]',
        "}",
        "}",
    ]


def test_takes_any_mapping() -> None:
    assert encode(MappingProxyType({"a": MappingProxyType({"b": MappingProxyType({"c": 1})})})) == (
        b'{\n"a": {\n"b":{"c":1}\n}\n}\n'
    )


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object()])
def test_refuses_what_is_not_json(value: object) -> None:
    with pytest.raises(TypeError, match="not JSON"):
        encode({"key": [value]})  # type: ignore[dict-item, list-item] # that is the point


def test_refuses_half_a_surrogate_pair() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode({"key": "\ud800"})
