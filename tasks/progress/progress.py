"""What a run tells of itself while it goes on: which step each artifact is at, and what the tools write.

`Progress` is told by whoever works; it keeps log files and passes on to a `Display`, which by default shows nothing.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from ...provenance.errors import BuildError, ProvenanceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from ...provenance.json import JSONValue
    from ...provenance.process import Sink
    from ..builder import Artifact
    from .logs import Logs
    from .transcript import Transcript


LOGS = "logs"
"""Folder below the workspace's state."""
_MINUTE = 60


class Step(StrEnum):
    """A part of an artifact's way, in the words that a person sees."""

    WAITING = "waiting"
    BUILDING = "building"
    DIGESTING = "digesting"
    DESCRIBING = "describing"
    SIGNING = "signing"
    CHECKING = "checking"
    COMMITTING = "committing"


def duration(seconds: float) -> str:
    """Return a length of time for a person."""
    whole = int(seconds)
    return f"{seconds:.1f} s" if whole < _MINUTE else f"{whole // _MINUTE} min {whole % _MINUTE:02} s"


class Display:
    """Shows a run while it goes on; this one shows nothing.

    Its methods are called from many threads, and never raise: what can't be shown fails no build.

    Attributes:
        colours: whether tools may colour what they write.
        errors: where failures are told at the end of a run; `None`: where its results go.
    """

    colours = False
    errors: TextIO | None = None

    def step(self, artifact: str, step: Step) -> None:
        """Tell that an artifact has come to a step."""

    def begin(self, call: Transcript) -> None:
        """Tell that a tool was called."""

    def line(self, call: Transcript) -> None:
        """Tell that a tool has written something."""

    def end(self, call: Transcript) -> None:
        """Tell that a tool has ended."""

    def ended(self, artifact: str, event: str, fields: Mapping[str, JSONValue]) -> None:
        """Tell that an artifact's way has ended, well or not: `event` is as `artifact.built`."""

    def notice(self, event: str, text: str, fields: Mapping[str, JSONValue]) -> None:
        """Tell something that the whole run is about: `text` is for people, `event` and `fields` are for machines."""

    def guarded(self, text: str) -> str:
        """Return text that may hold anything in a way that whoever reads the display takes for nothing but text."""
        return text

    def suspend(self) -> None:
        """Leave the screen to somebody else, until as many calls of `resume`."""

    def resume(self) -> None:
        """Take the screen again."""

    def close(self) -> None:
        """Leave the screen for good; may be called again."""


class Progress:
    """What everybody who works for one workspace tells how the work goes on; threads may share it.

    A run in which nothing happens imports nothing of what logs are made with.

    Attributes:
        display: who shows it.
    """

    def __init__(self, root: Path, state: Path) -> None:
        self.display = Display()
        self._root = root
        self._state = state
        self._logs: Logs | None = None
        self._lock = threading.Lock()
        self._hidden: tuple[str, ...] = ()
        self._failed: dict[str, Transcript] = {}

    def step(self, artifact: str, step: Step) -> None:
        """Take note that an artifact (its id) has come to a step."""
        self.display.step(artifact, step)

    @contextmanager
    def call(self, artifacts: Sequence[Artifact], argv: Sequence[str]) -> Iterator[Sink]:
        """Yield what takes the output of a tool that is called for `artifacts`, all in one call.

        All that it takes is in the log of each of them. An error that the block is left by is said there too, and a
        `BuildError` names the log from then on.
        """
        from ...provenance.redaction import Redactor, leading_to_secrets
        from .transcript import Transcript

        log = self._open_logs().open(artifacts)
        redact = Redactor.of((*leading_to_secrets(os.environ), *self._hidden))
        call = Transcript([a.id for a in artifacts], argv, redact, log)
        call.log = os.path.relpath(log.path, self._root) if log.path else None
        self.display.begin(call)

        def sink(piece: bytes) -> None:
            call.add(piece)
            self.display.line(call)

        failure: str | None = "interrupted"
        try:
            yield sink
            failure = None
        except ProvenanceError as error:
            failure = error.message
            if isinstance(error, BuildError):
                error.log = call.log
                self._failed |= dict.fromkeys(call.artifacts, call)
            raise
        finally:
            call.end(failure)
            self.display.end(call)

    def failed_call(self, artifact: str) -> Transcript | None:
        """Return the call of a tool that an artifact (its id) could not be built by."""
        return self._failed.get(artifact)

    def log_of(self, artifact: Artifact) -> str | None:
        """Return the log that this run has written for an artifact, as a path from the workspace's root."""
        path = self._logs.has(artifact) if self._logs else None
        return os.path.relpath(path, self._root) if path else None

    def notice(self, event: str, text: str, **fields: JSONValue) -> None:
        """Tell something that is about the whole run: `text` for people, `event` (as `lock.waiting`) for machines."""
        self.display.notice(event, self.redact(text), fields)

    def asking(self, prompt: Callable[[str], str]) -> Callable[[str], str]:
        """Return a prompt for a passphrase that has the screen to itself, and whose answer is never logged or shown."""

        def ask(text: str) -> str:
            self.display.suspend()
            try:
                answer = prompt(text)
            finally:
                self.display.resume()
            self._hidden = (*self._hidden, answer)
            return answer

        return ask

    @property
    def colours(self) -> bool:
        """Whether tools may colour what they write, as a person will see it."""
        return self.display.colours

    def redact(self, text: str) -> str:
        """Return a text of our own without passphrases."""
        from ...provenance.redaction import Redactor, passphrases

        return Redactor.of((*passphrases(os.environ), *self._hidden))(text)

    def _open_logs(self) -> Logs:
        from .logs import Logs

        with self._lock:
            if self._logs is None:
                self._logs = Logs(self._state / LOGS, self._warn_of_logs)
            return self._logs

    def _warn_of_logs(self, error: OSError) -> None:
        folder = os.path.relpath(self._state / LOGS, self._root)
        text = f"warning: logs can't be written in `{folder}`: {error.strerror}; the build goes on without"
        self.notice("log.unwritable", text, folder=folder)
