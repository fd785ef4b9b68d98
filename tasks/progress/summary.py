"""The end of a run: a table of its artifacts, then each failure with the end of its tool's output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..pipeline.outcome import Done
from .progress import duration
from .transcript import without_colours

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...provenance.sbom.inventory import Component
    from ..pipeline.outcome import Outcome
    from .transcript import Transcript

_FEW = 3
"""Fresh artifacts that are still shown one by one, beside others that were not; and names in a reason."""
_SHORT = 16
"""Characters of a digest where the line is too narrow for the whole."""


def table(outcomes: Sequence[Outcome], *, width: int | None) -> str:
    """Return what became of artifacts, a line for each that was not fresh; of fresh ones the count, unless few.

    Args:
        outcomes: in the order of the lines.
        width: of the terminal, in characters; `None`: lines may be of any length.
    """
    fresh = [o for o in outcomes if o.done is Done.FRESH]
    shown = [o for o in outcomes if o.done is not Done.FRESH or len(fresh) <= _FEW]
    if len(fresh) == len(outcomes):
        return _are_fresh(len(fresh), "") if fresh else ""
    rows = [_row(o) for o in shown]
    lines = _aligned(rows)
    if width is not None and max(map(len, lines)) > width:
        lines = _aligned([(*row[:2], f"{row[2][:_SHORT]}…", *row[3:]) for row in rows])
    counted = _are_fresh(len(fresh), "other ") if len(fresh) > _FEW else ""
    return "".join(f"{line}\n" for line in lines) + counted


def not_reached(count: int, *, failed: bool) -> str:
    """Return a line about artifacts whose turn never came, as the run ended before; nothing if there are none.

    Args:
        count: how many there are.
        failed: the run ended by a failure, not because somebody interrupted it.
    """
    if not count:
        return ""
    hint = "; `doit run --continue` goes on after a failure" if failed else ""
    return f"{count} artifact{' was' if count == 1 else 's were'} not reached{hint}\n"


def not_built(name: str, upstream: str) -> str:
    """Return a line about an artifact whose upstream artifacts failed."""
    needed = ", ".join(f"`{u}`" for u in upstream.split())
    return f"skipped: `{name}` (dependency {needed} failed)\n"


def _are_fresh(count: int, which: str) -> str:
    return f"{count} {which}artifact{' is' if count == 1 else 's are'} fresh\n"


def _row(outcome: Outcome) -> tuple[str, ...]:
    packages, note = _packages(outcome)
    remarks = [text for text in (_reused(outcome), note) if text]
    time = "" if outcome.done is Done.FRESH else duration(outcome.seconds)
    return outcome.artifact.id, outcome.done, str(outcome.digest), packages, time, "; ".join(remarks)


def _reused(outcome: Outcome) -> str:
    of = f" of {outcome.since[:10]}" if outcome.since else ""
    match outcome.done:
        case Done.REBUILT:
            return f"same bytes: provenance{of} kept"
        case Done.ATTESTED:
            return f"bytes and provenance{of} kept"
        case Done.TAKEN:
            return "not built by this run: no build is claimed"
        case _:
            return ""


def _packages(outcome: Outcome) -> tuple[str, str]:
    """Return how many packages are in an artifact, and why that may not be all there is to say."""
    from ...provenance.sbom.inventory import Completeness, Kind, Role

    inventory = outcome.inventory
    if inventory is None:
        return "", ""
    inside = [*inventory.of_role(Role.LINKED), *inventory.of_role(Role.CONTAINED)]
    images = sum(part.kind is Kind.CONTAINER for part in inside)
    count = images or sum(part.kind is not Kind.FILE for part in inside)
    packages = f"{count} {'image' if images else 'package'}{'' if count == 1 else 's'}"
    match inventory.completeness:
        case Completeness.UNKNOWN:
            return f"at most {packages}" if count else "contents unknown", inventory.note
        case Completeness.INCOMPLETE:
            return packages, f"incomplete: {_unknown(inventory.subject) or inventory.note}"
        case _:
            return packages, ""


def _unknown(subject: Component) -> str:
    """Say in few words what is not known of an image, or of what Nix built, if so; `doit show` has the rest."""
    found = subject.properties
    if "nix:unknown" in found:
        return found["nix:unknown"]
    counted = (("image:unexplained-programs", "program"), ("image:unexplained-files", "other file"))
    counts = [(int(found.get(key, "0")), word) for key, word in counted]
    files = " and ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts if count)
    unread = f"not all could be read: {found['image:unread'].partition(chr(10))[0]}" if "image:unread" in found else ""
    partly = found.get("image:partly-known", "").split("\n")
    partial = f"of {_few(partly)} it is not known what all is in it" if partly[0] else ""
    return "; ".join(text for text in (f"{files} that nobody explains" if files else "", unread, partial) if text)


def _few(names: Sequence[str]) -> str:
    more = len(names) - _FEW
    return ", ".join(f"`{name}`" for name in names[:_FEW]) + (f" and {more} more" if more > 0 else "")


def _aligned(rows: Iterable[tuple[str, ...]]) -> list[str]:
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    filled = [i for i, width in enumerate(widths) if width]
    return ["  ".join(f"{row[i]:<{widths[i]}}" for i in filled).rstrip() for row in rows]


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
