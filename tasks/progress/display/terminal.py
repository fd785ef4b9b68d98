"""A run on a terminal: one live line for each artifact that is being made."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..progress import Display, Step, duration
from ..transcript import without_colours

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from rich.live import Live
    from rich.text import Text

    from ....provenance.json import JSONValue
    from ..transcript import Transcript

_PER_SECOND = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One live line; `since`: seconds, of a monotonic clock."""

    title: str
    step: Step
    since: float
    call: Transcript | None = None


class Terminal(Display):
    """Draws lines below what was written so far, and takes them away again.

    They are drawn by a thread of rich's, so nobody who works waits for the terminal.
    """

    def __init__(self, stream: TextIO, *, colours: bool) -> None:
        self.colours = colours
        self.errors = stream
        self._stream = stream
        self._lock = threading.RLock()
        self._rows: dict[str, _Row] = {}
        self._live: Live | None = None
        self._suspended = 0
        self._closed = False

    def step(self, artifact: str, step: Step) -> None:
        """Show an artifact's step."""
        with self._lock:
            known = self._rows.get(artifact)
            since = known.since if known else time.monotonic()
            self._rows[artifact] = _Row(title=artifact, step=step, since=since)
            self._draw()

    def begin(self, call: Transcript) -> None:
        """Show a call as one line, whatever it is for."""
        with self._lock:
            for artifact in call.artifacts:
                self._rows.pop(artifact, None)
            row = _Row(title=call.title, step=Step.BUILDING, since=time.monotonic(), call=call)
            self._rows[call.artifacts[0]] = row
            self._draw()

    def end(self, call: Transcript) -> None:
        """Take the line of a call away."""
        self._remove(call.artifacts[0])

    def ended(self, artifact: str, event: str, fields: Mapping[str, JSONValue]) -> None:
        """Take the line of an artifact away; the closing table will have it."""
        del event, fields
        self._remove(artifact)

    def notice(self, event: str, text: str, fields: Mapping[str, JSONValue]) -> None:
        """Write a line that stays."""
        del event, fields
        with self._lock, contextlib.suppress(OSError):
            if self._live is None:
                self._stream.write(f"{text}\n")
                self._stream.flush()
            else:
                self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def suspend(self) -> None:
        """Take all lines away."""
        with self._lock:
            self._suspended += 1
            self._stop()

    def resume(self) -> None:
        """Draw them again."""
        with self._lock:
            self._suspended -= 1
            if self._rows:
                self._draw()

    def close(self) -> None:
        """Leave the terminal as it was."""
        with self._lock:
            self._closed = True
            self._stop()

    def _remove(self, artifact: str) -> None:
        with self._lock:
            self._rows.pop(artifact, None)

    def _draw(self) -> None:
        if self._live is not None or self._suspended or self._closed:
            return
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._stream, no_color=not self.colours, highlight=False)
        self._live = Live(
            console=console,
            get_renderable=self._lines,
            refresh_per_second=_PER_SECOND,
            transient=True,
            redirect_stdout=False,  # that stream is for results, wherever it leads
            redirect_stderr=False,
        )
        with contextlib.suppress(OSError):  # the terminal is gone
            self._live.start()

    def _stop(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            with contextlib.suppress(OSError):
                live.stop()

    def _lines(self) -> Text:
        from rich.text import Text

        rows = list(self._rows.values())  # in one step: who draws must not wait for who works
        room = max(1, (self._live.console.height if self._live else 25) - 2)
        shown, hidden = rows[:room], len(rows) - room
        found = Text(no_wrap=True, overflow="ellipsis")
        width = max((len(row.title) for row in shown), default=0)
        for row in shown:
            found.append(f"{row.title:<{width}}", style="bold")
            found.append(f"  {row.step:<10} {duration(time.monotonic() - row.since):>9}")
            if row.call is not None and row.call.latest:
                found.append(f"  {without_colours(row.call.latest).strip().expandtabs(1)}", style="dim")
            found.append("\n")
        if hidden > 0:
            found.append(f"and {hidden} more\n")
        found.rstrip()
        return found
