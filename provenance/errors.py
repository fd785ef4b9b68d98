"""The one tree of errors that people see: what happened, where, and what to do about it."""

from __future__ import annotations

import difflib
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class ProvenanceError(Exception):
    """What went wrong, for a person.

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
    """An external tool is missing, failed, or answered what we do not understand."""


class RegistryError(ProvenanceError):
    """A registry can't be reached, does not have what is asked of it or refuses it, or answers what it may not."""


class BuildError(ToolError):
    """The build itself failed; its tool has said why, which `log` keeps (a path from the workspace's root)."""

    log: str | None = None

    def __str__(self) -> str:
        """Message, hint and where to read on, each on a line of its own."""
        return super().__str__() + (f"\nlog: {self.log}" if self.log else "")


class InputChangedError(ProvenanceError):
    """An input changed while it was being built."""


class StoreError(ProvenanceError):
    """The output folder can't be read or written."""


class KeyFileError(ProvenanceError):
    """A key is missing, unreadable, encrypted, of the wrong kind, or readable by others."""


class VerificationError(ProvenanceError):
    """Evidence does not hold."""


@contextmanager
def about(what: str) -> Iterator[None]:
    """Put `what` before the message of an error that the block raises, as "`index.json`: missing"."""
    try:
        yield
    except ProvenanceError as error:
        error.message = f"{what}: {error.message}"
        raise


_QUOTED = 200


def quoted(text: str) -> str:
    """Return `text`, which came from outside, in backticks and safe to print: escaped and cut to a line's length.

    A file's name or a field of a stranger's statement must not move the cursor, colour the terminal or reverse what
    stands beside it.
    """
    cut = text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"
    return "`" + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut) + "`"


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` where one of the `known` names is close to `text`, else nothing."""
    close = difflib.get_close_matches(text[:_QUOTED], list(known), n=1)
    return f"; did you mean {quoted(close[0])}?" if close else ""
