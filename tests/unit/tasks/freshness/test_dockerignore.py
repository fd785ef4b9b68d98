"""`.dockerignore` means what it means to BuildKit; `tests/integration/test_docker_context.py` asks BuildKit itself."""

from __future__ import annotations

import time

import pytest

from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.tasks.freshness.dockerignore import Ignore, read_patterns
from doit_provenance.tasks.freshness.wildcards import matcher, tokens


def is_out(lines: str, path: str) -> bool:
    """Tell whether a path is not sent, asking for each folder on the way as the walk does."""
    ignore = Ignore(read_patterns(lines.encode(), ".dockerignore"))
    found, parent = False, None
    parts = path.split("/")
    for end in range(1, len(parts) + 1):
        inside = ignore.inside("/".join(parts[: end - 1]), parent)
        found, parent = inside.matches("/".join(parts[:end]))
    return found


@pytest.mark.parametrize(
    ("lines", "out", "sent"),
    [
        ("a", ["a", "a/b/c"], ["b/a", "ab"]),
        ("/a/", ["a", "a/b"], ["b/a"]),
        ("./a/../b", ["b"], ["a"]),
        ("*", ["a", "a/b"], []),
        ("*.rs", ["x.rs", "x.rs/y"], ["src/x.rs"]),
        ("*/*.rs", ["src/x.rs"], ["x.rs", "a/b/x.rs"]),
        ("**/*.rs", ["x.rs", "a/b/x.rs"], ["x.rst"]),
        ("**", ["a", "a/b"], []),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
        ("a**", ["a", "ab", "a/b"], ["b"]),
        ("a/**/c", ["a/c", "a/x/y/c"], ["a", "ac"]),
        ("**c", ["c", "a/c", "bc"], ["cd"]),
        ("a?", ["ab"], ["a", "a/b"]),
        ("[a-c]x", ["bx"], ["dx"]),
        ("[^a-c]x", ["dx"], ["bx"]),
        ("[!a]x", ["!x", "ax"], ["bx"]),
        ("\\*", ["*"], ["a"]),
        ("a.b", ["a.b"], ["axb"]),
        ("x^y", ["x^y"], ["xy"]),
        ("# a", [], ["a", "# a"]),
        (" # a", ["# a"], ["a"]),
        ("\ufeff# a\nb", ["b"], ["a"]),
        ("a \t\r\n\nb", ["a", "b"], []),
        ("a b", ["a b"], ["a", "b"]),
        ("a\n!a/b", ["a", "a/c"], ["a/b", "a/b/c"]),
        ("a\n! /a/b/", ["a/c"], ["a/b"]),
        ("*\n!src\nsrc/gen", ["a", "src/gen", "src/gen/x"], ["src", "src/x"]),
        ("*\n!**/*.rs", ["a", "a/b.c"], ["x.rs", "a/x.rs"]),
        ("!a\na", ["a"], []),
        ("*/*\n!*/a", ["b/c"], ["b/a", "b/a/c"]),
        ("**/a/**/b/**/c/**/d", ["a/b/c/d", "x/a/y/b/c/z/d"], ["a/b/d"]),
        ("a[^b]c", ["axc", "a/c"], ["abc"]),
        ("a[.-0]c", ["a/c", "a.c"], ["abc"]),
        ("a/b/*/d", ["a/b/c/d"], ["a/b/d", "a/b/c/e/d"]),
    ],
)
def test_meaning(lines: str, out: list[str], sent: list[str]) -> None:
    assert {path: is_out(lines, path) for path in (*out, *sent)} == dict.fromkeys(out, True) | dict.fromkeys(
        sent, False
    )


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("!", "`!` alone is no pattern"),
        ("!/", "`!` alone is no pattern"),
        ("[a", "is not closed"),
        ("[]", "can't stand there"),
        ("[a-", "is not closed"),
        ("[c-a]", "is no range"),
        ("a\\", "ends in a backslash"),
        ("\\d*", "Go's regular expressions alone"),
        ("[[:alpha:]]", "Go's regular expressions alone"),
        ("a" * 70_000, "has a line that is longer"),
    ],
)
def test_what_is_no_pattern(lines: str, reason: str) -> None:
    """BuildKit refuses most of these too; the others mean what Python could not say alike."""
    with pytest.raises(UnreadableError, match=reason):
        Ignore(read_patterns(lines.encode(), ".dockerignore"))


def test_not_utf8() -> None:
    with pytest.raises(UnreadableError, match="is not UTF-8"):
        read_patterns(b"a\xff", ".dockerignore")


@pytest.mark.parametrize(
    ("lines", "folder", "lost"),
    [
        ("a", "a", True),
        ("a\n!a/b", "a", False),
        ("*\n!src/x", "src", False),
        ("*\n!src/x", "doc", True),
        ("*\n!src/*/x", "src/a", False),
        ("*\n!src/*/x", "sr", True),
        ("*\n!**/x", "doc", False),
        ("a\n!a", "a/b", False),
    ],
)
def test_only_what_may_be_taken_back_is_looked_into(lines: str, folder: str, *, lost: bool) -> None:
    assert Ignore(read_patterns(lines.encode(), ".dockerignore")).is_lost(folder) is lost


@pytest.mark.parametrize("pattern", ["*a*a*a*a*a*a*a*a*b", "**/a/**/a/**/a/**/a/**/a/**/b", "a*a*a*a*[ab]*a?a*a*c"])
def test_no_pattern_is_slow(pattern: str) -> None:
    """A stranger's `.dockerignore` must not stop `doit plan`."""
    begun = time.monotonic()
    assert not matcher(tokens(pattern))("a" * 255 + "/a" * 200)
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*a*b*c*d", "xaybzcd", True),
        ("*a*b*c*d", "a/bcd", False),
        ("**/*a*b*c/**", "x/abc/y", True),
        ("**/a/**/b/**/c/**/d", "a/b/c/d", True),
        ("**/a/**/b/**/c/**/d", "a/xb/c/d", False),
        ("*a*b*[^c-d]*?", "abcef", True),
        ("^*a*b*c*", "abc", True),
        ("*^a*b*c*", "xabc", False),
        ("*\\*a*b*c", "*abc", True),
    ],
)
def test_patterns_with_many_wildcards(pattern: str, path: str, *, expected: bool) -> None:
    """They are matched in another way, which means the same."""
    assert bool(matcher(tokens(pattern))(path)) is expected
