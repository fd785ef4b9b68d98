"""JSON as this project reads it: strictly, with limits, and with a type."""

from __future__ import annotations

import json
from typing import TypeAlias

JSONValue: TypeAlias = "str | int | float | bool | None | list[JSONValue] | dict[str, JSONValue]"


def read_json(data: bytes) -> JSONValue:
    """Parse UTF-8 JSON in which no object has a key twice and no number is NaN or infinite.

    Two readers of a document with a doubled key may see two different documents: that is how forgeries start.

    Raises:
        ValueError: the bytes are something else, or nested too deeply.
    """
    try:
        value: JSONValue = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def _unique(pairs: list[tuple[str, JSONValue]]) -> dict[str, JSONValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _refuse_constant(name: str) -> JSONValue:
    raise ValueError(f"`{name}` is not JSON")
