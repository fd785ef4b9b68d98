from __future__ import annotations

import pytest

from doit_provenance.provenance.sbom.image.package import is_name, line, maintainer, shown
from doit_provenance.provenance.sbom.party import Party


@pytest.mark.parametrize(
    ("text", "party"),
    [
        ("Ada Brewer <ada@tea.example>", Party(name="Ada Brewer", email="ada@tea.example")),
        ("  Ada\n Brewer   <ada@tea.example> ", Party(name="Ada Brewer", email="ada@tea.example")),
        ("<ada@tea.example>", Party(name="ada@tea.example", email="ada@tea.example")),
        ("ada@tea.example", Party(name="ada@tea.example", email="ada@tea.example")),
        ("Tea Guild", Party(name="Tea Guild")),
        ("Ada <at home>", Party(name="Ada <at home>")),
        ("A <a@b.example>, B <b@b.example>", Party(name="A <a@b.example>, B", email="b@b.example")),
        (" \n", None),
        ("", None),
        (None, None),
    ],
)
def test_maintainers(text: str | None, party: Party | None) -> None:
    assert maintainer(text) == party


@pytest.mark.parametrize("text", ["Ada" + " " * 5_000_000 + "<a@b>", "<" * 1_000_000, "a <" * 1_000_000 + ">"])
def test_a_text_without_end_takes_no_time(text: str) -> None:
    assert maintainer(text) is not None


@pytest.mark.parametrize("name", ["tea", ".build-deps", "libstdc++6", "a_b", "gtk+2.0~x"])
def test_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "-a", "ä", "a\n", None])
def test_what_is_no_name(name: str | None) -> None:
    assert not is_name(name)


def test_bytes_that_are_no_text_can_be_shown() -> None:
    assert shown(b"caf\xe9".decode("utf-8", "surrogateescape")) == "caf\\xe9"
    assert shown("café") == "café"


def test_lines() -> None:
    assert line(" a\n  b ") == "a b"
    assert line(" ") is line(None) is None
