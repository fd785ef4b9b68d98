"""Progress of a run: the current step of each artifact, and the output of tools.

`Progress` receives events from the builders, writes log files and forwards to a `Display`, by default a silent one.
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
    from ..artifacts import Artifact
    from .logs import Logs
    from .transcript import Transcript


LOGS = "logs"
"""Name of the log folder in the workspace's state folder."""
_MINUTE = 60


class Step(StrEnum):
    """A step in the processing of an artifact, as displayed."""

    WAITING = "waiting"
    BUILDING = "building"
    DIGESTING = "digesting"
    DESCRIBING = "describing"
    SIGNING = "signing"
    CHECKING = "checking"
    COMMITTING = "committing"


def duration(seconds: float) -> str:
    """Format a duration for display."""
    whole = int(seconds)
    return f"{seconds:.1f} s" if whole < _MINUTE else f"{whole // _MINUTE} min {whole % _MINUTE:02} s"


class Display:
    """Displays a run in progress; this base class displays nothing.

    Methods are called from many threads and never raise: a display error must not fail a build.

    Attributes:
        colours: whether tools may colour their output.
        errors: the stream for failures at the end of a run; `None`: the same as for results.
    """

    colours = False
    errors: TextIO | None = None

    def step(self, artifact: str, step: Step) -> None:
        """Show that an artifact has reached a step."""

    def begin(self, call: Transcript) -> None:
        """Show that a tool was started."""

    def line(self, call: Transcript) -> None:
        """Show that a tool has written output."""

    def end(self, call: Transcript) -> None:
        """Show that a tool has exited."""

    def ended(self, artifact: str, event: str, fields: Mapping[str, JSONValue]) -> None:
        """Show that an artifact is finished, successfully or not; `event` is for example `artifact.built`."""

    def notice(self, event: str, text: str, fields: Mapping[str, JSONValue]) -> None:
        """Show a message about the whole run: `text` for people, `event` and `fields` for machines."""

    def guarded(self, text: str) -> str:
        """Escape untrusted text so that the reader of the display does not interpret it as commands."""
        return text

    def suspend(self) -> None:
        """Release the terminal until `resume` has been called equally often."""

    def resume(self) -> None:
        """Use the terminal again."""

    def close(self) -> None:
        """Release the terminal for good; may be called more than once."""


class Progress:
    """Receives the progress of a workspace's run; thread-safe.

    Modules for log files are imported on first use, so a run with nothing to do does not load them.

    Attributes:
        display: shows the progress.
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
        """Report that an artifact (by id) has reached a step."""
        self.display.step(artifact, step)

    @contextmanager
    def call(self, artifacts: Sequence[Artifact], argv: Sequence[str]) -> Iterator[Sink]:
        """Yield a sink for the output of one tool call that builds `artifacts`.

        The output goes to the log of each artifact. An error raised in the block is logged too, and a `BuildError`
        gets the path of the log.
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
        """Return the failed tool call of an artifact (by id), if any."""
        return self._failed.get(artifact)

    def log_of(self, artifact: Artifact) -> str | None:
        """Return the log that this run wrote for an artifact, relative to the workspace's root."""
        path = self._logs.has(artifact) if self._logs else None
        return os.path.relpath(path, self._root) if path else None

    def notice(self, event: str, text: str, **fields: JSONValue) -> None:
        """Report something about the whole run: `text` for people, `event` (like `lock.waiting`) for machines."""
        self.display.notice(event, self.redact(text), fields)

    def asking(self, prompt: Callable[[str], str]) -> Callable[[str], str]:
        """Wrap a passphrase prompt: it gets the terminal to itself, and the answer is redacted from all output."""

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
        """Whether tools may colour their output."""
        return self.display.colours

    def redact(self, text: str) -> str:
        """Remove passphrases from a text of this program."""
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
        text = f"warning: can't write logs to `{folder}`: {error.strerror}; the build continues without them"
        self.notice("log.unwritable", text, folder=folder)
