"""How a run is shown: live lines on a terminal, folded groups in CI, JSON events elsewhere."""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
import time
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

from ...provenance.sign.keyfile import is_ci
from .progress import Display, Step, duration
from .transcript import without_colours

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TextIO

    from rich.live import Live
    from rich.text import Text
    from structlog.typing import FilteringBoundLogger

    from ...provenance.json import JSONValue
    from .transcript import Transcript

_PER_SECOND = 8
"""Redraws of the live lines."""
_PULSE = 60.0
"""Seconds between heartbeat lines: many CI systems cancel a job after ten minutes without output."""


class Folds(Enum):
    """Syntax for foldable groups in a CI log."""

    GITHUB = "github"
    """Workflow commands (docs.github.com, "Workflow commands for GitHub Actions")."""
    GITLAB = "gitlab"
    """Section markers (docs.gitlab.com, "Custom collapsible sections")."""
    NONE = "none"
    """No folding: headings only."""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Folds:
        """Detect the syntax from the environment."""
        if environ.get("GITHUB_ACTIONS") == "true":
            return cls.GITHUB
        return cls.GITLAB if environ.get("GITLAB_CI") == "true" else cls.NONE


class Folded(Display):
    """For CI logs: writes the output of a call as one group when it has ended, so parallel calls do not interleave."""

    def __init__(self, stream: TextIO, folds: Folds) -> None:
        self._stream = stream
        self._folds = folds
        self._lock = threading.Lock()
        self._running: list[Transcript] = []
        self._reported: set[str] = set()
        self._closed = threading.Event()
        self._pulse: threading.Thread | None = None

    def begin(self, call: Transcript) -> None:
        """Write what is being built, as the build may take long."""
        self._write(f"{call.title}: building\n")
        with self._lock:
            self._running.append(call)
            if self._pulse is None:
                self._pulse = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
                self._pulse.start()

    def end(self, call: Transcript) -> None:
        """Write the output of the tool."""
        with self._lock:
            self._running.remove(call)
        how = "built" if call.failure is None else "failed"
        title = f"{call.title}: {how} in {duration(call.seconds)}"
        self._write(fold(self._folds, title, call.text()))

    def ended(self, artifact: str, event: str, fields: Mapping[str, JSONValue]) -> None:
        """Annotate the failure on GitHub's run page; that of a group only once."""
        text = str(fields.get("error", ""))
        with self._lock:
            is_new = text not in self._reported
            self._reported.add(text)
        if self._folds is Folds.GITHUB and event.endswith(".failed") and is_new:
            self._write(f"::error title={_property(artifact)}::{_data(text)}\n")

    def notice(self, event: str, text: str, fields: Mapping[str, JSONValue]) -> None:
        """Write a message about the whole run."""
        del event, fields
        self._write(f"{text}\n")

    def guarded(self, text: str) -> str:
        """Return text in which GitHub interprets no line as a workflow command."""
        return without_commands(text) if self._folds is Folds.GITHUB else text

    def close(self) -> None:
        """Stop the heartbeat."""
        self._closed.set()

    def _beat(self) -> None:
        while not self._closed.wait(_PULSE):
            with self._lock:
                calls = list(self._running)
            self._write("".join(f"{c.title}: building for {duration(c.seconds)}\n" for c in calls))

    def _write(self, text: str) -> None:
        with self._lock, contextlib.suppress(OSError):  # the reader is gone
            self._stream.write(text)
            self._stream.flush()


def fold(folds: Folds, title: str, text: str) -> str:
    """Return `text` as a foldable group."""
    body = text if not text or text.endswith("\n") else f"{text}\n"
    match folds:
        case Folds.GITHUB:
            return f"::group::{_data(title)}\n{without_commands(body)}::endgroup::\n"
        case Folds.GITLAB:
            name = f"{re.sub(r'[^a-z0-9]+', '_', title.lower())[:60]}_{secrets.token_hex(4)}"
            now = int(time.time())
            begin = f"\x1b[0Ksection_start:{now}:{name}[collapsed=true]\r\x1b[0K{title}\n"
            return f"{begin}{body}\x1b[0Ksection_end:{now}:{name}\r\x1b[0K\n"
        case Folds.NONE:
            return f"== {title}\n{body}"


def without_commands(text: str) -> str:
    """Return `text` with workflow commands disabled, up to an unguessable end token."""
    token = secrets.token_hex(16)
    return f"::stop-commands::{token}\n{text}::{token}::\n"


