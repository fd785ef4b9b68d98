"""A Dockerfile as BuildKit reads it: its instructions, its variables, and the images that a build of it names.

Of BuildKit's parser (`frontend/dockerfile/parser`, `frontend/dockerfile/shell`) that is the part which decides what
sources a build names: continued lines, comments between them, the escape directive, heredocs, variables and stages.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ....provenance.errors import UnreadableError, UsageError, quoted
from ....provenance.oci.reference import Reference
from .artifacts import image_contexts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ....provenance.config import Docker
    from ....provenance.platform import Platform

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
        flags: name and value of each, in order; a name may be repeated.
        rest: the arguments behind the flags, joined to one line.
        line: the number of its first line.
    """

    name: str
    flags: tuple[tuple[str, str], ...]
    rest: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dockerfile:
    """A parsed Dockerfile.

    Attributes:
        syntax: the frontend image of the `syntax` directive; `None` if BuildKit's built-in frontend reads it.
        escape: the character that escapes another.
    """

    syntax: str | None
    escape: str
    instructions: tuple[Instruction, ...]


def parse(data: bytes, name: str) -> Dockerfile:
    """Parse a Dockerfile.

    Args:
        data: its bytes.
        name: for messages.

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
    """Return the frontend image; in other languages than Dockerfiles it is behind `//` or in JSON (`DetectSyntax`)."""
    syntax = directives.get("syntax") or _directives(lines[1:] if lines[0].startswith("#!") else lines, "//").get(
        "syntax"
    )
    if syntax is None and text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return None
        syntax = document.get("syntax") if isinstance(document, dict) else None
    return syntax.split(" ")[0] if isinstance(syntax, str) else None


def _directives(lines: list[str], comment: str) -> dict[str, str]:
    directives: dict[str, str] = {}
    for index, line in enumerate(lines):
        if index == 0 and comment == "#" and line.startswith("#!"):
            continue
        match = _DIRECTIVE.match(line.lstrip()[len(comment) :].lstrip()) if line.lstrip().startswith(comment) else None
        name = match["name"].lower() if match else ""
        if match is None or name not in _DIRECTIVES or name in directives:
            break
        directives[name] = match["value"]
    return directives


class _Lines:
    """Joins lines to instructions."""

    def __init__(self, lines: list[str], escape: str, name: str) -> None:
        self._lines = lines
        self._index = 0
        self._name = name
        mark = re.escape(escape)
        self._continued = re.compile(rf"(?:(?<=[^{mark}])|^){mark}[ \t]*\Z")

    def instructions(self) -> Iterator[Instruction]:
        while self._index < len(self._lines):
            first = self._index + 1
            line = self._logical_line()
            if line.strip():
                instruction = _instruction(line, first)
                self._skip_heredocs(instruction)
                yield instruction

    def _logical_line(self) -> str:
        """Return a line with its continuation lines; comments and empty lines among these are skipped."""
        text, continued = self._next(strip=True)
        while continued and self._index < len(self._lines):
            more, continues = self._next(strip=False)
            if more.strip() or continues:
                text, continued = text + more, continues
        return text

    def _next(self, *, strip: bool) -> tuple[str, bool]:
        line = self._lines[self._index].rstrip("\r\n")
        self._index += 1
        if line.lstrip().startswith("#"):
            return "", False
        text, number = self._continued.subn("", line.lstrip() if strip else line)
        return text, bool(number)

    def _skip_heredocs(self, instruction: Instruction) -> None:
        name = instruction.name
        if name == "ONBUILD" and instruction.rest:
            name = instruction.rest.split(None, 1)[0].upper()
        if name not in _WITH_HEREDOC:
            return
        for heredoc in _HEREDOC.finditer(instruction.rest):
            while self._index < len(self._lines):
                line = self._lines[self._index].rstrip("\r\n")
                self._index += 1
                if (line.lstrip("\t") if heredoc["chomp"] else line) == heredoc["name"]:
                    break
            else:
                raise UnreadableError(
                    f"{quoted(self._name)}: the heredoc {quoted(heredoc['name'])} of line {instruction.line} "
                    "does not end"
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


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]")
_MAX_DEPTH = 20


def expand(text: str, values: Mapping[str, str], escape: str = "\\") -> str | None:
    """Return a word with variables replaced and quotes removed: `$NAME`, `${NAME}`, `${NAME:-word}` and the like.

    Args:
        text: the word.
        values: name to value.
        escape: makes the next character literal.

    Returns:
        The word; `None` if it has what only BuildKit can expand, as a pattern in braces.
    """
    expanded = _Expansion(values, escape).word(text, 0, "", depth=0)
    return expanded[0] if expanded else None


class _Expansion:
    def __init__(self, values: Mapping[str, str], escape: str) -> None:
        self._values = values
        self._escape = escape

    def word(self, text: str, start: int, end: str, *, depth: int) -> tuple[str, int] | None:
        """Return the expanded text from `start` up to `end` (empty: to the end of the text), and the index of `end`."""
        at = start
        word, quote = [], ""
        while at < len(text) and (quote or not end or text[at] != end):
            character = text[at]
            at += 1
            if quote == "'":
                quote = "" if character == "'" else quote
                word += [] if character == "'" else [character]
            elif character == '"' or (character == "'" and not quote):
                quote = "" if quote == character else character
            elif character == self._escape and at < len(text):
                word.append(text[at])
                at += 1
            elif character == "$":
                value = self._variable(text, at, depth)
                if value is None:
                    return None
                word.append(value[0])
                at = value[1]
            else:
                word.append(character)
        return None if quote or (end and at >= len(text)) else ("".join(word), at)

    def _variable(self, text: str, at: int, depth: int) -> tuple[str, int] | None:
        """Return the value of the variable behind a `$` at `at - 1`, and the index behind it."""
        braces = text[at : at + 1] == "{"
        match = _NAME.match(text, at + braces)
        if match is None:
            return None if braces else ("$", at)
        name, at = match[0], match.end()
        if not braces:
            return self._values.get(name, ""), at
        if text[at : at + 1] == "}":
            return self._values.get(name, ""), at + 1
        colon = text[at : at + 1] == ":"
        sign = text[at + colon : at + colon + 1]
        other = self.word(text, at + colon + 1, "}", depth=depth + 1) if depth < _MAX_DEPTH else None
        if sign not in {"-", "+", "?"} or other is None:
            return None
        value = self._values.get(name)
        is_set = bool(value) if colon else value is not None
        if sign == "?" and not is_set:
            return None
        chosen = other[0] if is_set == (sign == "+") else (value or "") if sign != "+" else ""
        return (value or "" if sign == "?" else chosen), other[1] + 1


_SYNTAX = "BUILDKIT_SYNTAX"
"""The build argument that overrides the `syntax` directive."""
_SCRATCH = "scratch"
_ADDRESS = re.compile(r"://|git@|\.git\b|\$")
"""What every address that `ADD` fetches has in it; other words may have it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedImages:
    """The images that a build names.

    Attributes:
        images: in full, as `docker.io/library/debian:12`; those that the built stage needs.
        base: the image among them that the result is built on; `None` if it is built on nothing, or on a context.
        is_complete: the build fetches nothing else: no image that only BuildKit can tell, no address.
    """

    images: tuple[str, ...]
    base: str | None
    is_complete: bool


