"""What a run failed by, as it is said at its end: what happened, where, what to do, and what the tool said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .transcript import without_colours

if TYPE_CHECKING:
    from .transcript import Transcript

_NAMED = 5
"""Artifacts that are named where all fail by the same."""


@dataclass(slots=True, kw_only=True)
class Failure:
    """What one or more artifacts failed by.

    Attributes:
        names: of the tasks.
        text: message, hint and log, as lines.
        call: of the tool that failed, if one did.
    """

    text: str
    names: list[str] = field(default_factory=list)
    call: Transcript | None = None

    def message(self) -> str:
        """Return the lines that say it."""
        named = ", ".join(f"`{name}`" for name in self.names[:_NAMED])
        more = f" and {len(self.names) - _NAMED} more" if len(self.names) > _NAMED else ""
        return f"error: {named}{more}: {self.text}\n"

    def shown(self, *, colours: bool) -> str:
        """Return message and, last, what the tool itself said."""
        said = "" if self.call is None else self.call.shown
        said = f"{said}\x1b[0m" if said and colours else without_colours(said)
        return self.message() + (f"\n{said}" if said.strip() else "")
