r"""`.dockerignore`, as BuildKit reads it (github.com/moby/patternmatcher 0.6, `patternmatcher.go`, `ignorefile.go`).

A later line wins over an earlier one, and `!` takes a line's files back. What matches a folder matches all in it.
What only Go's regular expressions can mean (`\d`, `[[:alpha:]]`) is refused, as Python's would mean something else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ...provenance.errors import UnreadableError, quoted
from .wildcards import Literal, Start, Token, matcher, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LIMIT = 1 << 20
"""Bytes of a `.dockerignore`."""
_LONGEST_LINE = (64 << 10) - 1
"""Bytes of a line that Go's scanner takes."""
_WILD = re.compile(r"[*?\[\]^\\]")
_GO_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
"""What Go's `strings.TrimSpace` takes away; Python's `strip` takes more."""

Matched: TypeAlias = tuple[bool, ...]
"""Which lines match a folder, so that they match all in it."""
Match: TypeAlias = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Line:
    """One pattern.

    Attributes:
        match: tells whether it matches a path.
        takes_back: it began with `!`.
        beginning: what every path begins with that it matches.
    """

    match: Match
    takes_back: bool
    beginning: str


class Ignore:
    """Which paths of a context are not sent."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Take patterns as `read_patterns` returns them.

        Raises:
            UnreadableError: one is no pattern.
        """
        self._lines = [line for pattern in patterns if (line := _line(pattern))]
        self._back = tuple(line.beginning for line in self._lines if line.takes_back)

    def matches(self, path: str, parent: Matched | None) -> tuple[bool, Matched]:
        """Tell whether a path is not sent (`PatternMatcher.MatchesUsingParentResults`).

        Args:
            path: from the context's root, with `/`.
            parent: what was returned for the folder that it lies in; `None`: it lies in the root.
        """
        matched = False
        found = []
        for index, line in enumerate(self._lines):
            hit = parent is not None and parent[index]
            if not hit and line.takes_back == matched:
                hit = bool(line.match(path))
            found.append(hit)
            if hit:
                matched = not line.takes_back
        return matched, tuple(found)

    def is_lost(self, folder: str) -> bool:
        """Tell whether nothing below a folder that is not sent can be taken back: it need not be looked into."""
        inside = f"{folder}/"
        return not any(one.startswith(inside) or inside.startswith(one) for one in self._back)


def read_patterns(data: bytes, name: str) -> list[str]:
    """Return the patterns of a `.dockerignore` (`ignorefile.ReadAll`).

    Args:
        data: its bytes.
        name: the file's name, for messages.

    Raises:
        UnreadableError: it is not UTF-8, or a line is too long.
    """
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{quoted(name)} is not UTF-8: {error.reason}") from error
    found = []
    for line in text.split("\n"):
        if len(line.encode()) > _LONGEST_LINE:
            raise UnreadableError(f"{quoted(name)} has a line that is longer than the {_LONGEST_LINE:,} bytes of one")
        if line.startswith("#") or not (pattern := line.strip(_GO_SPACE)):
            continue
        back = pattern.startswith("!")
        if back:
            pattern = pattern[1:].strip(_GO_SPACE)
        if pattern:
            pattern = _clean(pattern)
            pattern = pattern[1:] if len(pattern) > 1 and pattern.startswith("/") else pattern
        found.append(f"!{pattern}" if back else pattern)
    return found


def _line(pattern: str) -> Line | None:
    """Return what a pattern comes to (`patternmatcher.New` and `Pattern.compile`)."""
    text = pattern.strip(_GO_SPACE)
    if not text:
        return None
    text = _clean(text)
    back = text.startswith("!")
    text = text[1:] if back else text
    if not text:
        raise UnreadableError("`!` alone is no pattern", hint="write what is to be sent after all, as `!src`")
    wild = _WILD.search(text)
    return Line(_matching(text), back, text[: wild.start()] if wild else text)


def _matching(text: str) -> Match:
    parsed = tokens(text)
    # Go takes a shortcut for each of these three, and it is not always what its regular expression would say.
    if text.startswith("**"):
        if _is_plain(text[2:], parsed[1:]):
            return _ending(text[2:])
    elif _is_plain(text, parsed):
        return lambda path: path == text
    elif text.endswith("**") and _is_plain(text[:-2], parsed[:-1]):
        return lambda path: path.startswith(text[:-2])
    return matcher(parsed)


def _is_plain(text: str, parsed: Sequence[Token]) -> bool:
    return all(isinstance(token, Literal | Start) for token in parsed) and "\\" not in text and "]" not in text


def _ending(suffix: str) -> Match:
    if not suffix:
        return lambda _: True
    return lambda path: path.endswith(suffix) or (suffix.startswith("/") and path == suffix[1:])


def _clean(path: str) -> str:
    """Return the shortest path that means the same (Go's `filepath.Clean`)."""
    found: list[str] = []
    rooted = path.startswith("/")
    for part in path.split("/"):
        if part in {"", "."}:
            continue
        if part == ".." and found and found[-1] != "..":
            found.pop()
        elif part != ".." or not rooted:
            found.append(part)
    return ("/" if rooted else "") + "/".join(found) or "."
