"""What runs remember in `.provenance/state.db`: it makes them quick, and no answer depends on it being there.

Two things are kept. What was found out, by a key, each entry with a code that only this user on this machine can make
(the secret lies outside the workspace): a file that was restored from a cache, edited or damaged is not believed, and
all is found out again. And lists of inputs, each under its own sha256; these need no belief, as a sealed record names
it.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import sqlite3
import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.errors import KeyFileError
from ...provenance.json import JSONValue, read_json
from .. import sqlite

if TYPE_CHECKING:
    import tempfile
    from collections.abc import Callable, Sequence

_SECRET_SIZE = 32
_CODE_SIZE = 32
_SCHEMA = 1
"""Version of the tables."""
_VERSION = b"doit-provenance state 1"
_KEPT = 3
"""Lists of inputs per artifact: that of the record, and of builds that were killed before they had one."""
_WAIT = 0.5
"""Seconds to wait for another run that writes; what can't be written now is found out again next time."""
_TABLES = [
    "CREATE TABLE memory (key blob primary key, entry blob not null) without rowid",
    "CREATE TABLE inputs (number integer primary key, artifact text, digest text, list blob not null)",
    "CREATE UNIQUE INDEX inputs_of on inputs (digest, artifact)",
]
"""Letter by letter as sqlite keeps them, so that any other schema shows."""
_ERRORS = (sqlite3.Error, UnicodeError, OSError)
"""Of a damaged file; sqlite quotes what it can't read, and that need not be text."""


def read_secret(path: Path, *, make: bool) -> bytes | None:
    """Return the secret at `path`; where there is none it is made, if `make`. `None`: there can't be one."""
    from ...provenance.sign.keyfile import create_private, read_private

    try:
        if make and not os.path.lexists(path):
            create_private(path, secrets.token_bytes(_SECRET_SIZE))
        found = read_private(path)
    except KeyFileError:
        return None
    return found if len(found) == _SECRET_SIZE else None


