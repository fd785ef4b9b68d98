"""JSON as the inventory and the SBOMs are written: two-space indent, UTF-8, a final newline.

Byte for byte what `json.dumps(document, indent=2, ensure_ascii=False)` writes, in half the time: with an indent, the
standard library leaves its C encoder, and a large SBOM has some ten thousand values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import TypeAlias

JSONDocument: TypeAlias = "str | int | bool | Sequence[JSONDocument] | Mapping[str, JSONDocument] | None"
"""What is written here: JSON without fractions, which no SBOM needs. Unlike `JSONValue` it is only read from."""

_Order: TypeAlias = "Callable[[Iterable[tuple[str, JSONDocument]]], Iterable[tuple[str, JSONDocument]]]"


def encode(document: JSONDocument, *, sort_keys: bool = False) -> bytes:
    """Return the bytes of `document`; keys stand in their own order, or sorted.

    Raises:
        TypeError: it holds what is not JSON.
        UnicodeEncodeError: it holds half a surrogate pair.
    """
    return (_encode(document, "\n", sorted if sort_keys else iter) + "\n").encode()


def _encode(value: JSONDocument, line: str, order: _Order) -> str:
    """Write `value`; `line` is a line break and the indent of what holds it.

    `dict` stands before `Mapping` for speed, and texts, which most values are, before all.
    """
    if isinstance(value, str):
        return encode_basestring(value)
    inner = line + "  "
    if isinstance(value, (dict, Mapping)):
        parts = [
            f"{encode_basestring(k)}: {encode_basestring(v) if type(v) is str else _encode(v, inner, order)}"
            for k, v in order(value.items())
        ]
        return f"{{{inner}{f',{inner}'.join(parts)}{line}}}" if parts else "{}"
    if isinstance(value, (list, tuple)):
        parts = [_encode(v, inner, order) for v in value]
        return f"[{inner}{f',{inner}'.join(parts)}{line}]" if parts else "[]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    raise TypeError(f"not JSON: {value!r}")
