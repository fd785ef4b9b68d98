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
from .wildcards import Literal, Start, Token, depth_of, matcher, tokens

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
        depth: how many `/` every path has that it matches; `None`: any number.
    """

    match: Match
    takes_back: bool
    beginning: str
    depth: int | None

    def may_match_in(self, folder: str) -> bool:
        """Tell whether it may match anything that lies in a folder itself; empty: the context's root."""
        if self.depth is not None and self.depth != (folder.count("/") + 1 if folder else 0):
            return False
        inside = f"{folder}/" if folder else ""
        return inside.startswith(self.beginning) or self.beginning.startswith(inside)


class Ignore:
    """Which paths of a context are not sent."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Take patterns as `read_patterns` returns them.

        Raises:
            UnreadableError: one is no pattern.
        """
        self._lines = [line for pattern in patterns if (line := _line(pattern))]
        self._back = tuple(line.beginning for line in self._lines if line.takes_back)

    def inside(self, folder: str, parent: Matched | None) -> Inside:
        """Return what tells of each thing in a folder whether it is sent.

        Args:
            folder: from the context's root; empty: the root.
            parent: what was found of the folder itself; `None`: it is the root.
        """
        return Inside(self._lines, folder, parent or (False,) * len(self._lines))

    def is_lost(self, folder: str) -> bool:
        """Tell whether nothing below a folder that is not sent can be taken back: it need not be looked into."""
        inside = f"{folder}/"
        return not any(one.startswith(inside) or inside.startswith(one) for one in self._back)


class Inside:
    """Tells of what lies in one folder whether it is sent; lines that can match nothing there are not asked."""

    def __init__(self, lines: Sequence[Line], folder: str, parent: Matched) -> None:
        self._parent = parent
        self._rows = [
            (index, hit, line.takes_back, line.match)
            for index, (line, hit) in enumerate(zip(lines, parent, strict=True))
            if hit or line.may_match_in(folder)
        ]

    def matches(self, path: str) -> tuple[bool, Matched]:
        """Tell whether a path is not sent (`PatternMatcher.MatchesUsingParentResults`), and which lines match it.

        `path`: from the context's root.
        """
        matched, found = False, []
        for index, hit, takes_back, match in self._rows:
            if not hit:
                if takes_back != matched or not match(path):
                    continue
                found.append(index)
            matched = not takes_back
        if not found:
            return matched, self._parent
        return matched, tuple(hit or index in found for index, hit in enumerate(self._parent))


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
    return Line(_matching(text), back, text[: wild.start()] if wild else text, depth_of(tokens(text)))


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
