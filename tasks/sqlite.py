"""SQLite files in a folder that a stranger may have filled: the one place that opens them.

A file of ours is never of WAL mode and never attached to another. What differs is refused before SQLite looks at it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

JOURNAL = "-journal"
_WAL = ("-wal", "-shm")
"""What SQLite keeps beside a file of WAL mode."""
_HEADER = 20
"""Bytes of a database's header, of which the last two are its mode: 1 and 1 with a rollback journal."""
_MAGIC = bytes.fromhex("d9d505f920a163d7")
"""With which a journal begins, and with which the name of a super-journal ends."""
_LONGEST = 1 << 28
"""Bytes of a row: many times what a hundred thousand inputs take, and less than would use up the memory."""


def connect(
    path: Path, *, mode: Literal["ro", "rw", "rwc"], wait: float, autocommit: bool = False
) -> sqlite3.Connection:
    """Open the database at `path`, which is refused if no program of ours left it like that.

    Args:
        path: of the file.
        mode: as in SQLite's file names: `rwc` makes the file.
        wait: seconds to wait for another process that writes.
        autocommit: write each statement at once; otherwise transactions are begun as Python's `sqlite3` does.

    Raises:
        sqlite3.Error: it can't be opened, or it is foreign (`SQLITE_NOTADB`).
        OSError: it can't be read.
    """
    import sqlite3

    refuse_foreign(path)
    address = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(
        address, uri=True, timeout=wait, check_same_thread=False, isolation_level=None if autocommit else "DEFERRED"
    )
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        # What a stranger's file would run by itself is not trusted. Nothing waits for the disk: a killed process loses
        # nothing that it has committed, and what a power failure takes is done again.
        connection.execute("pragma trusted_schema = off").execute("pragma synchronous = off")
    except BaseException:
        connection.close()
        raise
    return connection


def foreign(reason: str) -> sqlite3.DatabaseError:
    """Return the error that a file is not ours, with SQLite's code for what is no database."""
    import sqlite3

    error = sqlite3.DatabaseError(reason)
    error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
    return error


def is_link(*paths: Path) -> bool:
    """Return whether one of these is a symbolic link: in a stranger's repository it may lead anywhere."""
    try:
        return any(path.is_symlink() for path in paths)
    except OSError:
        return True


def remove_companions(path: Path) -> None:
    """Remove what SQLite left beside a database that goes: it would be played back into a new one.

    Raises:
        OSError: something can't be removed.
    """
    for suffix in (JOURNAL, *_WAL):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)


def refuse_foreign_journal(database: Path) -> None:
    """Return if no journal lies beside a database, or one that a database of ours leaves.

    SQLite waits for a pipe. And a journal may end with the name of a super-journal, as of a transaction over several
    databases: having played the journal back, SQLite removes the file of that name, whichever it is. A database that is
    never attached to another leaves no such name (SQLite, Database File Format, The Rollback Journal; Atomic Commit in
    SQLite, 5.5 Deleting the super-journal).

    Raises:
        OSError: there is another one, or it can't be read.
    """
    journal = database.with_name(f"{database.name}{JOURNAL}")
    try:
        descriptor = os.open(journal, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        status = os.fstat(descriptor)
        end = status.st_size - len(_MAGIC)
        if not stat.S_ISREG(status.st_mode) or (end >= 0 and os.pread(descriptor, len(_MAGIC), end) == _MAGIC):
            raise OSError(f"`{journal}` is not ours")
    finally:
        os.close(descriptor)


def refuse_foreign(path: Path) -> None:
    """Look before SQLite does, which waits for pipes, does what a journal says, and makes files beside one of WAL mode.

    Raises:
        sqlite3.DatabaseError: such a file lies in its place, or beside it.
        OSError: it can't be read.
    """
    try:
        refuse_foreign_journal(path)
    except OSError as error:
        raise foreign("a strange journal lies beside it") from error
    if any(os.path.lexists(f"{path}{suffix}") for suffix in _WAL):
        raise foreign("it is not of doit's mode")
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
        raise foreign("it is no file")
    with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
        if (header := stream.read(_HEADER)) and header[-2:] != b"\1\1":
            raise foreign("it is not of doit's mode")
