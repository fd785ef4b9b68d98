"""The starter `provenance.toml` that `doit init` writes: every key, commented out, with discovered values filled in."""

from __future__ import annotations

import json
import re
import textwrap
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..errors import ConfigError, quoted
from .errors import mistakes
from .model import FILE, all_keys
from .schema import ANY, Key, NamedTables, Presence, Table, Value

SCHEMA_URL = "https://github.com/doit-provenance/doit-provenance/raw/main/docs/provenance.schema.json"
"""Where the JSON Schema is published."""
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")
_WIDTH = 88
_HEAD = f"""\
#:schema {SCHEMA_URL}

# What doit-provenance builds here, and how it is signed. Each setting stands at its default,
# or at an example where that is nothing; take away the `#` right before one to set it.
"""

_PLACES = frozenset(path for path in all_keys() if ANY not in path.split("."))
_SETTINGS = (
    frozenset(key.path for key in all_keys().values() if not isinstance(key.kind, Table | NamedTables)) & _PLACES
)


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
        for key in all_keys().values()
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
        key = _definition(f"{proposed.parent}.{ANY}.{setting}")
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


def rendered(value: Value) -> str:
    """Return `value` on one line."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped too.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case tuple():
            return f"[{', '.join(rendered(item) for item in value)}]"
        case Mapping():
            return f"{{ {', '.join(f'{_dotted(name)} = {rendered(item)}' for name, item in value.items())} }}"


def _dotted(*names: str) -> str:
    """Return the key that has these parts, each quoted where TOML needs it."""
    return ".".join(name if _BARE_KEY.match(name) else rendered(name) for name in names)


def assignments(key: Key, value: Value, *, name: str | None = None) -> Iterator[str]:
    """Yield the lines that set `key` to `value` below the header of its top-level table.

    Each line stands for itself: a dotted key keeps its meaning when the lines around it are commented out.

    Args:
        key: what is set.
        value: what to.
        name: the user's own, where the key is in a table that the user names; `None`: an example.
    """
    names = _names(key, name)
    if isinstance(value, Mapping):
        yield from (f"{_dotted(*names, name)} = {rendered(item)}" for name, item in value.items())
    else:
        yield f"{_dotted(*names)} = {rendered(value)}"


def _names(key: Key, name: str | None) -> Sequence[str]:
    """Return the parts of the key's path below its top-level table, with a name where the user gives it."""
    parts = key.path.split(".")
    for index, part in enumerate(parts):
        if part == ANY:
            named = _definition(".".join(parts[:index])).kind
            parts[index] = name or (named.example if isinstance(named, NamedTables) else part)
    return parts[1:]


def _definition(setting: str) -> Key:
    """Return the key that declares `setting`, whose path may have names that the user gave.

    Raises:
        KeyError: there is no such setting.
    """
    declared = all_keys()
    path = ""
    for part in setting.split("."):
        inside = f"{path}.{part}" if path else part
        path = inside if inside in declared else f"{path}.{ANY}"
    if path not in declared:
        raise KeyError(setting)
    return declared[path]
