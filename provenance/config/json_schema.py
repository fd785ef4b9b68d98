"""The JSON Schema of `provenance.toml`, for editors (draft 7, which all of them know)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, assert_never

from .entry import ANY, Key, Presence, Value
from .keys import children
from .kinds import Choice, Clause, Flag, Kind, Must, MustNot, NamedTables, Repeats, Table, Text, TextMap, Texts

if TYPE_CHECKING:
    from ..json import JSONValue

URL = "https://github.com/doit-provenance/doit-provenance/raw/main/docs/provenance.schema.json"
"""Where the schema is published."""


def schema() -> dict[str, JSONValue]:
    """Return the schema. What it takes is what the reader takes, except for where `signing.key` really is."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": URL,
        "title": "provenance.toml of doit-provenance",
        **_table(""),
    }


def to_json() -> str:
    """Return the text of `docs/provenance.schema.json`."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _key(key: Key) -> dict[str, JSONValue]:
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
            found = _table(path)
        case NamedTables():
            found = _named(kind.name, _table(f"{path}.{ANY}"))
        case TextMap():
            found = _named(kind.name, _text(kind.value))
        case _:
            assert_never(kind)
    return found


def _table(path: str) -> dict[str, JSONValue]:
    keys = children(path)
    required: list[JSONValue] = [name for name, key in keys.items() if key.presence is Presence.REQUIRED]
    return {
        "type": "object",
        "properties": {name: _key(key) for name, key in keys.items()},
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
