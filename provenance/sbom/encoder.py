"""JSON as the inventory and the SBOMs are written: UTF-8, a line for each component, a final newline.

A table's fields stand on lines of their own, and so do the members of those that hold lists or tables; what is deeper
stays on its line. So a difference between two documents is a difference in the lines of the components that differ, and
the standard library's C encoder does the work: with an indent it would not, and a large SBOM has ten thousand values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

JSONDocument: TypeAlias = "str | int | bool | Sequence[JSONDocument] | Mapping[str, JSONDocument] | None"
"""What is written here: JSON without fractions, which no SBOM needs. Unlike `JSONValue` it is only read from."""


def encode(document: Mapping[str, JSONDocument], *, sort_keys: bool = False) -> bytes:
    """Return the bytes of `document`; keys stand in their own order, or sorted.

    Raises:
        TypeError: it holds what is not JSON.
        UnicodeEncodeError: it holds half a surrogate pair.
    """
    line = json.JSONEncoder(
        ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=sort_keys, default=_table
    ).encode
    keys = sorted(document) if sort_keys else document
    fields = ",\n".join(f"{line(key)}: {_members(document[key], line, sort_keys=sort_keys)}" for key in keys)
    return (f"{{\n{fields}\n}}\n" if fields else "{}\n").encode()


def _members(value: JSONDocument, line: Callable[[object], str], *, sort_keys: bool) -> str:
    """Write a field's value, on several lines if it has members that are lists or tables."""
    if isinstance(value, Mapping) and any(_holds(v) for v in value.values()):
        keys = sorted(value) if sort_keys else value
        return "{\n" + ",\n".join(f"{line(key)}:{line(value[key])}" for key in keys) + "\n}"
    if isinstance(value, list | tuple) and any(_holds(v) for v in value):
        return "[\n" + ",\n".join(map(line, value)) + "\n]"
    return line(value)


def _holds(value: object) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _table(value: object) -> dict[str, JSONDocument]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"not JSON: {value!r}")
