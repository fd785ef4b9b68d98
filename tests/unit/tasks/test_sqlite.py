"""A database from a cache that is not trusted lets SQLite neither wait for ever nor touch another file."""

from __future__ import annotations

import os
import sqlite3
import struct
from typing import TYPE_CHECKING

import pytest
from doit.dependency import JSONCodec

from doit_provenance.tasks import sqlite
from doit_provenance.tasks.database import Database
from doit_provenance.tasks.freshness.state import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MAGIC = bytes.fromhex("d9d505f920a163d7")
_SECTOR = 512
_LOCK_BYTE = 0x40000000


def _journal_naming(database: Path, victim: Path) -> bytes:
    """Return a journal of no pages that ends with the name of a super-journal (SQLite, Database File Format)."""
    data = database.read_bytes()
    (page,) = struct.unpack(">H", data[16:18])
    header = _MAGIC + struct.pack(">5I", 0, 0, len(data) // page, _SECTOR, page)
    name = os.fsencode(victim)
    end = struct.pack(">I", _LOCK_BYTE // page + 1) + name + struct.pack(">II", len(name), sum(name)) + _MAGIC
    return header.ljust(_SECTOR, b"\0") + end


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a database lies that something was kept in."""
    found = tmp_path / ".provenance" / "doit.db"
    found.parent.mkdir()
    _keep(found)
    return found


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    found = tmp_path / "precious"
    found.write_text("precious")
    return found


def _keep(path: Path) -> str | None:
    """Keep something of a task, and return what was kept of it before."""
    found = Database(str(path), JSONCodec())
    before: str | None = found.get("mine", "deps:")
    found.set("mine", "deps:", "kept")
    found.dump()
    return before


def _state(path: Path) -> State:
    found = State(path.with_name("state.db"), lambda: path.parents[1] / "secret")
    found.begin_to_write()
    return found


def test_sqlite_itself_removes_what_a_journal_names(path: Path, victim: Path) -> None:
    """Else the tests below prove nothing."""
    path.with_name("doit.db-journal").write_bytes(_journal_naming(path, victim))
    with sqlite3.connect(path) as connection:
        connection.execute("select * from doit").fetchall()
    connection.close()
    assert not victim.exists()


def test_doits_database_is_put_aside_with_such_a_journal(
    path: Path, victim: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.with_name("doit.db-journal").write_bytes(_journal_naming(path, victim))
    assert _keep(path) is None
    assert victim.read_text() == "precious"
    assert "is damaged and starts anew: there is a foreign journal beside it" in capsys.readouterr().err
    assert _keep(path) == "kept", "the new one is in use"


@pytest.mark.parametrize("writes", [False, True])
def test_state_does_not_believe_such_a_journal(path: Path, victim: Path, *, writes: bool) -> None:
    state = _state(path)
    state.put("tea", "green")
    state.close()
    database = path.with_name("state.db")
    database.with_name("state.db-journal").write_bytes(_journal_naming(database, victim))
    again = _state(path) if writes else State(database, lambda: path.parents[1] / "secret")
    assert again.get("tea") is None
    again.put("tea", "black")
    again.close()
    assert victim.read_text() == "precious"
    if writes:
        assert _state(path).get("tea") == "black"


def test_state_reads_no_row_that_takes_up_the_memory(path: Path) -> None:
    state = _state(path)
    state.keep_inputs("tea", "0" * 64, b"{}")
    state.close()
    with sqlite3.connect(path.with_name("state.db")) as connection:
        connection.execute("update inputs set list = zeroblob(300000000)")
    connection.close()
    again = _state(path)
    assert again.inputs("0" * 64) is None
    assert path.with_name("state.db").stat().st_size < 1 << 20, "it starts anew"


@pytest.mark.parametrize("where", ["doit.db", "doit.db-journal"])
def test_nobody_waits_for_a_pipe(path: Path, where: str, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = path.with_name(where)
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    assert _keep(path) is None
    assert "starts anew" in capsys.readouterr().err
    assert _keep(path) == "kept"


@pytest.mark.parametrize(
    "schema",
    [
        (
            "create view doit as with recursive n(x) as (select 1 union all select x + 1 from n) "
            "select 'mine' || x as task_id, 'ignore:' as task_data from n"
        ),
        "create table doit (task_id text not null primary key, task_data json as (hex(zeroblob(1 << 20))))",
        "create virtual table doit using fts5(task_id, task_data)",
        (
            "create table doit (task_id text not null primary key, task_data json); "
            "create trigger slow before insert on doit begin select hex(zeroblob(1 << 20)); end"
        ),
    ],
    ids=["a view without an end", "a computed column", "a virtual table", "a trigger"],
)
def test_schema_that_could_let_a_question_never_end(
    path: Path, schema: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.executescript(schema)
    connection.close()
    assert _keep(path) is None
    assert "is damaged and starts anew: it has more than doit's table" in capsys.readouterr().err
    assert _keep(path) == "kept"


def test_file_of_another_mode(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.with_name("doit.db-wal").write_bytes(b"")
    assert _keep(path) is None
    assert "it is not in rollback journal mode" in capsys.readouterr().err
    assert _keep(path) == "kept"


def _absent(_: Path) -> None:
    pass


def _short(path: Path) -> None:
    path.write_bytes(_MAGIC[:4])


def _pages(path: Path) -> None:
    path.write_bytes((_MAGIC + struct.pack(">5I", 1, 7, 3, _SECTOR, 4096)).ljust(_SECTOR, b"\0") + os.urandom(4104))


@pytest.mark.parametrize("make", [_absent, _short, _pages])
def test_journal_of_a_killed_run_is_none_of_a_stranger(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a.db-journal")
    sqlite.refuse_foreign_journal(tmp_path / "a.db")


def test_link_is_refused(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "a.db-journal").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        sqlite.refuse_foreign_journal(tmp_path / "a.db")
