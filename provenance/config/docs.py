"""The JSON Schema for editors (draft 7, which all of them know) and the reference in `docs/configuration.md`.

Both follow from the declarations; `python -m doit_provenance.provenance.config DOCS` writes them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, assert_never

from .model import Config, all_keys
from .schema import (
    ANY,
    Choice,
    Clause,
    Flag,
    Key,
    Kind,
    Must,
    MustNot,
    NamedTables,
    Presence,
    Repeats,
    Table,
    Text,
    TextMap,
    Texts,
    Value,
    keys,
)
from .starter import SCHEMA_URL, assignments, rendered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..json import JSONValue

BEGIN = "<!-- reference: begin (written from the definitions; the end of this page says how) -->"
END = "<!-- reference: end -->"


def schema() -> dict[str, JSONValue]:
    """Return the schema. What it takes is what the reader takes, except for where `signing.key` really is."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": SCHEMA_URL,
        "title": "provenance.toml of doit-provenance",
        **_table(keys(Config)),
    }


def to_json() -> str:
    """Return the text of `docs/provenance.schema.json`."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _property(key: Key) -> dict[str, JSONValue]:
    notes: dict[str, JSONValue] = {"description": key.doc}
    if key.default is not None:
        notes["default"] = _value(key.default)
    if key.example is not None:
        notes["examples"] = [_value(key.example)]
    return notes | _kind(key.kind, key.path)


def _kind(kind: Kind, path: str) -> dict[str, JSONValue]:
    found: dict[str, JSONValue]
    match kind:
        case Text():
            found = _text(kind)
        case Texts():
            found = {"type": "array", "items": _text(kind.item), "uniqueItems": kind.repeats is Repeats.REFUSED}
            found |= {"minItems": kind.least} if kind.least else {}
        case Choice():
            found = {"type": "string", "enum": [str(option) for option in kind.options]}
        case Flag():
            found = {"type": "boolean"}
        case Table():
            found = _table(keys(kind.of, path))
        case NamedTables():
            found = _named(kind.name, _table(keys(kind.of, f"{path}.{ANY}")))
        case TextMap():
            found = _named(kind.name, _text(kind.value))
        case _:
            assert_never(kind)
    return found


def _table(known: Mapping[str, Key]) -> dict[str, JSONValue]:
    required: list[JSONValue] = [name for name, key in known.items() if key.presence is Presence.REQUIRED]
    return {
        "type": "object",
        "properties": {name: _property(key) for name, key in known.items()},
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def _named(name: Text, value: dict[str, JSONValue]) -> dict[str, JSONValue]:
    return {"type": "object", "propertyNames": _text(name), "additionalProperties": value}


def _text(kind: Text) -> dict[str, JSONValue]:
    return {"type": "string", "allOf": [_clause(clause) for clause in kind.clauses]}


def _clause(clause: Clause) -> dict[str, JSONValue]:
    match clause:
        case Must():
            return {"pattern": clause.pattern}
        case MustNot():
            return {"not": {"pattern": clause.pattern}}
        case _:
            assert_never(clause)


def _value(value: Value) -> JSONValue:
    if isinstance(value, str | bool):
        return value
    return list(value) if isinstance(value, tuple) else dict(value)


def reference() -> str:
    """Return the reference in Markdown: a section for each table, an entry for each key."""
    return "\n\n".join("\n\n".join(_paragraphs(key)) for key in all_keys().values())


def with_reference(page: str) -> str:
    """Return `page` with a new reference between its two marks.

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
    """Yield the clauses of `text` itself, not those of every text."""
    yield from dict.fromkeys(f"{has_to_be} {clause.expected}" for clause in text.own)
