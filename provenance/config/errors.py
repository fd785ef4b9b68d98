"""What is wrong with a parsed `provenance.toml`, in words: one line for each mistake, with its path and a guess."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import assert_never

from ..errors import quoted
from .model import Config, all_keys
from .schema import (
    ANY,
    Choice,
    Echo,
    Flag,
    Key,
    Kind,
    NamedTables,
    Presence,
    Repeats,
    Table,
    Text,
    TextMap,
    Texts,
    keys,
)

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,80}\Z")
_COMPARED = 80
"""Characters of an unknown name that a guess looks at: the time to compare grows with the square of their number."""
_INTEGER_BITS = 64


def mistakes(document: Mapping[str, object]) -> Iterator[str]:
    """Yield what is wrong with `document`, as `cargo.profil: unknown key; …`, in the order of the file.

    Lazily: each line costs comparisons with all keys, and a hostile file can have very many mistakes.
    """
    yield from _table(document, at="", known=keys(Config))


def check(kind: Kind, value: object, *, at: str, path: str) -> Iterator[str]:
    """Yield what is wrong with `value`.

    Arguments:
        kind: what it has to be.
        value: as tomllib returns it.
        at: its path in the file, as messages give it.
        path: of the key that declares it.
    """
    match kind:
        case Text():
            yield from _text(kind, value, at=at)
        case Texts():
            yield from _texts(kind, value, at=at)
        case Choice():
            yield from _choice(kind, value, at=at)
        case Flag():
            if not isinstance(value, bool):
                yield f"{at}: expected `true` or `false`, found {_described(value)}"
        case Table():
            yield from _table(value, at=at, known=keys(kind.of, path))
        case NamedTables():
            yield from _named_tables(kind, value, at=at, path=path)
        case TextMap():
            yield from _text_map(kind, value, at=at)
        case _:
            assert_never(kind)


def _table(
    value: object, *, at: str, known: Mapping[str, Key], later: Mapping[str, str] = MappingProxyType({})
) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{at}: expected a table, found {_described(value)}"
        return
    for name, inner in value.items():
        key = known.get(name)
        if key and isinstance(key.kind, Text | Texts) and key.kind.takes(inner):
            continue
        place = _inside(at, name)
        if key:
            yield from check(key.kind, inner, at=place, path=key.path)
        elif name in later:
            yield f"{place}: {later[name]}; leave this key out"
        else:
            yield f"{place}: unknown key; {_misplaced(name, known)}"
    for name, key in known.items():
        if key.presence is Presence.REQUIRED and name not in value:
            yield f"{_inside(at, name)}: missing; `{at}` needs it"


def _named_tables(kind: NamedTables, value: object, *, at: str, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{at}: expected a table of tables, found {_described(value)}"
        return
    for name, inner in value.items():
        place = _inside(at, name)
        if not kind.name.takes(name):
            yield from _name(kind.name, name, at=place)
        yield from _table(inner, at=place, known=keys(kind.of, f"{path}.{ANY}"), later=kind.later)


def _text_map(kind: TextMap, value: object, *, at: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{at}: expected a table of texts, found {_described(value)}"
        return
    for name, inner in value.items():
        place = _inside(at, name)
        yield from _name(kind.name, name, at=place)
        yield from _text(kind.value, inner, at=place)


def _name(kind: Text, name: str, *, at: str) -> Iterator[str]:
    expected = failed(kind, name)
    if expected:
        yield f"{at}: expected {expected} as the key's name"


def _texts(kind: Texts, value: object, *, at: str) -> Iterator[str]:
    if not isinstance(value, list):
        is_text = isinstance(value, str) and kind.item.echo is Echo.SHOWN
        hint = "; write it as an array, in `[` and `]`" if is_text else ""
        yield f"{at}: expected an array of texts, found {_described(value)}{hint}"
        return
    if len(value) < kind.least:
        yield f"{at}: expected {kind.least} or more texts, found {len(value)}"
    seen: set[str] = set()
    for index, item in enumerate(value):
        place = f"{at}[{index}]"
        yield from _text(kind.item, item, at=place)
        if isinstance(item, str) and kind.repeats is Repeats.REFUSED:
            if item in seen:
                yield f"{place}: {quoted(item)} stands here a second time"
            seen.add(item)


def _text(kind: Text, value: object, *, at: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{at}: expected text, found {_described(value)}"
        return
    expected = failed(kind, value)
    if expected:
        shown = quoted(value) if kind.echo is Echo.SHOWN else "text that may hold a secret and is not shown here"
        yield f"{at}: expected {expected}, found {shown}"


def failed(kind: Text, text: str) -> str | None:
    """Return what the first clause that `text` does not meet expects, or nothing."""
    return next((clause.expected for clause in kind.clauses if not clause.holds(text)), None)


def _choice(kind: Choice, value: object, *, at: str) -> Iterator[str]:
    options = [str(option) for option in kind.options]
    if value in options:
        return
    taken = " or ".join(f"`{option}`" for option in options)
    if not isinstance(value, str):
        yield f"{at}: expected {taken}, found {_described(value)}"
    elif value in kind.later:
        yield f"{at}: {kind.later[value]}; expected {taken}"
    else:
        guess = _did_you_mean(value, options)
        yield f"{at}: expected {taken}, found {quoted(value)}{f'; {guess}' if guess else ''}"


def _inside(at: str, name: str) -> str:
    part = name if _BARE_KEY.match(name) else f'"{quoted(name)[1:-1]}"'
    return f"{at}.{part}" if at else part


def _described(value: object) -> str:
    """Return a value with its type as TOML names it, as `3 (integer)`."""
    match value:
        case str():
            what = f"{quoted(value)} (text)"
        case bool():
            what = f"{str(value).lower()} (boolean)"
        case int():
            # tomllib reads hexadecimal integers of any length; Python refuses to print them.
            what = f"{value} (integer)" if value.bit_length() <= _INTEGER_BITS else "an integer"
        case float():
            what = f"{value} (float)"
        case dt.date() | dt.time():
            what = f"{value.isoformat()} (date or time)"
        case list():
            what = "an array"
        case _:
            what = "a table"
    return what


def _did_you_mean(text: str, candidates: Iterable[str]) -> str:
    """Return `did you mean …?` for the candidate that is most like `text`, or nothing."""
    close = difflib.get_close_matches(text[:_COMPARED], list(candidates), n=1)
    return f"did you mean `{close[0]}`?" if close else ""


def _misplaced(name: str, known: Mapping[str, Key]) -> str:
    """Say what may be meant by `name`, which is no key of the table whose keys are `known`.

    A key of the same name elsewhere comes first, then one spelled nearly so here, then one spelled nearly so elsewhere.
    """
    elsewhere = {key.name: key.path for key in reversed(all_keys().values()) if ANY not in key.path.split(".")}
    if name in elsewhere:
        return f"did you mean `{elsewhere[name]}`?"
    here = _did_you_mean(name, known)
    if here:
        return here
    close = difflib.get_close_matches(name[:_COMPARED], elsewhere, n=1)
    if close:
        return f"did you mean `{elsewhere[close[0]]}`?"
    return f"taken here: {', '.join(f'`{key}`' for key in known)}"
