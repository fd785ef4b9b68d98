"""A run in the log of a CI system: what a tool wrote for an artifact is one piece, which can be folded."""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
import time
from enum import Enum
from typing import TYPE_CHECKING

from ..progress import Display, duration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from ....provenance.json import JSONValue
    from ..transcript import Transcript

_PULSE = 60.0
"""Seconds between two signs of life: many CI systems end a job that has been silent for ten minutes."""


class Folds(Enum):
    """How a CI system is told what belongs together."""

    GITHUB = "github"
    """Workflow commands (docs.github.com, "Workflow commands for GitHub Actions")."""
    GITLAB = "gitlab"
    """Section markers (docs.gitlab.com, "Custom collapsible sections")."""
    NONE = "none"
    """Not at all: headings alone."""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Folds:
        """Return that of the CI system that this environment is of."""
        if environ.get("GITHUB_ACTIONS") == "true":
            return cls.GITHUB
        return cls.GITLAB if environ.get("GITLAB_CI") == "true" else cls.NONE


class Folded(Display):
    """Writes the output of a call when it has ended, as a whole, so that those of parallel calls never mix."""

    def __init__(self, stream: TextIO, folds: Folds) -> None:
        self._stream = stream
        self._folds = folds
        self._lock = threading.Lock()
        self._running: list[Transcript] = []
        self._told: set[str] = set()
        self._closed = threading.Event()
        self._pulse: threading.Thread | None = None

    def begin(self, call: Transcript) -> None:
        """Say what is being built; nothing more may come for a long time."""
        self._write(f"{call.title}: building\n")
        with self._lock:
            self._running.append(call)
            if self._pulse is None:
                self._pulse = threading.Thread(target=self._beat, name="signs of life", daemon=True)
                self._pulse.start()

    def end(self, call: Transcript) -> None:
        """Write what the tool wrote."""
        with self._lock:
            self._running.remove(call)
        how = "built" if call.failure is None else "failed"
        title = f"{call.title}: {how} in {duration(call.seconds)}"
        self._write(fold(self._folds, title, call.text()))

    def ended(self, artifact: str, event: str, fields: Mapping[str, JSONValue]) -> None:
        """Let GitHub show a failure on the page of the run; that of a whole group once."""
        text = str(fields.get("error", ""))
        with self._lock:
            is_new = text not in self._told
            self._told.add(text)
        if self._folds is Folds.GITHUB and event.endswith(".failed") and is_new:
            self._write(f"::error title={_property(artifact)}::{_data(text)}\n")

    def notice(self, event: str, text: str, fields: Mapping[str, JSONValue]) -> None:
        """Write what is about the whole run."""
        del event, fields
        self._write(f"{text}\n")

    def guarded(self, text: str) -> str:
        """Return text of which no line is a command to GitHub, whatever is in it."""
        return without_commands(text) if self._folds is Folds.GITHUB else text

    def close(self) -> None:
        """End the signs of life."""
        self._closed.set()

    def _beat(self) -> None:
        while not self._closed.wait(_PULSE):
            with self._lock:
                calls = list(self._running)
            self._write("".join(f"{c.title}: building for {duration(c.seconds)}\n" for c in calls))

    def _write(self, text: str) -> None:
        with self._lock, contextlib.suppress(OSError):  # nobody reads it any more
            self._stream.write(text)
            self._stream.flush()


def fold(folds: Folds, title: str, text: str) -> str:
    """Return the text of one group."""
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
    """Return `text` so that GitHub takes no line of it for a command: it ends where nobody can have guessed."""
    token = secrets.token_hex(16)
    return f"::stop-commands::{token}\n{text}::{token}::\n"


def _data(text: str) -> str:
    """Escape a command's message, as GitHub's toolkit does."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape a command's property, likewise."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
