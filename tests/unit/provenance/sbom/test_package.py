from __future__ import annotations

import pytest

from doit_provenance.provenance.sbom.inventory import Component, Kind, Role
from doit_provenance.provenance.sbom.package import (
    Package,
    edges,
    first,
    is_name,
    line,
    maintainer,
    paragraph,
    paragraphs,
    shown,
)
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


def test_paragraphs() -> None:
    text = "\nA: 1\nb : 2\nA: 3\n continued\n\tonce more\nnothing\n\n\nC:\n\n"
    assert list(paragraphs(text)) == [{"a": ["1", "3\ncontinued\nonce more"], "b": ["2"]}, {"c": [""]}]
    assert list(paragraphs("A: 1\r\n\r\nB: 2\r\n")) == [{"a": ["1"]}, {"b": ["2"]}]


def test_what_continues_nothing_is_nothing() -> None:
    assert paragraph(" x\nA: 1\n") == {"a": ["1"]}


def test_the_first_value_that_says_anything() -> None:
    fields = paragraph("A: 1\nA: 2\nB: UNKNOWN\nC:\n")
    assert [first(fields, key) for key in "abcd"] == ["1", None, None, None]


def test_a_value_without_end_takes_no_time() -> None:
    assert len(paragraph("A: 1\n" + " x\n" * 300_000)["a"][0]) == 600_001


def package(name: str, *requires: tuple[str, ...], provides: tuple[str, ...] = ()) -> Package:
    return Package(
        component=Component(ref=f"pkg:{name}", kind=Kind.LIBRARY, role=Role.CONTAINED, name=name),
        system=True,
        database="db",
        provides=frozenset({name, *provides}),
        requires=requires,
    )


def test_what_is_installed_is_what_is_used() -> None:
    found = edges(
        [
            package("tea", ("absent", "water"), ("heat",), ("tea",), ("nowhere",)),
            package("water", provides=("heat",)),
            package("kettle", ("tea",), provides=("heat",)),
        ]
    )
    assert found == {"pkg:tea": {"pkg:water"}, "pkg:water": set(), "pkg:kettle": {"pkg:tea"}}


def test_one_package_in_two_places_uses_what_either_does() -> None:
    found = edges([package("a", ("b",)), package("a", ("c",)), package("b"), package("c")])
    assert found["pkg:a"] == {"pkg:b", "pkg:c"}
