"""Dependency files in Make's format, as rustc and cargo write them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD = re.compile(r"(?:\\[ #\\]|[^ ])+")
_ESCAPED = re.compile(r"\\([ #])")


def base(text: str, target: Path) -> Path:
    """Return the folder that names in the first rule start from, if they are no whole paths.

    Cargo may be told to leave out the beginning of every path (`build.dep-info-basedir`). What it left out of the
    rule's target is known where that is `target`, an absolute path.

    Raises:
        ToolError: it is not.
    """
    name = Path(_ESCAPED.sub(r"\1", text.partition("\n")[0].partition(": ")[0].removesuffix(":")))
    if name.is_absolute() or target.parts[-len(name.parts) :] != name.parts:
        raise ToolError(
            f"cargo's dependency file of `{target.name}` has paths that start nowhere",
            hint="unset `build.dep-info-basedir` in cargo's configuration, or let it hold the target folder too",
        )
    return target.parents[len(name.parts) - 1]


def prerequisites(text: str) -> Iterator[Path]:
    """Yield the prerequisites of the first rule of a dependency file (rustc escapes spaces by a backslash).

    The rule's target may have spaces and colons of its own; it ends at the first unescaped colon before a space.
    """
    rule = text.partition("\n")[0]
    _, _, rest = rule.partition(": ")
    for word in _WORD.findall(rest):
        yield Path(_ESCAPED.sub(r"\1", word))
