"""JSON as this project reads it: strictly, with limits, and with a type."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import TypeAlias

from .errors import quoted

JSONValue: TypeAlias = "str | int | float | bool | list[JSONValue] | dict[str, JSONValue] | None"

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_DIGITS = len("-9223372036854775808")


def read_json(data: bytes) -> JSONValue:
    """Parse UTF-8 JSON that every reader understands the same way.

    Two readers of a document with a doubled key may see two different documents: that is how forgeries start. So no
    object has a key twice, no number is NaN, infinite or longer than 64 bits need, no text holds half a surrogate pair.

    Raises:
        ValueError: the bytes are something else, or nested too deeply.
    """
    text = data.decode()
    try:
        value: JSONValue = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_short,
        )
        if _SURROGATE_ESCAPE.search(text):
            # Encoding fails exactly where an escape left half of a pair.
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def _unique(pairs: list[tuple[str, JSONValue]]) -> dict[str, JSONValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"an object has the key {quoted(twice)} twice")
    return found


def _refuse_constant(name: str) -> JSONValue:
    raise ValueError(f"`{name}` is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {quoted(text)} is too large")
    return number


def _short(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"the number {quoted(text)} is too large")
    return int(text)