@dataclass(slots=True, kw_only=True)
class _Stage:
    """A stage: its base, and the sources it copies or mounts from, as the Dockerfile names them."""

    name: str
    base: str | None
    sources: list[str] = field(default_factory=list)


def named_by(dockerfile: Dockerfile, docker: Docker, platform: Platform) -> NamedImages:
    """Return the images that a build for a platform names.

    Images that only BuildKit can tell, as by a name with shell patterns, are not among them: after the build, the
    materials that BuildKit reports are compared with the pinned images.
    """
    stages = _stages(dockerfile, docker, platform)
    walk = _Walk(stages, docker)
    target = walk.before(docker.target, len(stages)) if docker.target else len(stages) - 1
    if target is not None and target >= 0:
        walk.enter(target)
    syntax = docker.args.get(_SYNTAX) or dockerfile.syntax
    references = [*walk.images, *([in_full(syntax)] if syntax else [])]
    return NamedImages(
        images=tuple(dict.fromkeys(reference for reference in references if reference)),
        base=walk.base_of(target) if target is not None and target >= 0 else None,
        is_complete=not walk.has_unknown and not any(_may_fetch(each) for each in dockerfile.instructions),
    )


def _may_fetch(instruction: Instruction) -> bool:
    """Tell whether an instruction fetches, or may fetch, an address."""
    name, rest = instruction.name, instruction.rest
    is_add = name == "ADD" or (name == "ONBUILD" and rest.upper().startswith("ADD"))
    return is_add and _ADDRESS.search(rest) is not None


def in_full(text: str) -> str | None:
    """Return a reference in full, as BuildKit knows it; `None` if it is malformed or `scratch`."""
    if text == _SCRATCH:
        return None
    try:
        return str(Reference.parse(text))
    except UsageError:
        return None


