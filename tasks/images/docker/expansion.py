"""Variables in a Dockerfile: `$NAME`, `${NAME}` and what may stand in the braces (`frontend/dockerfile/shell`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]")
_DEEPEST = 20


def expand(text: str, values: Mapping[str, str], escape: str = "\\") -> str | None:
    """Return a word with variables replaced and quotes taken away.

    Args:
        text: the word.
        values: name to value.
        escape: the character that takes the next one at its word.

    Returns:
        The word; `None`: it has what only BuildKit can tell, as a pattern in braces.
    """
    found = _Expansion(values, escape).word(text, 0, "", depth=0)
    return found[0] if found else None


class _Expansion:
    def __init__(self, values: Mapping[str, str], escape: str) -> None:
        self._values = values
        self._escape = escape

    def word(self, text: str, at: int, end: str, *, depth: int) -> tuple[str, int] | None:
        """Return what stands up to `end` (empty: the text's), and where that is."""
        found, quote = [], ""
        while at < len(text) and (quote or not end or text[at] != end):
            character = text[at]
            at += 1
            if quote == "'":
                quote = "" if character == "'" else quote
                found += [] if character == "'" else [character]
            elif character == '"' or (character == "'" and not quote):
                quote = "" if quote == character else character
            elif character == self._escape and at < len(text):
                found.append(text[at])
                at += 1
            elif character == "$":
                value = self._variable(text, at, depth)
                if value is None:
                    return None
                found.append(value[0])
                at = value[1]
            else:
                found.append(character)
        return None if quote or (end and at >= len(text)) else ("".join(found), at)

    def _variable(self, text: str, at: int, depth: int) -> tuple[str, int] | None:
        """Return the value of what begins behind a `$`, and where it ends."""
        braces = text[at : at + 1] == "{"
        match = _NAME.match(text, at + braces)
        if match is None:
            return None if braces else ("$", at)
        name, at = match[0], match.end()
        if not braces:
            return self._values.get(name, ""), at
        if text[at : at + 1] == "}":
            return self._values.get(name, ""), at + 1
        colon = text[at : at + 1] == ":"
        sign = text[at + colon : at + colon + 1]
        other = self.word(text, at + colon + 1, "}", depth=depth + 1) if depth < _DEEPEST else None
        if sign not in {"-", "+", "?"} or other is None:
            return None
        value = self._values.get(name)
        is_set = bool(value) if colon else value is not None
        if sign == "?" and not is_set:
            return None
        chosen = other[0] if is_set == (sign == "+") else (value or "") if sign != "+" else ""
        return (value or "" if sign == "?" else chosen), other[1] + 1
