"""Opening SQLite files in untrusted folders; the only place that does so.

Our databases never use WAL mode and are never attached to another one. Others are refused before SQLite opens them.
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
"""Suffixes of the files beside a database in WAL mode."""
_HEADER = 20
"""Bytes of the header; the last two are the file format versions: 1 and 1 with a rollback journal, 2 with WAL."""
_MAGIC = bytes.fromhex("d9d505f920a163d7")
"""Magic number at the start of a journal, and after the name of a super-journal."""
_LONGEST = 1 << 28
"""Maximum bytes of a row: many times what a hundred thousand inputs take, but not enough to exhaust memory."""


def connect(
    path: Path, *, mode: Literal["ro", "rw", "rwc"], wait: float, autocommit: bool = False
) -> sqlite3.Connection:
    """Open the database at `path`; a foreign one is refused.

    Args:
        path: the database file.
        mode: as in SQLite's URI file names: `rwc` creates the file.
        wait: seconds to wait for another process that writes.
        autocommit: commit each statement; otherwise transactions are opened as by Python's `sqlite3`.

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
        # The schema of an untrusted file must not run code. No fsync: a killed process loses nothing that it committed,
        # and what a power failure loses is computed again.
        connection.execute("pragma trusted_schema = off").execute("pragma synchronous = off")
    except BaseException:
        connection.close()
        raise
    return connection


def foreign(reason: str) -> sqlite3.DatabaseError:
    """Return the error for a foreign file, with SQLite's code for "not a database"."""
    import sqlite3

    error = sqlite3.DatabaseError(reason)
    error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
    return error


def is_link(*paths: Path) -> bool:
    """Tell whether one of these is a symbolic link, which may lead anywhere in an untrusted repository."""
    try:
        return any(path.is_symlink() for path in paths)
    except OSError:
        return True


def remove_companions(path: Path) -> None:
    """Remove the journal and WAL of a removed database, which would be played back into a new one.

    Raises:
        OSError: a file can't be removed.
    """
    for suffix in (JOURNAL, *_WAL):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)


def refuse_foreign_journal(database: Path) -> None:
    """Refuse a journal that our databases can't have left.

    SQLite blocks on a pipe. A journal may end with the name of a super-journal, from a transaction over several
    databases: after playing back the journal, SQLite removes the file of that name, whatever it is. A database that is
    never attached to another one leaves no such name (SQLite, Database File Format, The Rollback Journal; Atomic
    Commit in SQLite, 5.5 Deleting the super-journal).

    Raises:
        OSError: the journal is foreign or can't be read.
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
    """Check a file before SQLite opens it: SQLite blocks on pipes and plays back journals.

    Raises:
        sqlite3.DatabaseError: the file, or one beside it, is foreign.
        OSError: it can't be read.
    """
    try:
        refuse_foreign_journal(path)
    except OSError as error:
        raise foreign("there is a foreign journal beside it") from error
    if any(os.path.lexists(f"{path}{suffix}") for suffix in _WAL):
        raise foreign("it is not in rollback journal mode")
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
        raise foreign("it is not a regular file")
    with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
        if (header := stream.read(_HEADER)) and header[-2:] != b"\1\1":
            raise foreign("it is not in rollback journal mode")
