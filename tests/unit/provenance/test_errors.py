from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance import errors
from doit_provenance.provenance.errors import ProvenanceError, StoreError, about, did_you_mean, quoted

EXIT_CODES = {
    "ProvenanceError": 1,
    "UsageError": 2,
    "MissingFileError": 2,
    "UnreadableError": 2,
    "ConfigError": 2,
    "ToolError": 1,
    "BuildError": 1,
    "InputChangedError": 1,
    "StoreError": 1,
    "KeyFileError": 1,
    "RegistryError": 1,
    "VerificationError": 1,
}


def test_one_tree_with_its_exit_codes() -> None:
    """0, 1 and 2 are what scripts around us rely on; a new class must choose on purpose."""
    found = {k: v for k, v in vars(errors).items() if isinstance(v, type) and issubclass(v, ProvenanceError)}
    assert {name: kind.exit_code for name, kind in found.items()} == EXIT_CODES


def test_message_and_hint_are_lines() -> None:
    assert str(ProvenanceError("it broke")) == "it broke"
    assert str(ProvenanceError("it broke", hint="mend it")) == "it broke\nhint: mend it"


@given(text=st.text(max_size=300))
def test_quoted_text_can_not_touch_the_terminal(text: str) -> None:
    found = quoted(text)
    assert found.isprintable()
    assert found[0] == found[-1] == "`"
    found.encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "`plain`"),
        ("a\x1b[31mb", r"`a\x1b[31mb`"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}x", r"`\u202ex`"),
        ("a\nb", r"`a\nb`"),
        ("\ud800", r"`\ud800`"),
        ("größe", "`größe`"),
        ("x" * 200, f"`{'x' * 200}`"),
        ("x" * 201, f"`{'x' * 200}…`"),
    ],
)
def test_quoted(text: str, expected: str) -> None:
    assert quoted(text) == expected


def test_did_you_mean() -> None:
    assert did_you_mean("wsah", ["hello", "wash"]) == "; did you mean `wash`?"
    assert did_you_mean("zzz", ["hello", "wash"]) == ""
    assert did_you_mean("zzz", []) == ""


def test_about_names_what_an_error_is_about() -> None:
    """And keeps its class and its hint."""
    with pytest.raises(StoreError) as caught, about("`tea`"), about("`pot`"):
        raise StoreError("can't be written", hint="free some disk space")
    assert str(caught.value) == "`tea`: `pot`: can't be written\nhint: free some disk space"