def _data(text: str) -> str:
    """Escape the message of a workflow command (GitHub actions/toolkit)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape a property of a workflow command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


class Events(Display):
    """Writes events as JSON lines: `tool.started`, `tool.ended`, outcomes and notices; tool output is in the logs.

    structlog is slow to import and only loaded with the first event.
    """

    def __init__(self, stream: TextIO, redact: Callable[[str], str]) -> None:
        self._stream = stream
        self._redact = redact
        self._lock = threading.Lock()

    def begin(self, call: Transcript) -> None:
        """Write the start of a tool call."""
        self._write("info", "tool.started", artifacts=list(call.artifacts), command=call.command, log=call.log)

    def end(self, call: Transcript) -> None:
        """Write the end of a tool call."""
        seconds = round(call.seconds, 3)
        self._write(
            "info" if call.failure is None else "error",
            "tool.ended",
            artifacts=list(call.artifacts),
            error=call.failure,
            log=call.log,
            seconds=seconds,
        )

    def ended(self, artifact: str, event: str, fields: Mapping[str, JSONValue]) -> None:
        """Write the outcome of an artifact."""
        self._write("error" if event.endswith(".failed") else "info", event, artifact=artifact, **fields)

    def notice(self, event: str, text: str, fields: Mapping[str, JSONValue]) -> None:
        """Write a message about the whole run."""
        self._write("warning", event, message=text, **fields)

    @cached_property
    def _events(self) -> FilteringBoundLogger:
        from ...provenance.log import json_events

        return json_events(self._stream, self._redact)

    def _write(self, level: str, event: str, **fields: JSONValue) -> None:
        present = {name: value for name, value in fields.items() if value is not None}
        # The reader may be gone, or the disk full.
        with self._lock, contextlib.suppress(OSError):
            getattr(self._events, level)(event, **present)
            self._stream.flush()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One live line; `since` is in seconds of the monotonic clock."""

    title: str
    step: Step
    since: float
    call: Transcript | None = None


class Terminal(Display):
    """For terminals: draws one live line per artifact below the output, and removes it again.

    A thread of rich draws them, so builds do not wait for the terminal.
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
        """Show a call as one line, even for a group."""
        with self._lock:
            for artifact in call.artifacts:
                self._rows.pop(artifact, None)
            row = _Row(title=call.title, step=Step.BUILDING, since=time.monotonic(), call=call)
            self._rows[call.artifacts[0]] = row
            self._draw()

    def end(self, call: Transcript) -> None:
        """Remove the line of a call."""
        self._remove(call.artifacts[0])

    def ended(self, artifact: str, event: str, fields: Mapping[str, JSONValue]) -> None:
        """Remove the line of an artifact; the summary will list it."""
        del event, fields
        self._remove(artifact)

    def notice(self, event: str, text: str, fields: Mapping[str, JSONValue]) -> None:
        """Write a permanent line."""
        del event, fields
        with self._lock, contextlib.suppress(OSError):
            if self._live is None:
                self._stream.write(f"{text}\n")
                self._stream.flush()
            else:
                self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def suspend(self) -> None:
        """Remove all lines."""
        with self._lock:
            self._suspended += 1
            self._stop()

    def resume(self) -> None:
        """Draw the lines again."""
        with self._lock:
            self._suspended -= 1
            if self._rows:
                self._draw()

    def close(self) -> None:
        """Restore the terminal."""
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
            redirect_stdout=False,  # stdout is for results
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

        rows = list(self._rows.values())  # copied in one step, without the lock: drawing must not wait for builds
        room = max(1, (self._live.console.height if self._live else 25) - 2)
        shown, hidden = rows[:room], len(rows) - room
        text = Text(no_wrap=True, overflow="ellipsis")
        width = max((len(row.title) for row in shown), default=0)
        for row in shown:
            text.append(f"{row.title:<{width}}", style="bold")
            text.append(f"  {row.step:<10} {duration(time.monotonic() - row.since):>9}")
            if row.call is not None and row.call.latest:
                text.append(f"  {without_colours(row.call.latest).strip().expandtabs(1)}", style="dim")
            text.append("\n")
        if hidden > 0:
            text.append(f"and {hidden} more\n")
        text.rstrip()
        return text


def choose_display(stream: TextIO | None, environ: Mapping[str, str], redact: Callable[[str], str]) -> Display:
    """Return the display for standard error `stream` (`None`: there is none).

    Folded groups in CI, live lines on a terminal, otherwise JSON events. CI takes precedence, as some CI systems
    provide a terminal.
    """
    if stream is None:
        return Display()
    if is_ci(environ):
        return Folded(stream, Folds.of(environ))
    if not stream.isatty():
        return Events(stream, redact)
    if environ.get("TERM", "") in {"", "dumb"}:
        return Folded(stream, Folds.NONE)
    return Terminal(stream, colours=not environ.get("NO_COLOR"))
