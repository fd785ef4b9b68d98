"""A Dockerfile is taken apart as BuildKit does it."""

from __future__ import annotations

import pytest

from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.tasks.images.docker.dockerfile import Dockerfile, expand, parse


def read(text: str) -> Dockerfile:
    return parse(text.encode(), "Dockerfile")


def said(text: str) -> list[tuple[str, str]]:
    return [(one.name, one.rest) for one in read(text).instructions]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a", [("FROM", "a")]),
        ("from\ta AS b\r\n", [("FROM", "a AS b")]),
        ("\ufeffFROM a\n\n# FROM b\n  # FROM c\n", [("FROM", "a")]),
        ("FROM \\\n  a \\\n# no\n\n  AS b", [("FROM", "a   AS b")]),
        ("RUN a \\  \n b\nRUN c", [("RUN", "a  b"), ("RUN", "c")]),
        ("# escape=`\nRUN a \\\nRUN b `\nc", [("RUN", "a \\"), ("RUN", "b c")]),
        ("RUN <<EOF\nFROM x\nEOF\nFROM y", [("RUN", "<<EOF"), ("FROM", "y")]),
        ("RUN <<-'A B' cat\nFROM a", [("RUN", "<<-'A B' cat"), ("FROM", "a")]),
        ('COPY <<a <<-"b" /\nFROM x\na\n\tFROM y\n\tb\nFROM z', [("COPY", '<<a <<-"b" /'), ("FROM", "z")]),
        ("ONBUILD RUN <<E\nFROM x\nE\nFROM y", [("ONBUILD", "RUN <<E"), ("FROM", "y")]),
        ("ENV A=<<E\nFROM y", [("ENV", "A=<<E"), ("FROM", "y")]),
        ("RUN cat <<<E\nFROM y", [("RUN", "cat <<<E"), ("FROM", "y")]),
    ],
)
def test_instructions(text: str, expected: list[tuple[str, str]]) -> None:
    assert said(text) == expected


def test_flags() -> None:
    (one,) = read("COPY --from=a --chown=0:0 --link x --y /").instructions
    assert one.flags == (("from", "a"), ("chown", "0:0"), ("link", ""))
    assert one.rest == "x --y /"


@pytest.mark.parametrize(
    ("text", "syntax"),
    [
        ("FROM a", None),
        ("# syntax=docker/dockerfile:1\nFROM a", "docker/dockerfile:1"),
        ("#!/usr/bin/env x\n#  SYNTAX = a/b:c  -x\nFROM a", "a/b:c"),
        ("# check=skip=all\n# syntax=a/b", "a/b"),
        ("# hello\n# syntax=a/b", None),
        ("FROM a\n# syntax=a/b", None),
        ("// syntax=a/b\n", "a/b"),
        ('{"syntax": "a/b"}', "a/b"),
        ("{", None),
    ],
)
def test_syntax(text: str, syntax: str | None) -> None:
    assert read(text).syntax == syntax


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"FROM \xff", "is not UTF-8"),
        (b"FROM a\nRUN <<E\nb", "the heredoc `E` of line 2 does not end"),
        (b"# escape=x\nFROM a", "takes a backslash or a backtick"),
    ],
)
def test_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        parse(data, "Dockerfile")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "a"),
        ("$A-${B}", "1-"),
        ("${A}${A}", "11"),
        ("$AB", ""),
        ("${B:-x}", "x"),
        ("${E:-x}", "x"),
        ("${E-x}", ""),
        ("${B-x}", "x"),
        ("${A:-x}", "1"),
        ("${A:+x}", "x"),
        ("${E:+x}", ""),
        ("${E+x}", "x"),
        ("${B:-${A:-y}z}", "1z"),
        ("${A:?no}", "1"),
        ("${B:?no}", None),
        ("'$A'\"$A\"", "$A1"),
        ("\\$A", "$A"),
        ("${A#1}", None),
        ("${A", None),
        ("${}", None),
        ("'a", None),
        ("$", "$"),
        ("${B:-" * 50 + "}" * 50, None),
    ],
)
def test_expansion(text: str, expected: str | None) -> None:
    assert expand(text, {"A": "1", "E": ""}) == expected
