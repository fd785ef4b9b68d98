"""What a value in `provenance.toml` can be: kinds of values, and clauses that a text has to meet.

A kind is data alone: `check` reads by it, `json_schema` and `reference` describe it. Patterns are written in what
Python, ECMA 262 and Rust's `regex` read alike (no look-around, no `.`), since editors check by the same ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
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

PRINTABLE = (
    Must(pattern=r"\S", expected="text that is not empty"),
    MustNot(pattern=r"[\x00-\x1f\x7f]", expected="text without control characters"),
)
"""What every text has to meet, besides its own clauses."""


class Echo(StrEnum):
    """Whether a message may repeat a wrong text."""

    SHOWN = "shown"
    HIDDEN = "hidden"
    """It may hold a secret, as a URL may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text that meets `PRINTABLE` and all of `own`; the first that fails is told."""

    own: tuple[Clause, ...] = ()
    echo: Echo = Echo.SHOWN

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """All clauses, in the order in which they are checked."""
        return (*PRINTABLE, *self.own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """An array of texts, each at most once."""

    item: Text


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