def _arguments(docker: Docker, platform: Platform) -> dict[str, str]:
    """Return the arguments that need no declaration, without those that only the builder knows."""
    return {
        "TARGETPLATFORM": str(platform),
        "TARGETOS": platform.os,
        "TARGETARCH": platform.architecture,
        "TARGETVARIANT": platform.variant or "",
        "TARGETSTAGE": docker.target or "default",
    } | {name: value for name, value in docker.args.items() if name.startswith("TARGET")}


def _stages(dockerfile: Dockerfile, docker: Docker, platform: Platform) -> list[_Stage]:
    values = _arguments(docker, platform)
    stages: list[_Stage] = []
    for instruction in dockerfile.instructions:
        if instruction.name == "FROM":
            words = instruction.rest.split()
            base = expand(words[0], values, dockerfile.escape) if words else None
            name = words[2] if len(words) > 2 and words[1].lower() == "as" else ""  # noqa: PLR2004 - `BASE AS NAME`
            stages.append(_Stage(name=name.lower(), base=base))
        elif instruction.name == "ARG" and not stages:
            _declare(instruction, docker, values, dockerfile.escape)
        elif stages:
            stages[-1].sources += _sources(instruction)
    return stages


def _declare(instruction: Instruction, docker: Docker, values: dict[str, str], escape: str) -> None:
    """Add the arguments declared before the first stage; only these can be used in `FROM`."""
    for word in _words(instruction.rest):
        name, has_default, default = word.partition("=")
        if name in docker.args:
            values[name] = docker.args[name]
        elif has_default and (value := expand(default, values, escape)) is not None:
            values[name] = value


def _words(text: str) -> list[str]:
    """Split at spaces outside quotes; the quotes stay."""
    return re.findall(r"""(?:[^\s"']|"(?:\\.|[^"\\])*"|'[^']*')+""", text)


def _sources(instruction: Instruction) -> Iterator[str]:
    """Yield what an instruction copies or mounts from."""
    if instruction.name == "ONBUILD" and instruction.rest:
        return  # for builds that use the image as their base
    for flag, value in instruction.flags:
        if instruction.name in {"COPY", "ADD"} and flag == "from":
            yield value
        elif instruction.name == "RUN" and flag == "mount":
            for option in next(csv.reader([value]), []):
                key, _, source = option.partition("=")
                if key.strip().lower() == "from" and source:
                    yield source


class _Walk:
    """Finds the images that a stage needs, by itself or through other stages."""

    def __init__(self, stages: list[_Stage], docker: Docker) -> None:
        self._stages = stages
        self._contexts = {in_full(name) or name for name in docker.contexts} | set(docker.contexts)
        self._entered: set[int] = set()
        images = {name: in_full(reference) for name, reference in image_contexts_of(docker).items()}
        self._images = images | {in_full(name) or name: reference for name, reference in images.items()}
        self.images: list[str | None] = [*images.values()]
        self.has_unknown = False
        """An image is named in a way that only BuildKit understands."""

    def before(self, name: str, end: int) -> int | None:
        """Return the index of the stage with this name or number before `end`; `None` if there is no such stage."""
        for index in reversed(range(end)):
            if self._stages[index].name == name.lower():
                return index
        return int(name) if name.isdecimal() and int(name) < end else None

    def enter(self, first: int) -> None:
        """Collect what a stage needs."""
        waiting = [first]
        while waiting:
            index = waiting.pop()
            if index in self._entered:
                continue
            self._entered.add(index)
            stage = self._stages[index]
            self.has_unknown |= stage.base is None
            for source in ([stage.base] if stage.base is not None else []) + stage.sources:
                other = self._stage(source, index, numbers=source is not stage.base)
                if other is not None:
                    waiting.append(other)
                elif not self._is_context(source):
                    self.images.append(in_full(source))
                    self.has_unknown |= self.images[-1] is None and source != _SCRATCH

    def base_of(self, index: int) -> str | None:
        """Return the image at the bottom of a stage's chain of bases."""
        base = self._stages[index].base
        while base is not None and (other := self._stage(base, index, numbers=False)) is not None:
            base, index = self._stages[other].base, other
        if base is not None and self._is_context(base):
            return self._images.get(base) or self._images.get(in_full(base) or base)
        return in_full(base) if base is not None else None

    def _stage(self, name: str, end: int, *, numbers: bool) -> int | None:
        """Return the index of the stage that a name means; `FROM` takes no numbers."""
        if self._is_context(name) or (name.isdecimal() and not numbers):
            return None
        return self.before(name, end)

    def _is_context(self, name: str) -> bool:
        return name in self._contexts or (in_full(name) or name) in self._contexts
