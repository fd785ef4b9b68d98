"""The summary of a run: a table of artifacts, and the failures with the last output of their tools."""

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
"""Maximum number of fresh artifacts listed individually, and of names in a reason."""
_SHORT = 16
"""Characters of an abbreviated digest, on narrow terminals."""


def table(outcomes: Sequence[Outcome], *, width: int | None) -> str:
    """Return a table of outcomes; more than a few fresh artifacts are only counted.

    Args:
        outcomes: in display order.
        width: terminal width in characters; `None`: unlimited.
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
    """Return a line about artifacts that the run did not get to; empty if there are none.

    Args:
        count: number of these artifacts.
        failed: the run stopped at a failure; otherwise it was interrupted.
    """
    if not count:
        return ""
    hint = "; `doit run --continue` continues after failures" if failed else ""
    return f"{count} artifact{' was' if count == 1 else 's were'} not reached{hint}\n"


def not_built(name: str, upstream: str) -> str:
    """Return a line about an artifact that was skipped because upstream artifacts failed."""
    needed = ", ".join(f"`{u}`" for u in upstream.split())
    return f"skipped: `{name}` (dependency {needed} failed)\n"


def _are_fresh(count: int, which: str) -> str:
    return f"{count} {which}artifact{' is' if count == 1 else 's are'} fresh\n"


def _row(outcome: Outcome) -> tuple[str, ...]:
    packages, note = _packages(outcome)
    notes = [text for text in (_reused(outcome), note) if text]
    time = "" if outcome.done is Done.FRESH else duration(outcome.seconds)
    return outcome.artifact.id, outcome.done, str(outcome.digest), packages, time, "; ".join(notes)


def _reused(outcome: Outcome) -> str:
    date = f" of {outcome.since[:10]}" if outcome.since else ""
    match outcome.done:
        case Done.REBUILT:
            return f"same bytes: provenance{date} kept"
        case Done.ATTESTED:
            return f"bytes and provenance{date} kept"
        case Done.TAKEN:
            return "not built by this run: no build is claimed"
        case _:
            return ""


def _packages(outcome: Outcome) -> tuple[str, str]:
    """Return the number of packages in an artifact, and a note if it may be incomplete."""
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
    """Summarise what is unknown about an image or a Nix output, if anything; `doit show` has the details."""
    properties = subject.properties
    if "nix:unknown" in properties:
        return properties["nix:unknown"]
    counted = (("image:unexplained-programs", "program"), ("image:unexplained-files", "other file"))
    counts = [(int(properties.get(key, "0")), word) for key, word in counted]
    files = " and ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts if count)
    unread = (
        f"not all could be read: {properties['image:unread'].partition(chr(10))[0]}"
        if "image:unread" in properties
        else ""
    )
    partly = properties.get("image:partly-known", "").split("\n")
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
"""Maximum number of artifacts named in one failure."""


@dataclass(slots=True, kw_only=True)
class Failure:
    """A failure of one or more artifacts.

    Attributes:
        text: message, hint and log, one per line.
        names: the tasks that failed with it.
        call: the failed tool call, if any.
    """

    text: str
    names: list[str] = field(default_factory=list)
    call: Transcript | None = None

    def message(self) -> str:
        """Return the error message."""
        named = ", ".join(f"`{name}`" for name in self.names[:_NAMED])
        more = f" and {len(self.names) - _NAMED} more" if len(self.names) > _NAMED else ""
        return f"error: {named}{more}: {self.text}\n"

    def shown(self, *, colours: bool) -> str:
        """Return the error message, followed by the last output of the tool."""
        output = "" if self.call is None else self.call.shown
        output = f"{output}\x1b[0m" if output and colours else without_colours(output)
        return self.message() + (f"\n{output}" if output.strip() else "")
