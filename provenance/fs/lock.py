"""The lock of a workspace: one run at a time, by a kernel lock on a file that names its holder to those that wait."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shlex
import stat
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StoreError, quoted
from ..process import SECRET_VARIABLES
from . import store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FILE = "lock"
_NOTE = 4096
"""Bytes of a note, at most."""
_COMMAND = 120
"""Characters of a command line, at most."""
_TAKEN = {errno.EAGAIN, errno.EACCES}
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM, errno.ENOLCK}
_VARIABLE = re.compile(r"(\w+)=.+", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that has the lock, from its own note.

    Attributes:
        command: its command line, without values that could be secrets.
        since: UTC.
    """

    command: str
    process: int
    host: str
    since: datetime

    def __str__(self) -> str:
        """Describe the holder, for messages."""
        local = self.since.astimezone()
        form = "%H:%M:%S" if local.date() == datetime.now(UTC).astimezone().date() else "%Y-%m-%d %H:%M:%S"
        since = local.strftime(form)
        return f"{quoted(self.command)} (process {self.process} on {quoted(self.host)[1:-1]}, since {since})"

    @classmethod
    def this(cls, command: str) -> Holder:
        """Return the note of this process."""
        return cls(command=command, process=os.getpid(), host=os.uname().nodename, since=datetime.now(UTC))


def take(folder: Path, *, command: str, waiting: Callable[[Holder | None], object]) -> bool:
    """Make `folder` and take its lock until this process ends; tell whether the last holder was killed.

    If another process has the lock, `waiting` is called once with its note, and then this waits. Only the kernel lock
    counts: a note without a lock is that of a process that did not reach `leave`. On filesystems without locks (some
    network filesystems) runs do not wait for each other.

    Raises:
        StoreError: the folder can't be made or written.
    """
    store.prepare(folder)
    path = folder / FILE
    try:
        descriptor = _open(path)  # the kernel closes it, at our end
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                return False
            if error.errno not in _TAKEN:
                raise
            waiting(_holder(descriptor))
            fcntl.lockf(descriptor, fcntl.LOCK_EX)
        was_left = os.fstat(descriptor).st_size == 0
    except OSError as error:
        raise StoreError(f"can't lock `{path}`: {error.strerror}") from error
    with contextlib.suppress(OSError):  # a full disk: the lock holds without a note
        _note(descriptor, Holder.this(command))
    return not was_left


def _open(path: Path) -> int:
    """Open the lock file; anything but a regular file in its place is removed."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            path.unlink()
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)


def leave(folder: Path) -> None:
    """Note that the holder of the lock of `folder` leaves nothing unfinished; it keeps the lock until it ends."""
    with contextlib.suppress(OSError):  # then the next run looks for unfinished work and finds none
        if not (folder / FILE).is_symlink():
            os.truncate(folder / FILE, 0)  # not by a descriptor: closing one would end the lock (fcntl(2))


def command_of(argv: Sequence[str]) -> str:
    """Return a command line as typed, without values of `NAME=VALUE`, which may be secret."""
    program = Path(argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name
    command = shlex.join([name, *(_VARIABLE.sub(r"\1=…", word) for word in argv[1:])])
    return command if len(command) <= _COMMAND else f"{command[:_COMMAND]}…"


def this_command() -> str:
    """Return the command line of this process, likewise, and without secrets of our environment variables."""
    command = command_of(sys.argv)
    if any(os.environ.get(name) for name in SECRET_VARIABLES):
        from ..redaction import Redactor, leading_to_secrets

        return Redactor.of(leading_to_secrets(os.environ))(command)
    return command


def _note(descriptor: int, holder: Holder) -> None:
    note = {
        "command": holder.command,
        "process": holder.process,
        "host": holder.host,
        "since": holder.since.isoformat(timespec="seconds"),
    }
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(note).encode() + b"\n", 0)


def _holder(descriptor: int) -> Holder | None:
    """Return the note of the lock's holder; `None`: it is malformed, or that of a dead process."""
    try:
        note = json.loads(os.pread(descriptor, _NOTE, 0))
        holder = Holder(
            command=str(note["command"])[: 2 * _COMMAND],
            process=int(note["process"]),
            host=str(note["host"]),
            since=datetime.fromisoformat(str(note["since"])),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return holder if holder.host != os.uname().nodename or _lives(holder.process) else None


def _lives(process: int) -> bool:
    try:
        os.kill(max(process, 1), 0)
    except PermissionError:
        return process > 0
    except (OSError, OverflowError):
        return False
    return process > 0
