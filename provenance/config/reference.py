"""The reference of all keys in `docs/configuration.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from .entry import ANY, Key, Presence
from .keys import KEYS
from .kinds import Choice, Flag, Kind, NamedTables, Repeats, Table, Text, TextMap, Texts
from .toml_text import assignments, rendered

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGIN = "<!-- reference: begin (written from the definitions; the end of this page says how) -->"
END = "<!-- reference: end -->"


def reference() -> str:
    """Return the reference in Markdown: a section for each table, an entry for each key."""
    return "\n\n".join("\n\n".join(_paragraphs(key)) for key in KEYS)


def with_reference(page: str) -> str:
    """Return `page` with the reference between its two marks written anew.

    Raises:
        ValueError: a mark is missing.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page lacks the marks between which the reference stands")
    return f"{head}{BEGIN}\n\n{reference()}\n\n{END}{tail}"


def _paragraphs(key: Key) -> Iterator[str]:
    match key.kind:
        case Table():
            yield f"### `[{key.path}]`"
        case NamedTables():
            yield f"### `[{key.path}.{ANY}]`"
        case _:
            yield f"#### `{key.path}`"
    yield key.doc
    yield "\n".join(f"- {point}" for point in _points(key))
    if key.example is not None:
        lines = "\n".join(assignments(key, key.example))
        yield f"```toml\n[{key.path.partition('.')[0]}]\n{lines}\n```"


def _points(key: Key) -> Iterator[str]:
    yield f"Type: {_type(key.kind)}"
    if key.presence is Presence.REQUIRED:
        yield "Required, once its table is there"
    elif key.default is not None:
        yield f"Default: `{rendered(key.default)}`{f' ({key.absent})' if key.absent else ''}"
    elif key.absent:
        yield f"Default: {key.absent}"
    yield from _rules(key.kind)


def _type(kind: Kind) -> str:
    match kind:
        case Text():
            name = "text"
        case Texts():
            once = ", each at most once" if kind.repeats is Repeats.REFUSED else ""
            name = f"array of {'one or more ' if kind.least else ''}texts{once}"
        case Choice():
            name = " or ".join(f'`"{option}"`' for option in kind.options)
        case Flag():
            name = "`true` or `false`"
        case Table():
            name = "table"
        case NamedTables():
            name = "table, under a name that you give"
        case TextMap():
            name = "table of texts, under names that you give"
        case _:
            assert_never(kind)
    return name


def _rules(kind: Kind) -> Iterator[str]:
    match kind:
        case Text():
            yield from _expected(kind, "Has to be")
        case Texts():
            yield from _expected(kind.item, "Each has to be")
        case NamedTables():
            yield from _expected(kind.name, "The name has to be")
        case TextMap():
            yield from _expected(kind.name, "Each name has to be")
            yield from _expected(kind.value, "Each text has to be")
        case Choice():
            yield from (f"Not `{option}`: {why}" for option, why in kind.later.items())
        case Flag() | Table():
            return
        case _:
            assert_never(kind)


def _expected(text: Text, has_to_be: str) -> Iterator[str]:
    """Yield the clauses of `text`; those of every text go without saying."""
    yield from dict.fromkeys(f"{has_to_be} {clause.expected}" for clause in text.own)
