"""The starter `provenance.toml` that `doit init` writes: every key, commented, with what was found filled in."""

from __future__ import annotations

import textwrap
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ..errors import ConfigError, quoted
from .check import mistakes
from .entry import ANY, Key, Presence, Value
from .json_schema import URL
from .keys import FILE, KEYS, definition
from .kinds import NamedTables, Table
from .toml_text import assignments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_WIDTH = 88
_HEAD = f"""\
#:schema {URL}

# What doit-provenance builds here, and how it is signed. Each setting stands at its default,
# or at an example where that is nothing; take away the `#` right before one to set it.
"""

_PLACES = frozenset(key.path for key in KEYS if ANY not in key.path.split("."))
_SETTINGS = frozenset(key.path for key in KEYS if not isinstance(key.kind, Table | NamedTables)) & _PLACES


class Standing(StrEnum):
    """How a proposed table stands in the file."""

    SET = "set"
    OFFERED = "offered"
    """Behind `#`: the user's to take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A table that the user would name, as `[docker.NAME]`, with a name and settings that were found.

    Attributes:
        parent: the path of the table that it is in, as `docker`.
        settings: by their names in the table, in the order in which they are written.
        seen: where it comes from, in a sentence or two.
    """

    parent: str
    name: str
    settings: Mapping[str, Value]
    seen: str
    standing: Standing

    def mistakes(self) -> list[str]:
        """Return what is wrong with it, as `provenance.toml` would be told."""
        return list(mistakes({self.parent: {self.name: {k: _parsed(v) for k, v in self.settings.items()}}}))


def starter(
    found: Mapping[str, Value] | None = None,
    *,
    notes: Mapping[str, Sequence[str]] | None = None,
    proposed: Sequence[Proposed] = (),
) -> str:
    """Return the text of a starter `provenance.toml`, which reads as the defaults and what was `found`.

    Arguments:
        found: settings, by their path, to write instead of their defaults.
        notes: lines of text to write above a setting, by its path: what was seen in the workspace.
        proposed: tables to write, or to offer.

    Raises:
        KeyError: there is no such setting, or one that was `found` stands in a table that the user names.
        ConfigError: a value that was found is not taken.
    """
    found, notes = found or {}, notes or {}
    unknown = (found.keys() - _SETTINGS) | (notes.keys() - _PLACES)
    if unknown:
        raise KeyError(*sorted(unknown))
    entries = [
        entry
        for key in KEYS
        for entry in (
            "\n".join(_entry(key, found.get(key.path), notes.get(key.path, ()))),
            *("\n".join(_table(one)) for one in proposed if one.parent == key.path),
        )
    ]
    text = "\n".join([_HEAD, *(f"{entry}\n" for entry in entries)])
    try:
        wrong = list(mistakes(tomllib.loads(text.encode().decode())))
    except UnicodeEncodeError as error:  # a path on disk may be any bytes
        line = text[text.rfind("\n", 0, error.start) + 1 : text.find("\n", error.start)]
        raise ConfigError(f"{FILE}: what was found is not UTF-8: {quoted(line)}") from error
    if wrong:
        raise ConfigError("\n".join(f"{FILE}: {line}" for line in wrong), hint="this was found; write it by hand")
    return text


def _entry(key: Key, found: Value | None, notes: Sequence[str]) -> Iterator[str]:
    absent = f" Default: {key.absent}." if key.absent and key.presence is Presence.OPTIONAL else ""
    for paragraph in (key.doc + absent, *notes):
        yield from _comment(paragraph)
    if isinstance(key.kind, Table | NamedTables) and not key.parent:
        yield f"[{key.path}]"
    elif not isinstance(key.kind, Table | NamedTables):
        value, mark = (_shown(key), "#") if found is None else (found, "")
        yield from (f"{mark}{line}" for line in assignments(key, value))


def _table(proposed: Proposed) -> Iterator[str]:
    """Yield the lines of a proposed table, each of which stands for itself below the header of its parent."""
    mark = "" if proposed.standing is Standing.SET else "#"
    yield from _comment(proposed.seen)
    for setting, value in proposed.settings.items():
        key = definition(f"{proposed.parent}.{ANY}.{setting}")
        yield from (f"{mark}{line}" for line in assignments(key, value, name=proposed.name))


def _comment(paragraph: str) -> Iterator[str]:
    words = " ".join("".join(c if c.isprintable() else " " for c in paragraph).split())
    yield from (f"# {line}" for line in textwrap.wrap(words, _WIDTH, break_long_words=False))


def _parsed(value: Value) -> object:
    """Return a value as tomllib gives it."""
    return list(value) if isinstance(value, tuple) else value


def _shown(key: Key) -> Value:
    for value in (key.default, key.example):
        if value not in (None, ()):
            return value
    raise ValueError(f"{key.path} has neither a default nor an example to show")
