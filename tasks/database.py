"""doit's database: the state of the user's own tasks in the same `dodo.py`, and `doit ignore`.

doit does not decide whether an artifact is fresh, so of artifact tasks only "ignored" is stored. The file is optional:
if it can't be read or written, a run continues without it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from doit.globals import Globals

from ..provenance.errors import ProvenanceError
from . import sqlite
from .workspace import STATE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable

    Row = dict[str, Any]

BACKEND = "provenance"
"""The backend's name in `DOIT_CONFIG`, and that of its entry point."""
_IGNORED = "ignore:"
_LAST = "deps:"
"""The last key that doit writes for a successful task (`Dependency.save_success`)."""
_WAIT = 30
"""Seconds; the file is never locked for longer than one statement."""
_STRANGE = """
select 1 from sqlite_master where sql is not null
and (type <> 'table' or sql like 'create virtual%' or instr(substr(sql, instr(sql, '(') + 1), '('))
"""
"""Views, triggers and functions, which doit never creates: in an untrusted file they could make a query run forever."""
_CREATE = "create table if not exists doit (task_id text not null primary key, task_data json)"


class Database:
    """A backend of doit's in one SQLite file, in the format of doit's own `sqlite3`.

    Differences:

    - each successful task is written immediately: a killed run loses none, and runs do not wait for each other;
    - a corrupt file is moved aside on write; one that can't be written is only read, with a warning;
    - symbolic links are not followed, as the repository may be untrusted;
    - a file that doit can't have written counts as corrupt: SQLite might block forever or remove another file;
    - the file is created on first write.
    """

    desc = "SQLite file without state of artifacts, which their records have"

    def __init__(self, name: str, codec: Any, *, module_name: str | None = None) -> None:
        del module_name  # a choice among dbm's kinds
        self.name = name
        self._path = Path(name)
        self._codec = codec
        self._connection: sqlite3.Connection | None = None
        self._file = 0
        folder = self._path.parent
        own = (folder, folder / ".gitignore") if folder.name == STATE else ()
        self._readable = self._writable = not sqlite.is_link(*own, self._path)
        self._damaged = self._anew = False
        self._ours: set[str] = set()
        self._marked: set[str] | None = None
        self._rows: dict[str, Row] = {}
        self._unwritten: set[str] = set()

    def own(self, names: Iterable[str]) -> None:
        """Store only the ignored flag for the tasks `names`."""
        self._ours.update(names)

    def ignores(self, names: Collection[str]) -> bool:
        """Tell whether any of the tasks `names`, all of them ours, is ignored."""
        self.own(names)
        return any(self.get(name, _IGNORED) for name in names)

    def get(self, task_id: str, dependency: str) -> Any:
        """Return a stored value of a task, or `None`."""
        if task_id in self._ours and task_id not in self._rows:
            return self._read(task_id).get(dependency)  # a row for each of many artifacts would take memory
        return self._row(task_id).get(dependency)

    def set(self, task_id: str, dependency: str, value: Any) -> None:
        """Store a value of a task."""
        self._row(task_id)[dependency] = value
        self._unwritten.add(task_id)
        if dependency == _LAST:
            self._flush()

    def in_(self, task_id: str) -> bool:
        """Tell whether a task has stored values."""
        return bool(self._row(task_id))

    def remove(self, task_id: str) -> None:
        """Delete a task's values."""
        self._rows[task_id] = {}
        self._unwritten.discard(task_id)
        if self._ask("select 1 from doit where task_id = ?", task_id):
            self._change("delete from doit where task_id = ?", task_id)
            self._marked = None

    def remove_all(self) -> None:
        """Delete all values."""
        self._rows.clear()
        self._unwritten.clear()
        if self._ask("select 1 from doit limit 1"):
            self._change("delete from doit")
        self._marked = None

    def dump(self) -> None:
        """Write pending values and close the file."""
        self._flush()
        if self._damaged:
            self._put_aside()
        self._close()

    def tasks(self) -> dict[str, Row]:
        """Return all stored values by task."""
        return {name: self._decode(data) for name, data in self._ask("select task_id, task_data from doit order by 1")}

    def _row(self, task_id: str) -> Row:
        row = self._rows.get(task_id)
        if row is None:
            row = self._rows[task_id] = self._read(task_id)
        return row

    def _read(self, task_id: str) -> Row:
        if task_id not in self._ours:
            return next(
                (self._decode(d) for (d,) in self._ask("select task_data from doit where task_id = ?", task_id)), {}
            )
        if self._marked is None:  # one query for all artifacts, of which there may be ten thousand
            marked = self._ask("select task_id, task_data from doit where instr(task_data, ?)", _IGNORED)
            self._marked = {name for name, data in marked if self._decode(data).get(_IGNORED)}
        return {_IGNORED: "1"} if task_id in self._marked else {}

    def _decode(self, data: Any) -> Row:
        """Decode a row; a malformed one counts as empty, so its task runs again."""
        try:
            found = self._codec.decode(data)
        except (ValueError, TypeError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _encode(self, task_id: str, row: Row) -> str:
        try:
            return str(self._codec.encode(row))
        except (ValueError, TypeError, RecursionError) as error:
            _warn(f"what `{task_id}` returned can't be stored, so it will run again: {error}")
            return ""

    def _flush(self) -> None:
        for task_id in self._unwritten:
            row = self._rows[task_id]
            if task_id in self._ours:
                row = {_IGNORED: row[_IGNORED]} if row.get(_IGNORED) else {}
            if row and (text := self._encode(task_id, row)):
                self._change("insert or replace into doit values (?, ?)", task_id, text)
        self._unwritten.clear()

    def _ask(self, question: str, *values: str) -> list[Any]:
        """Run a query; no rows if the file does not exist or can't be read."""
        return self._execute(question, values, mode="rw") if self._readable and os.access(self._path, os.F_OK) else []

    def _change(self, statement: str, *values: str) -> None:
        """Run a statement that writes; creates the file if necessary."""
        if self._writable and (not self._damaged or self._put_aside()):
            self._execute(statement, values, mode="rwc")

    def _execute(self, statement: str, values: tuple[str, ...], *, mode: Literal["rw", "rwc"]) -> list[Any]:
        import sqlite3

        try:
            return self._open(mode).execute(statement, values).fetchall()
        except (sqlite3.Error, OSError, ProvenanceError) as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_ERROR and mode == "rw":
                return []  # no table yet: another process is creating it, or was killed while doing so
            self._close()
            reason = str(error).partition("\n")[0]
            if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
                _warn(f"doit's database `{self._shown}` is damaged and starts anew: {reason}")
                self._damaged = True
                if mode == "rwc" and not self._anew and self._put_aside():
                    return self._execute(statement, values, mode=mode)
            else:
                _warn(f"doit's database `{self._shown}` can't be {'read' if mode == 'rw' else 'written'}: {reason}")
                self._writable = False
            self._readable = self._readable and mode == "rwc"
            return []

    def _open(self, mode: Literal["rw", "rwc"]) -> sqlite3.Connection:
        """Return the connection; `mode` as in SQLite's file names: "rwc" makes the file.

        Raises:
            sqlite3.Error: it can't be opened.
            StoreError: its folder can't be made.
        """
        if self._connection is None or (mode == "rwc" and self._moved()):
            self._close()
            if mode == "rwc" and self._path.parent.name == STATE:
                from ..provenance.fs import store

                store.prepare(self._path.parent)
            with contextlib.suppress(FileNotFoundError):
                self._file = self._path.stat().st_ino
            self._connection = sqlite.connect(self._path, mode=mode, wait=_WAIT, autocommit=True)
            self._file = self._path.stat().st_ino
            if self._connection.execute(_STRANGE).fetchone():
                raise sqlite.foreign("it has more than doit's table")
        if mode == "rwc":
            self._connection.execute(_CREATE)
        return self._connection

    def _moved(self) -> bool:
        """Tell whether the open file was replaced (another run found it damaged) or removed."""
        try:
            return self._path.stat().st_ino != self._file
        except FileNotFoundError:
            return True

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _put_aside(self) -> bool:
        """Move a damaged file aside, unless another run has done so; tell whether that worked."""
        self._damaged, self._anew = False, True
        try:
            if not self._moved():
                self._path.replace(self._path.with_name(f"{self._path.name}.damaged"))
                sqlite.remove_companions(self._path)
        except OSError:
            self._writable = False
        return self._writable

    @property
    def _shown(self) -> str:
        return os.path.relpath(self._path)


def own(names: Iterable[str]) -> None:
    """Register artifact tasks with doit's database, if the running command has one."""
    backend = getattr(Globals.dep_manager, "backend", None)
    if isinstance(backend, Database):
        backend.own(names)


def _warn(text: str) -> None:
    sys.stderr.write(f"warning: {text}\n")
