from __future__ import annotations

from doit_provenance.provenance.sbom.image.fields import one, paragraph, paragraphs


def test_paragraphs() -> None:
    text = "\nA: 1\nb : 2\nA: 3\n continued\n\tonce more\nnothing\n\n\nC:\n\n"
    assert list(paragraphs(text)) == [{"a": ["1", "3\ncontinued\nonce more"], "b": ["2"]}, {"c": [""]}]
    assert list(paragraphs("A: 1\r\n\r\nB: 2\r\n")) == [{"a": ["1"]}, {"b": ["2"]}]


def test_what_continues_nothing_is_nothing() -> None:
    assert paragraph(" x\nA: 1\n") == {"a": ["1"]}


def test_the_first_value_that_says_anything() -> None:
    fields = paragraph("A: 1\nA: 2\nB: UNKNOWN\nC:\n")
    assert [one(fields, key) for key in "abcd"] == ["1", None, None, None]


def test_a_value_without_end_takes_no_time() -> None:
    assert len(paragraph("A: 1\n" + " x\n" * 300_000)["a"][0]) == 600_001
