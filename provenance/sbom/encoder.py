"""The JSON encoder of inventories and SBOMs: UTF-8, a line for each component, a final newline.

Each field of the document is on its own line, as is each member of a field that has nested lists or objects; deeper
values are not broken. So a diff of two documents shows the components that differ, and the standard library's C encoder
can be used, which an indent would disable: a large SBOM has ten thousand values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

JSONDocument: TypeAlias = "str | int | bool | Sequence[JSONDocument] | Mapping[str, JSONDocument] | None"
"""JSON without fractions, which SBOMs do not need. Unlike `JSONValue` it is immutable."""


def encode(document: Mapping[str, JSONDocument], *, sort_keys: bool = False) -> bytes:
    """Return the bytes of `document`, with its keys in order or sorted.

    Raises:
        TypeError: a value is not JSON.
        UnicodeEncodeError: a string has an unpaired surrogate.
    """
    line = json.JSONEncoder(
        ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=sort_keys, default=_as_dict
    ).encode
    keys = sorted(document) if sort_keys else document
    fields = ",\n".join(f"{line(key)}: {_members(document[key], line, sort_keys=sort_keys)}" for key in keys)
    return (f"{{\n{fields}\n}}\n" if fields else "{}\n").encode()


def _members(value: JSONDocument, line: Callable[[object], str], *, sort_keys: bool) -> str:
    """Encode a field's value, on several lines if it has nested lists or objects."""
    if isinstance(value, Mapping) and any(_is_nested(v) for v in value.values()):
        keys = sorted(value) if sort_keys else value
        return "{\n" + ",\n".join(f"{line(key)}:{line(value[key])}" for key in keys) + "\n}"
    if isinstance(value, list | tuple) and any(_is_nested(v) for v in value):
        return "[\n" + ",\n".join(map(line, value)) + "\n]"
    return line(value)


def _is_nested(value: object) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _as_dict(value: object) -> dict[str, JSONDocument]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"not JSON: {value!r}")
