"""A Dockerfile as BuildKit takes it apart: its directives, and its instructions one by one.

Of BuildKit's parser (`frontend/dockerfile/parser`) that is what tells which sources a build names: lines that go on,
comments between them, the escape directive, heredocs whose text is no instruction.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ....provenance.errors import UnreadableError, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 4 << 20
"""Bytes of a Dockerfile."""
_DIRECTIVE = re.compile(r"(?P<name>[a-zA-Z][a-zA-Z0-9]*)\s*=\s*(?P<value>.+?)\s*\Z")
_DIRECTIVES = frozenset({"syntax", "escape", "check"})
_FLAG = re.compile(r"--(?P<name>[A-Za-z][\w-]*)(?:=(?P<value>\S*))?(?:\s+|\Z)")
_HEREDOC = re.compile(
    r"(?:^|\s)\d*<<(?P<chomp>-?)\s*(?P<quote>[\"']?)(?P<name>[A-Za-z0-9_.+/-]+)(?P=quote)(?=\s|\Z|[;|&>)])"
)
_WITH_HEREDOC = frozenset({"ADD", "COPY", "RUN"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction.

    Attributes:
        name: in upper case, as `FROM`.
        flags: those before its arguments, each with its value, in their order; a name may stand there twice.
        rest: everything behind, on one line.
        line: the number of its first line.
    """

    name: str
    flags: tuple[tuple[str, str], ...]
    rest: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dockerfile:
    """What a Dockerfile says.

    Attributes:
        syntax: the image that reads it, as the directive has it; `None`: BuildKit's own reader.
        escape: the character that escapes another.
    """

    syntax: str | None
    escape: str
    instructions: tuple[Instruction, ...]


def parse(data: bytes, name: str) -> Dockerfile:
    """Read a Dockerfile.

    Args:
        data: its bytes.
        name: what messages call it.

    Raises:
        UnreadableError: it is not UTF-8, or a heredoc does not end.
    """
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{quoted(name)} is not UTF-8: {error.reason}") from error
    lines = text.split("\n")
    directives = _directives(lines, "#")
    escape = directives.get("escape", "\\")
    if escape not in {"\\", "`"}:
        raise UnreadableError(f"{quoted(name)}: the escape directive takes a backslash or a backtick")
    return Dockerfile(
        syntax=_syntax(text, lines, directives),
        escape=escape,
        instructions=tuple(_Lines(lines, escape, name).instructions()),
    )


def _syntax(text: str, lines: list[str], directives: dict[str, str]) -> str | None:
    """Return what reads this file; in files of other languages it stands behind `//` or in JSON (`DetectSyntax`)."""
    found = directives.get("syntax") or _directives(lines[1:] if lines[0].startswith("#!") else lines, "//").get(
        "syntax"
    )
    if found is None and text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return None
        found = document.get("syntax") if isinstance(document, dict) else None
    return found.split(" ")[0] if isinstance(found, str) else None


def _directives(lines: list[str], comment: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for index, line in enumerate(lines):
        if index == 0 and comment == "#" and line.startswith("#!"):
            continue
        match = _DIRECTIVE.match(line.lstrip()[len(comment) :].lstrip()) if line.lstrip().startswith(comment) else None
        name = match["name"].lower() if match else ""
        if match is None or name not in _DIRECTIVES or name in found:
            break
        found[name] = match["value"]
    return found


class _Lines:
    """Takes lines together to instructions."""

    def __init__(self, lines: list[str], escape: str, name: str) -> None:
        self._lines = lines
        self._at = 0
        self._name = name
        mark = re.escape(escape)
        self._goes_on = re.compile(rf"(?:(?<=[^{mark}])|^){mark}[ \t]*\Z")

    def instructions(self) -> Iterator[Instruction]:
        while self._at < len(self._lines):
            first = self._at + 1
            line = self._logical_line()
            if line.strip():
                found = _instruction(line, first)
                self._skip_heredocs(found)
                yield found

    def _logical_line(self) -> str:
        """Return a line with those that it goes on in; comments and empty lines among these count for nothing."""
        found, goes_on = self._next(strip=True)
        while goes_on and self._at < len(self._lines):
            more, still = self._next(strip=False)
            if more.strip() or still:
                found, goes_on = found + more, still
        return found

    def _next(self, *, strip: bool) -> tuple[str, bool]:
        line = self._lines[self._at].rstrip("\r\n")
        self._at += 1
        if line.lstrip().startswith("#"):
            return "", False
        text, number = self._goes_on.subn("", line.lstrip() if strip else line)
        return text, bool(number)

    def _skip_heredocs(self, found: Instruction) -> None:
        name = found.rest.split(None, 1)[0].upper() if found.name == "ONBUILD" and found.rest else found.name
        if name not in _WITH_HEREDOC:
            return
        for heredoc in _HEREDOC.finditer(found.rest):
            while self._at < len(self._lines):
                line = self._lines[self._at].rstrip("\r\n")
                self._at += 1
                if (line.lstrip("\t") if heredoc["chomp"] else line) == heredoc["name"]:
                    break
            else:
                raise UnreadableError(
                    f"{quoted(self._name)}: the heredoc {quoted(heredoc['name'])} of line {found.line} does not end"
                )


def _instruction(line: str, number: int) -> Instruction:
    name, _, rest = line.strip().partition(" ")
    name, _, more = name.partition("\t")
    rest = f"{more} {rest}".strip() if more else rest.strip()
    flags = []
    while match := _FLAG.match(rest):
        flags.append((match["name"].lower(), match["value"] or ""))
        rest = rest[match.end() :]
    return Instruction(name=name.upper(), flags=tuple(flags), rest=rest.strip(), line=number)
