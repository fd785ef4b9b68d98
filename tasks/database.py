"""doit's database, for what it is good for: what the user's own tasks in the same `dodo.py` did, and `doit ignore`.

Whether one of our artifacts is fresh is no business of doit's, so nothing is kept of our tasks but that they are
ignored. The file is not needed: where it can't be read or written, a run goes on without.
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
"""What doit notes last of a task that ended well (`Dependency.save_success`)."""
_WAIT = 30
"""Seconds. Nobody holds the file for longer than one statement takes."""
_STRANGE = """
select 1 from sqlite_master where sql is not null
and (type <> 'table' or sql like 'create virtual%' or instr(substr(sql, instr(sql, '(') + 1), '('))
"""
"""What a table of doit's never has: views, triggers, functions. In such, a stranger could let a question never end."""
_CREATE = "create table if not exists doit (task_id text not null primary key, task_data json)"


class Database:
    """A backend of doit's in one SQLite file, in the format of doit's own `sqlite3`.

    Differs from that one in that

    - each task that ended well is written at once, so a killed run loses none, and nobody waits for another run's end;
    - a damaged file is put aside by whoever writes, and one that can't be written is only read, with a line of warning;
    - a file that a link stands for, or lies behind one, is not touched: it may be the repository of a stranger;
    - one that doit can't have made is as good as damaged: SQLite could wait for ever, or remove another file;
    - it is made when there is something to write, and not before.
    """

    desc = "SQLite file that keeps nothing of artifacts, whose records say what holds"

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
        """Keep nothing of the tasks `names` but that they are ignored."""
        self._ours.update(names)

    def ignores(self, names: Collection[str]) -> bool:
        """Tell whether any of the tasks `names`, all of them ours, is ignored."""
        self.own(names)
        return any(self.get(name, _IGNORED) for name in names)

    def get(self, task_id: str, dependency: str) -> Any:
        """Return a value that is kept of a task, or `None`."""
        if task_id in self._ours and task_id not in self._rows:
            return self._read(task_id).get(dependency)  # a row for each of many artifacts would take memory
        return self._row(task_id).get(dependency)

    def set(self, task_id: str, dependency: str, value: Any) -> None:
        """Keep a value of a task."""
        self._row(task_id)[dependency] = value
        self._unwritten.add(task_id)
        if dependency == _LAST:
            self._flush()

    def in_(self, task_id: str) -> bool:
        """Tell whether anything is kept of a task."""
        return bool(self._row(task_id))

    def remove(self, task_id: str) -> None:
        """Keep nothing more of a task."""
        self._rows[task_id] = {}
        self._unwritten.discard(task_id)
        if self._ask("select 1 from doit where task_id = ?", task_id):
            self._change("delete from doit where task_id = ?", task_id)
            self._marked = None

    def remove_all(self) -> None:
        """Keep nothing of any task."""
        self._rows.clear()
        self._unwritten.clear()
        if self._ask("select 1 from doit limit 1"):
            self._change("delete from doit")
        self._marked = None

    def dump(self) -> None:
        """Write what is not written yet, and let go of the file."""
        self._flush()
        if self._damaged:
            self._put_aside()
        self._close()

    def tasks(self) -> dict[str, Row]:
        """Return all that is in the file, by task."""
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
        if self._marked is None:  # one question for all of ours, of which there may be ten thousand
            marked = self._ask("select task_id, task_data from doit where instr(task_data, ?)", _IGNORED)
            self._marked = {name for name, data in marked if self._decode(data).get(_IGNORED)}
        return {_IGNORED: "1"} if task_id in self._marked else {}

    def _decode(self, data: Any) -> Row:
        """Return a row; one that can't be understood says nothing, so that its task runs once more."""
        try:
            found = self._codec.decode(data)
        except (ValueError, TypeError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _encode(self, task_id: str, row: Row) -> str:
        try:
            return str(self._codec.encode(row))
        except (ValueError, TypeError, RecursionError) as error:
            _warn(f"what `{task_id}` returned can't be kept, so it will run again: {error}")
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
        """Return rows; none where there is no file that can be read."""
        return self._execute(question, values, mode="rw") if self._readable and os.access(self._path, os.F_OK) else []

    def _change(self, statement: str, *values: str) -> None:
        """Change the file; it is made if need be."""
        if self._writable and (not self._damaged or self._put_aside()):
            self._execute(statement, values, mode="rwc")

    def _execute(self, statement: str, values: tuple[str, ...], *, mode: Literal["rw", "rwc"]) -> list[Any]:
        import sqlite3

        try:
            return self._open(mode).execute(statement, values).fetchall()
        except (sqlite3.Error, OSError, ProvenanceError) as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_ERROR and mode == "rw":
                return []  # it has no table yet: whoever makes it was killed, or is just about to
            self._close()
            reason = str(error).partition("\n")[0]
            if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
                _warn(f"doit's database `{self._shown}` is damaged and begins anew: {reason}")
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
        """Tell whether the file that was opened lies there no more: another run found it damaged, or it was removed."""
        try:
            return self._path.stat().st_ino != self._file
        except FileNotFoundError:
            return True

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _put_aside(self) -> bool:
        """Let a damaged file make room for a new one, unless another run has done so; tell whether that worked."""
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
    """Tell doit's database, if the command that is running has one, that the tasks `names` are ours."""
    backend = getattr(Globals.dep_manager, "backend", None)
    if isinstance(backend, Database):
        backend.own(names)


def _warn(text: str) -> None:
    sys.stderr.write(f"warning: {text}\n")
