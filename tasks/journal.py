"""The rollback journal beside an SQLite file: whether it may be played back, though a stranger may have written it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = "-journal"
_MAGIC = bytes.fromhex("d9d505f920a163d7")
"""With which a journal begins, and with which the name of a super-journal ends."""


def refuse_strange(database: Path) -> None:
    """Return if no journal lies beside a database, or one that a database of ours leaves.

    SQLite waits for a pipe. And a journal may end with the name of a super-journal, as of a transaction over several
    databases: having played the journal back, SQLite removes the file of that name, whichever it is. A database that is
    never attached to another leaves no such name (SQLite, Database File Format, The Rollback Journal; Atomic Commit in
    SQLite, 5.5 Deleting the super-journal).

    Raises:
        OSError: there is another one, or it can't be read.
    """
    journal = database.with_name(f"{database.name}{SUFFIX}")
    try:
        descriptor = os.open(journal, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        found = os.fstat(descriptor)
        end = found.st_size - len(_MAGIC)
        if not stat.S_ISREG(found.st_mode) or (end >= 0 and os.pread(descriptor, len(_MAGIC), end) == _MAGIC):
            raise OSError(f"`{journal}` is not ours")
    finally:
        os.close(descriptor)
