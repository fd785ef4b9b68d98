"""What a value in `provenance.toml` can be: kinds of values, and clauses that a text has to meet.

A kind is data alone: `check` reads by it, `json_schema` and `reference` describe it. Patterns are written in what
Python, ECMA 262 and Rust's `regex` read alike (no look-around, no `.`), since editors check by the same ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Must:
    """A text must contain a match of `pattern`; `expected` completes "expected …"."""

    pattern: str
    expected: str

    def holds(self, text: str) -> bool:
        """Say whether `text` meets this clause."""
        return re.search(self.pattern, text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class MustNot:
    """A text must not contain a match of `pattern`; `expected` completes "expected …"."""

    pattern: str
    expected: str

    def holds(self, text: str) -> bool:
        """Say whether `text` meets this clause."""
        return re.search(self.pattern, text) is None


Clause = Must | MustNot

_NOTHING = r"[^\s\S]"

PRINTABLE = (
    Must(pattern=r"\S", expected="text that is not empty"),
    MustNot(pattern=r"[\x00-\x1f\x7f]", expected="text without control characters"),
)
"""What a text has to meet, besides its own clauses, unless it says otherwise."""


class Echo(StrEnum):
    """Whether a message may repeat a wrong text."""

    SHOWN = "shown"
    HIDDEN = "hidden"
    """It may hold a secret, as a URL may."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text that meets all of `common` and all of `own`; the first clause that fails is told."""

    own: tuple[Clause, ...] = ()
    common: tuple[Clause, ...] = PRINTABLE
    echo: Echo = Echo.SHOWN

    @cached_property
    def _must(self) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(clause.pattern) for clause in self.clauses if isinstance(clause, Must))

    @cached_property
    def _must_not(self) -> re.Pattern[str]:
        unwanted = [f"(?:{clause.pattern})" for clause in self.clauses if isinstance(clause, MustNot)]
        return re.compile("|".join(unwanted) or _NOTHING)

    def takes(self, value: object) -> bool:
        """Say whether `value` meets all clauses; `check` then says which one it does not."""
        if not isinstance(value, str) or self._must_not.search(value):
            return False
        return all([pattern.search(value) for pattern in self._must])  # noqa: C419 - a list is faster, for two patterns

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """All clauses, in the order in which they are checked."""
        return (*self.common, *self.own)


class Repeats(StrEnum):
    """Whether a text may stand in an array more than once."""

    REFUSED = "refused"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """An array of texts, of which there are `least` or more."""

    item: Text
    least: int = 0
    repeats: Repeats = Repeats.REFUSED

    def takes(self, value: object) -> bool:
        """Say whether `value` is such an array; `check` then says what is wrong with it."""
        if not isinstance(value, list) or len(value) < self.least or not all(map(self.item.takes, value)):
            return False
        return self.repeats is Repeats.TAKEN or len(value) == 1 or len(set(value)) == len(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the values of an enumeration.

    Attributes:
        options: what is taken.
        later: what is not taken yet, to what is said about it.
    """

    options: type[StrEnum]
    later: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Flag:
    """`true` or `false`."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose keys are defined one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTables:
    """A table of tables: the user gives the names, as `example`; each table has the same keys."""

    name: Text
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMap:
    """A table of texts: the user gives the names."""

    name: Text
    value: Text


Kind = Text | Texts | Choice | Flag | Table | NamedTables | TextMap
