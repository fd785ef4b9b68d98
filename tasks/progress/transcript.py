"""The output of one tool call: plain text for the log file, and the last lines for the failure message."""

from __future__ import annotations

import codecs
import re
import shlex
import time
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...provenance.redaction import Redactor

TAIL = 100
"""Number of lines shown of a failed tool's output."""

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_ESCAPES = re.compile(
    r"\x1b\[(?![0-9;:]*m)[0-?]*[ -/]*[@-~]"  # ECMA-48 control sequences, but for colours
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles and links
    r"|\x1b[PX^_][^\x1b]*\x1b\\"  # other strings
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"  # the short ones
)
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]|\x1b(?!\[[0-9;:]*m)"
)
_HOLDBACK = 64
"""Characters of an incomplete line held back until the next piece, which may complete an escape sequence or secret."""


def without_colours(text: str) -> str:
    """Strip colours from text that `Lines` returned."""
    return _COLOUR.sub("", text)


class Lines:
    """Turns raw tool output into text without secrets and terminal control sequences.

    Colours are kept and lone carriage returns become newlines; other control and bidi characters are removed.
    """

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._holdback = max(_HOLDBACK, redact.longest)

    def feed(self, piece: bytes) -> str:
        """Return the text of a piece; the end of an incomplete line is held back until the next piece."""
        text = self._clean(self._rest + self._decoder.decode(piece))
        complete = text.rfind("\n") + 1
        cut = max(complete, len(text) - self._holdback)
        self._rest = text[cut:]
        return text[:cut]

    def end(self) -> str:
        """Return the text that was held back."""
        text, self._rest = self._clean(self._rest + self._decoder.decode(b"", final=True)), ""
        return text

    def _clean(self, text: str) -> str:
        text = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
        text = self._redact(_CONTROL.sub("", text))
        plain = without_colours(text)
        return text if (redacted := self._redact(plain)) == plain else redacted


class LogFile(Protocol):
    """The log file that a transcript writes to."""

    def write(self, text: str) -> None:
        """Append text."""

    def close(self) -> None:
        """Close the file."""

    def read(self) -> str | None:
        """Return the text written; `None` if some of it could not be written."""


class Transcript:
    """One tool call, from its command line to its exit.

    Attributes:
        artifacts: ids of the artifacts that it builds, at least one.
        command: the command line, quoted for a shell, with secrets redacted.
        log: path of the log file, relative to the workspace's root; `None`: it could not be written.
        latest: the last non-empty line.
        tail: the last lines, with colours.
        cut: number of lines before `tail`.
        failure: the error message, if the call failed.
    """

    def __init__(self, artifacts: Sequence[str], argv: Sequence[str], redact: Redactor, log_file: LogFile) -> None:
        self.artifacts = tuple(artifacts)
        self.command = shlex.join(redact(word) for word in argv)  # before quoting, which could hide a secret
        self.log: str | None = None
        self.latest = ""
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.cut = 0
        self.failure: str | None = None
        self._redact = redact
        self._lines = Lines(redact)
        self._log_file = log_file
        self._begun = time.monotonic()
        self._unfinished = False
        log_file.write(f"$ {self.command}\n# begun {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n")

    @property
    def title(self) -> str:
        """The artifacts, abbreviated."""
        first, *others = self.artifacts
        return first if not others else f"{first} and {len(others)} more"

    @property
    def seconds(self) -> float:
        """Running time so far."""
        return time.monotonic() - self._begun

    @property
    def shown(self) -> str:
        """The last lines for a failure message, with the number of lines before them."""
        before = f"[{self.cut} lines before these{f' are in {self.log}' if self.log else ''}]\n" if self.cut else ""
        return before + "".join(f"{line}\n" for line in self.tail)

    def text(self) -> str:
        """Return all output without colours; only the last lines if the log could not be written."""
        logged = self._log_file.read()
        return without_colours(self.shown) if logged is None else logged

    def add(self, piece: bytes) -> None:
        """Add a line of output, or a piece of a long one."""
        self._take(self._lines.feed(piece))

    def end(self, failure: str | None = None) -> None:
        """Record the end of the call; `failure` is the error message if it failed."""
        self._take(self._lines.end())
        self.failure = failure
        ended = "ended" if failure is None else "failed"
        reason = "" if failure is None else f": {self._redact(failure)}"
        begun = "\n" if self._unfinished else ""
        self._log_file.write(f"{begun}# {ended} after {self.seconds:.1f} s{reason}\n")
        self._log_file.close()

    def _take(self, text: str) -> None:
        if not text:
            return
        self._log_file.write(without_colours(text))
        self._unfinished = not text.endswith("\n")
        for line in text.splitlines():
            self.cut += len(self.tail) == TAIL
            self.tail.append(line)
            self.latest = line if line.strip() else self.latest
