"""Paragraphs of `Key: value` lines: Debian's control files (deb822(5)), Python's metadata (core metadata, RFC 822)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def paragraphs(text: str) -> Iterator[Mapping[str, list[str]]]:
    """Yield paragraphs that blank lines part: keys in lower case to all values that they have."""
    for block in text.replace("\r\n", "\n").split("\n\n"):
        if found := paragraph(block):
            yield found


def paragraph(text: str) -> Mapping[str, list[str]]:
    """Read one paragraph, which a blank line ends. Lines that continue a value are joined to it by a newline."""
    found: dict[str, list[list[str]]] = {}
    value: list[str] | None = None
    for row in text.lstrip("\n").split("\n"):
        if not row.strip():
            break
        if row[0] in " \t":
            if value is not None:
                value.append(row.strip())
            continue
        key, colon, first = row.partition(":")
        if colon:
            value = [first.strip()]
            found.setdefault(key.strip().lower(), []).append(value)
    return {key: ["\n".join(value) for value in values] for key, values in found.items()}


def one(fields: Mapping[str, list[str]], key: str) -> str | None:
    """Return the first value of a key; `None` where it has none, or says that it is unknown."""
    values = fields.get(key)
    return values[0] if values and values[0] not in {"", "UNKNOWN"} else None
