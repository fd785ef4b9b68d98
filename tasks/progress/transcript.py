"""What one call of a build tool wrote: plain text for its log file, and the end of it for whoever reads its failure."""

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
"""How many lines of a failing tool are shown."""

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_STEERING = re.compile(
    r"\x1b\[(?![0-9;:]*m)[0-?]*[ -/]*[@-~]"  # ECMA-48 control sequences, but for colours
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles and links
    r"|\x1b[PX^_][^\x1b]*\x1b\\"  # other strings
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"  # the short ones
)
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]|\x1b(?!\[[0-9;:]*m)"
)
_KEPT_BACK = 64
"""Characters of an unfinished line that wait for the next piece, which may end an escape sequence or a secret."""


def without_colours(text: str) -> str:
    """Return text that `Lines` gave, without its colours."""
    return _COLOUR.sub("", text)


class Lines:
    """Turns pieces of a tool's output into text that steers no terminal and holds no secret.

    Colours stay, lone carriage returns become line ends, other control characters and whatever reverses text go.
    """

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._kept_back = max(_KEPT_BACK, redact.longest)

    def feed(self, piece: bytes) -> str:
        """Return the text that a piece adds; the end of an unfinished line comes with the next piece."""
        text = self._clean(self._rest + self._decoder.decode(piece))
        complete = text.rfind("\n") + 1
        cut = max(complete, len(text) - self._kept_back)
        self._rest = text[cut:]
        return text[:cut]

    def end(self) -> str:
        """Return what was kept back."""
        text, self._rest = self._clean(self._rest + self._decoder.decode(b"", final=True)), ""
        return text

    def _clean(self, text: str) -> str:
        text = _STEERING.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
        text = self._redact(_CONTROL.sub("", text))
        plain = without_colours(text)
        return text if (redacted := self._redact(plain)) == plain else redacted


class Keeper(Protocol):
    """Where a transcript's text goes: a log file."""

    def write(self, text: str) -> None:
        """Add to what is there."""

    def close(self) -> None:
        """Nothing more will come."""

    def read(self) -> str | None:
        """Return what was written to it; `None`: not all of it could be kept."""


class Transcript:
    """One call of a tool, from its command line to its end.

    Attributes:
        artifacts: ids of those that it makes, at least one.
        command: its command line, as one would type it, without secrets.
        log: where the whole of it is kept, as a path from the workspace's root; `None`: nowhere, it could not be.
        latest: the last line that says something.
        tail: the last lines, with their colours.
        cut: how many lines there were before `tail`.
        failure: the message of what the call ended with, where it did not end well.
    """

    def __init__(self, artifacts: Sequence[str], argv: Sequence[str], redact: Redactor, keeper: Keeper) -> None:
        self.artifacts = tuple(artifacts)
        self.command = shlex.join(redact(word) for word in argv)  # quoting could hide one
        self.log: str | None = None
        self.latest = ""
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.cut = 0
        self.failure: str | None = None
        self._redact = redact
        self._lines = Lines(redact)
        self._keeper = keeper
        self._begun = time.monotonic()
        self._unfinished = False
        keeper.write(f"$ {self.command}\n# begun {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n")

    @property
    def title(self) -> str:
        """Whose call it is, in a few words."""
        first, *others = self.artifacts
        return first if not others else f"{first} and {len(others)} more"

    @property
    def seconds(self) -> float:
        """For how long it has run."""
        return time.monotonic() - self._begun

    @property
    def shown(self) -> str:
        """The end of it, for whoever reads the failure: the last lines, and how many there are before them."""
        before = f"[{self.cut} lines before these{f' are in {self.log}' if self.log else ''}]\n" if self.cut else ""
        return before + "".join(f"{line}\n" for line in self.tail)

    def text(self) -> str:
        """Return the whole of it without colours; where it could not be kept, its end."""
        kept = self._keeper.read()
        return without_colours(self.shown) if kept is None else kept

    def add(self, piece: bytes) -> None:
        """Take a line, or a piece of a long one."""
        self._take(self._lines.feed(piece))

    def end(self, failure: str | None = None) -> None:
        """Take note of how it ended: `failure` says why it did not end well."""
        self._take(self._lines.end())
        self.failure = failure
        ended = "ended" if failure is None else "failed"
        reason = "" if failure is None else f": {self._redact(failure)}"
        begun = "\n" if self._unfinished else ""
        self._keeper.write(f"{begun}# {ended} after {self.seconds:.1f} s{reason}\n")
        self._keeper.close()

    def _take(self, text: str) -> None:
        if not text:
            return
        self._keeper.write(without_colours(text))
        self._unfinished = not text.endswith("\n")
        for line in text.splitlines():
            self.cut += len(self.tail) == TAIL
            self.tail.append(line)
            self.latest = line if line.strip() else self.latest