class State:
    """The memory of one workspace. Losing it, or any part of it, at any moment, costs time and nothing else.

    It is opened when it is first asked. Until `begin_to_write` not a byte is written anywhere.

    Args:
        path: of the database; it need not exist, nor its folder.
        secret: tells where the secret lies; it need not exist.
    """

    def __init__(self, path: Path, secret: Callable[[], Path]) -> None:
        self._path = path
        self._secret_path = secret
        self._writable = False
        self._lock = threading.RLock()
        self._pending: dict[str, bytes] = {}
        self._read_ahead: dict[bytes, bytes] = {}
        self._copied: tempfile.TemporaryDirectory[str] | None = None

    def begin_to_write(self) -> None:
        """Let what is put be kept from now on. The folder must be there."""
        with self._lock:
            if not self._writable:
                self._let_go()
                self._writable = True
                self._secret = self._read_secret(make=True)
                atexit.register(self.close)

    @cached_property
    def _secret(self) -> bytes | None:
        return self._read_secret(make=False)

    def _read_secret(self, *, make: bool) -> bytes | None:
        try:
            return read_secret(self._secret_path(), make=make)
        except KeyFileError:  # it would lie in a home folder that nobody has
            return None

    @cached_property
    def _database(self) -> sqlite3.Connection | None:
        try:
            return self._open()
        except _ERRORS as error:
            # On filesystems without locks another run may be at it: what it writes is never thrown away.
            return None if _is_busy(error) else self._begin_anew()

    def get(self, key: str) -> JSONValue:
        """Return what is remembered under a key; `None`: nothing that can be believed."""
        with self._lock:
            data = self._pending.get(key)
            if data is None:
                entry = self._read_ahead.pop(_name(key), None)
                if entry is None:
                    entry = self._select("select entry from memory where key = ?", _name(key))
                if entry is None or self._secret is None:
                    return None
                code, data = entry[:_CODE_SIZE], entry[_CODE_SIZE:]
                if not secrets.compare_digest(code, self._code(self._secret, key, data)):
                    return None
        value: JSONValue = json.loads(data)
        return value

    def read_ahead(self, prefix: str) -> None:
        """Read everything that is remembered under keys with a prefix, as each of it is about to be asked for once."""
        first = _name(prefix)
        with self._lock, contextlib.suppress(*_ERRORS):  # `get` meets the error again
            if self._database is not None:
                rows = self._database.execute(
                    "select key, entry from memory where key >= ? and key < ?",
                    (first, first[:-1] + bytes([first[-1] + 1])),
                )
                self._read_ahead = {key: entry for key, entry in rows if isinstance(entry, bytes)}

    def put(self, key: str, value: JSONValue) -> None:
        """Remember a value, for as long as this run lasts, and longer once `flush` is called in a run that writes."""
        with self._lock:
            self._pending[key] = json.dumps(value, separators=(",", ":")).encode()

    def inputs(self, digest: str) -> dict[str, str] | None:
        """Return the list of inputs with this digest; `None`: it is lost."""
        with self._lock:
            data = self._select("select list from inputs where digest = ? limit 1", digest)
        if data is None or hashlib.sha256(data).hexdigest() != digest:
            return None
        try:
            found = read_json(data)
        except ValueError:
            return None
        return {k: str(v) for k, v in found.items()} if isinstance(found, dict) else None

    def keep_inputs(self, artifact: str, digest: str, data: bytes) -> None:
        """Keep a list of an artifact's inputs, in the place of old ones; it must be there before its record is."""
        self._write(
            "insert or replace into inputs (artifact, digest, list) values (?, ?, ?)", [(artifact, digest, data)]
        )
        old = "select number from inputs where artifact = ? order by number desc limit -1 offset ?"
        self._write(f"delete from inputs where number in ({old})", [(artifact, _KEPT)])  # noqa: S608 - of our own text

    def flush(self) -> None:
        """Write what was put."""
        with self._lock:
            secret = self._secret
            if secret is not None and self._writable and self._pending:
                rows = [(_name(key), self._code(secret, key, data) + data) for key, data in self._pending.items()]
                self._read_ahead = {}
                if self._write("insert or replace into memory values (?, ?)", rows):
                    self._pending.clear()

    def close(self) -> None:
        """Write what was put, and let go of the file."""
        self.flush()
        with self._lock:
            self._let_go()
        atexit.unregister(self.close)

    def _let_go(self) -> None:
        self._read_ahead = {}
        database = self.__dict__.pop("_database", None)
        if database is not None:
            with contextlib.suppress(sqlite3.Error):
                database.close()
        if self._copied is not None:
            self._copied.cleanup()
            self._copied = None

    def _code(self, secret: bytes, key: str, data: bytes) -> bytes:
        name = _name(key)
        message = b"%b\0%d\0%b%b" % (_VERSION, len(name), name, data)
        return hashlib.blake2b(message, key=secret, digest_size=_CODE_SIZE).digest()

    def _write(self, statement: str, rows: Sequence[tuple[str | bytes | int, ...]]) -> bool:
        """Write rows; `False`: it can't be done now. A damaged file is begun anew."""
        for _ in range(2):
            with self._lock:
                if self._database is None or not self._writable:
                    return False
                try:
                    with self._database:
                        self._database.executemany(statement, rows)
                except sqlite3.OperationalError:
                    return False  # busy, read-only, full: next time
                except _ERRORS:
                    self._database = self._begin_anew()
                else:
                    return True
        return False

    def _select(self, query: str, key: str | bytes) -> bytes | None:
        if self._database is None:
            return None
        try:
            row = self._database.execute(query, (key,)).fetchone()
        except sqlite3.OperationalError:
            return None  # busy
        except _ERRORS:
            self._database = self._begin_anew()
            return None
        return row[0] if row and isinstance(row[0], bytes) else None

    def _open(self) -> sqlite3.Connection | None:
        if sqlite.is_link(self._path, self._path.parent):
            return None
        if not self._writable:
            return self._open_to_read()
        database = sqlite.connect(self._path, mode="rwc", wait=_WAIT)
        if not _schema(database):
            for statement in (*_TABLES, f"pragma user_version = {_SCHEMA}"):
                database.execute(statement)
        return _ours(database)

    def _open_to_read(self) -> sqlite3.Connection | None:
        path = self._path
        if not os.path.lexists(path):
            return None
        if not os.path.lexists(f"{path}{sqlite.JOURNAL}"):
            return _ours(sqlite.connect(path, mode="ro", wait=_WAIT))
        sqlite.refuse_foreign(path)
        # A killed run left its journal: it is rolled back in a copy.
        import tempfile

        self._copied = tempfile.TemporaryDirectory(prefix="doit-provenance-")
        for name in (path.name, f"{path.name}{sqlite.JOURNAL}"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(path.with_name(name), Path(self._copied.name, name))
        return _ours(sqlite.connect(Path(self._copied.name, path.name), mode="rw", wait=_WAIT))

    def _begin_anew(self) -> sqlite3.Connection | None:
        """Put a new file in the place of a damaged one; `None`: there is none, as nothing may be written."""
        self._let_go()
        if not self._writable:
            return None
        try:
            sqlite.remove_companions(self._path)
            self._path.unlink(missing_ok=True)
            return self._open()
        except _ERRORS:
            return None


def _is_busy(error: Exception) -> bool:
    code: int = getattr(error, "sqlite_errorcode", 0)  # what Python itself can't read has none
    return code & 0xFF == sqlite3.SQLITE_BUSY


def _name(key: str) -> bytes:
    return key.encode(errors="surrogateescape")


def _schema(database: sqlite3.Connection) -> list[str]:
    found = database.execute("select sql from sqlite_master where sql is not null order by rowid").fetchall()
    return [sql for (sql,) in found]


def _ours(database: sqlite3.Connection) -> sqlite3.Connection:
    """Return the database, if it is one that this version has made.

    Raises:
        sqlite3.Error: it is not, or it can't be read.
    """
    try:
        if database.execute("pragma user_version").fetchone() == (_SCHEMA,) and _schema(database) == _TABLES:
            return database
        raise sqlite3.DatabaseError("of another version of this program")
    except _ERRORS:
        database.close()
        raise
