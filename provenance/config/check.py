"""Compare a parsed `provenance.toml` with the definitions of its keys: one line for each mistake."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import assert_never

from ..errors import quoted
from .command import LATER
from .entry import ANY, Presence
from .keys import children
from .kinds import Choice, Echo, Flag, Kind, NamedTables, Repeats, Table, Text, TextMap, Texts
from .wording import described, did_you_mean, misplaced

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,80}\Z")


def mistakes(document: Mapping[str, object]) -> Iterator[str]:
    """Yield what is wrong with `document`, as `cargo.profil: unknown key; …`, in the order of the file.

    Lazily: each line costs comparisons with all keys, and a hostile file can have very many mistakes.
    """
    yield from _table(document, at="", defined="")


def check(kind: Kind, value: object, *, at: str, defined: str) -> Iterator[str]:
    """Yield what is wrong with `value`.

    Arguments:
        kind: what it has to be.
        value: as tomllib gives it.
        at: where it stands, as messages say it.
        defined: the path of the key that defines it, as `KEYS` has it.
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
                yield f"{at}: expected `true` or `false`, found {described(value)}"
        case Table():
            yield from _table(value, at=at, defined=defined)
        case NamedTables():
            yield from _named_tables(kind, value, at=at, defined=defined)
        case TextMap():
            yield from _text_map(kind, value, at=at)
        case _:
            assert_never(kind)


def _table(value: object, *, at: str, defined: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{at}: expected a table, found {described(value)}"
        return
    known = children(defined)
    for name, inner in value.items():
        key = known.get(name)
        if key and isinstance(key.kind, Text | Texts) and key.kind.takes(inner):
            continue
        place = _inside(at, name)
        if key:
            yield from check(key.kind, inner, at=place, defined=key.path)
        elif (later := f"{defined}.{name}") in LATER:
            yield f"{place}: {LATER[later]}; leave this key out"
        else:
            yield f"{place}: unknown key; {misplaced(name, known)}"
    for name, key in known.items():
        if key.presence is Presence.REQUIRED and name not in value:
            yield f"{_inside(at, name)}: missing; `{at}` needs it"


def _named_tables(kind: NamedTables, value: object, *, at: str, defined: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{at}: expected a table of tables, found {described(value)}"
        return
    for name, inner in value.items():
        place = _inside(at, name)
        if not kind.name.takes(name):
            yield from _name(kind.name, name, at=place)
        yield from _table(inner, at=place, defined=f"{defined}.{ANY}")


def _text_map(kind: TextMap, value: object, *, at: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{at}: expected a table of texts, found {described(value)}"
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
        one = isinstance(value, str) and kind.item.echo is Echo.SHOWN
        hint = "; write it as an array, in `[` and `]`" if one else ""
        yield f"{at}: expected an array of texts, found {described(value)}{hint}"
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
        yield f"{at}: expected text, found {described(value)}"
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
        yield f"{at}: expected {taken}, found {described(value)}"
    elif value in kind.later:
        yield f"{at}: {kind.later[value]}; expected {taken}"
    else:
        guess = did_you_mean(value, options)
        yield f"{at}: expected {taken}, found {quoted(value)}{f'; {guess}' if guess else ''}"


def _inside(at: str, name: str) -> str:
    part = name if _BARE_KEY.match(name) else f'"{quoted(name)[1:-1]}"'
    return f"{at}.{part}" if at else part
