"""Wildcards as moby's patternmatcher has them, as a matcher that no pattern can make slow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ...provenance.errors import UnreadableError, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_QUICK = 3
"""Wildcards of any length in a pattern that Python's regular expressions match quickly in the worst case too."""


@dataclass(frozen=True, slots=True)
class Literal:
    """One character."""

    character: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """`[…]`, as ranges of code points."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class AnyOne:
    """`?`: one character but `/`."""


@dataclass(frozen=True, slots=True)
class Some:
    """`*`: any number of characters but `/`."""


@dataclass(frozen=True, slots=True)
class Folders:
    """`**` and `**/` before something: nothing, or anything that ends in `/`."""


@dataclass(frozen=True, slots=True)
class Rest:
    """`**` at the end: anything."""


@dataclass(frozen=True, slots=True)
class Start:
    """`^`, which moby's matcher leaves to the regular expression: nothing but the start of the path."""


Token: TypeAlias = Literal | OneOf | AnyOne | Some | Folders | Rest | Start


_SIMPLE: Mapping[str, Token] = {"*": Some(), "?": AnyOne(), "^": Start()}


def tokens(pattern: str) -> list[Token]:
    """Take a pattern apart (`Pattern.compile`); its syntax is that of Go's `filepath.Match`.

    Raises:
        UnreadableError: it is none, or means what only Go's regular expressions can say.
    """
    found: list[Token] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*" and pattern[at : at + 1] == "*":
            at += 2 if pattern[at + 1 : at + 2] == "/" else 1
            found.append(Rest() if at >= len(pattern) else Folders())
        elif character == "[":
            one, at = _one_of(pattern, at)
            found.append(one)
        elif character == "\\":
            literal, at = _escaped(pattern, at)
            found.append(Literal(literal))
        else:
            found.append(_SIMPLE.get(character) or Literal(character))
    return found


def matcher(parsed: Sequence[Token]) -> Callable[[str], object]:
    """Return what tells whether a path matches."""
    wide = sum(isinstance(token, Some | Folders | Rest) for token in parsed)
    if wide <= _QUICK:
        return re.compile("".join(map(_expression, parsed)) + r"\Z").match
    return lambda path: _simulated(parsed, path)


def depth_of(parsed: Sequence[Token]) -> int | None:
    """Return how many `/` every path has that a pattern matches; `None`: that differs."""
    if any(
        isinstance(token, Folders | Rest) or (isinstance(token, OneOf) and _may_be_slash(token)) for token in parsed
    ):
        return None
    return sum(token == Literal("/") for token in parsed)


def _may_be_slash(token: OneOf) -> bool:
    return any(low <= "/" <= high for low, high in token.ranges) != token.negated


def _escaped(pattern: str, at: int) -> tuple[str, int]:
    if at >= len(pattern):
        raise _refused(pattern, "it ends in a backslash")
    if pattern[at].isalnum():
        raise _refused(pattern, rf"`\{pattern[at]}` means something to Go's regular expressions alone")
    return pattern[at], at + 1


def _one_of(pattern: str, at: int) -> tuple[OneOf, int]:
    negated = pattern[at : at + 1] == "^"
    at += negated
    ranges: list[tuple[str, str]] = []
    while at < len(pattern) and (pattern[at] != "]" or not ranges):
        low, at = _member(pattern, at)
        high = low
        if pattern[at : at + 1] == "-":
            high, at = _member(pattern, at + 1)
        if high < low:
            raise _refused(pattern, f"`{low}-{high}` is no range")
        ranges.append((low, high))
    if at >= len(pattern):
        raise _refused(pattern, "a `[` is not closed")
    return OneOf(tuple(ranges), negated), at + 1


def _member(pattern: str, at: int) -> tuple[str, int]:
    if at >= len(pattern):
        raise _refused(pattern, "a `[` is not closed")
    if pattern[at] in "-]":
        raise _refused(pattern, f"`{pattern[at]}` can't stand there in `[…]`")
    if pattern[at] == "[" and pattern[at + 1 : at + 2] == ":":
        raise _refused(pattern, "`[:` means something to Go's regular expressions alone")
    return _escaped(pattern, at + 1) if pattern[at] == "\\" else (pattern[at], at + 1)


def _refused(pattern: str, reason: str) -> UnreadableError:
    return UnreadableError(f"{quoted(pattern)} is no pattern: {reason}", hint="correct it in `.dockerignore`")


_EXPRESSIONS: Mapping[type[Token], str] = {
    AnyOne: "[^/]",
    Some: "[^/]*",
    Folders: "(?:.*/)?",
    Rest: ".*",
    Start: "^",
}


def _expression(token: Token) -> str:
    match token:
        case Literal(character):
            return re.escape(character)
        case OneOf(ranges, negated):
            inside = "".join(f"{_member_expression(low)}-{_member_expression(high)}" for low, high in ranges)
            return f"[{'^' if negated else ''}{inside}]"
        case _:
            return _EXPRESSIONS[type(token)]


def _member_expression(character: str) -> str:
    return f"\\u{ord(character):04x}" if ord(character) < 1 << 16 else f"\\U{ord(character):08x}"


def _simulated(parsed: Sequence[Token], path: str) -> bool:
    """Match by following all ways at once: the time grows with the product of the two lengths and no faster."""
    places = _without_a_step(parsed, {(0, False)}, at_start=True)
    for character in path:
        places = _without_a_step(parsed, _after(parsed, places, character), at_start=False)
        if not places:
            return False
    return (len(parsed), False) in places


_Places: TypeAlias = set[tuple[int, bool]]
"""Index of the next token, and whether one is inside of `Folders`, which has to end in `/`."""


def _without_a_step(parsed: Sequence[Token], places: _Places, *, at_start: bool) -> _Places:
    pending, found = list(places), set(places)
    while pending:
        index, inside = pending.pop()
        token = parsed[index] if index < len(parsed) else None
        empty = isinstance(token, Some | Rest | Folders) or (isinstance(token, Start) and at_start)
        if empty and not inside and (index + 1, False) not in found:
            found.add((index + 1, False))
            pending.append((index + 1, False))
    return found


def _after(parsed: Sequence[Token], places: _Places, character: str) -> _Places:
    found: _Places = set()
    for index, _ in places:
        match parsed[index] if index < len(parsed) else None:
            case Literal(wanted) if wanted == character:
                found.add((index + 1, False))
            case OneOf(ranges, negated) if any(low <= character <= high for low, high in ranges) != negated:
                found.add((index + 1, False))
            case AnyOne() if character != "/":
                found.add((index + 1, False))
            case Some() if character != "/":
                found.add((index, False))
            case Rest() if character != "\n":
                found.add((index, False))
            case Folders() if character != "\n":
                found.add((index, True))
                if character == "/":
                    found.add((index + 1, False))
            case _:
                pass
    return found
