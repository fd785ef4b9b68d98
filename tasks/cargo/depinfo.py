"""Dependency files in Make's format, as rustc and cargo write them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD = re.compile(r"(?:\\[ #\\]|[^ ])+")
_ESCAPED = re.compile(r"\\([ #])")


def prerequisites(text: str) -> Iterator[Path]:
    """Yield the prerequisites of the first rule of a dependency file (rustc escapes spaces by a backslash).

    The rule's target may have spaces and colons of its own; it ends at the first unescaped colon before a space.
    """
    rule = text.partition("\n")[0]
    _, _, rest = rule.partition(": ")
    for word in _WORD.findall(rest):
        yield Path(_ESCAPED.sub(r"\1", word))
