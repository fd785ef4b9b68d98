"""The error hierarchy: what happened, where, and what to do about it."""

from __future__ import annotations

import difflib
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class ProvenanceError(Exception):
    """Base class of errors shown to users.

    The message says what happened and where, in lower case with names in backticks; the hint says what to do.
    Commands print both, never a traceback; `exit_code` is what the command ends with.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Message and hint, each on a line of its own."""
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class UsageError(ProvenanceError):
    """The command line or what it names is wrong."""

    exit_code = 2


class UnreadableError(ProvenanceError):
    """Something that had to be read is missing, too large, or not of its format."""

    exit_code = 2


class MissingFileError(UnreadableError):
    """A file that had to be read is not there."""


class ConfigError(ProvenanceError):
    """`provenance.toml` is wrong; the message has one line for each mistake in it."""

    exit_code = 2


class ToolError(ProvenanceError):
    """An external tool is missing, failed, or produced unexpected output."""


class RegistryError(ProvenanceError):
    """A registry is unreachable, lacks the content, denies access, or violates the protocol."""


class BuildError(ToolError):
    """The build failed; `log` is the path of the tool's output, relative to the workspace's root."""

    log: str | None = None

    def __str__(self) -> str:
        """Message, hint and log, each on a line of its own."""
        return super().__str__() + (f"\nlog: {self.log}" if self.log else "")


class InputChangedError(ProvenanceError):
    """An input changed while it was being built."""


class StoreError(ProvenanceError):
    """The output folder can't be read or written."""


class KeyFileError(ProvenanceError):
    """A key is missing, unreadable, encrypted, of the wrong kind, or readable by others."""


class VerificationError(ProvenanceError):
    """Verification failed."""


@contextmanager
def about(what: str) -> Iterator[None]:
    """Prefix the message of an error raised in the block with `what`, as in "`index.json`: missing"."""
    try:
        yield
    except ProvenanceError as error:
        error.message = f"{what}: {error.message}"
        raise


_QUOTED = 200


def quoted(text: str) -> str:
    """Return untrusted `text` in backticks, escaped and truncated for printing.

    File names and fields of untrusted statements must not contain terminal control or bidi characters.
    """
    cut = text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"
    return "`" + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut) + "`"


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` where one of the `known` names is close to `text`, else nothing."""
    close = difflib.get_close_matches(text[:_QUOTED], list(known), n=1)
    return f"; did you mean {quoted(close[0])}?" if close else ""
