from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doit_provenance.provenance.sbom.encoder import encode

_LEAVES = st.none() | st.booleans() | st.integers() | st.text()
_DOCUMENTS = st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@settings(deadline=None, max_examples=50)
@given(document=_DOCUMENTS, sort_keys=st.booleans())
def test_writes_what_the_standard_library_writes(document: object, *, sort_keys: bool) -> None:
    expected = json.dumps(document, indent=2, ensure_ascii=False, sort_keys=sort_keys) + "\n"
    assert encode(document, sort_keys=sort_keys) == expected.encode()


@pytest.mark.parametrize("value", [1.5, {1, 2}, b"bytes", object()])
def test_refuses_what_no_sbom_says(value: object) -> None:
    with pytest.raises(TypeError, match="not JSON"):
        encode({"key": [value]})
