"""doit's database keeps what the user's own tasks did, nothing of artifacts, and is never what a run fails by."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from doit.dependency import Dependency, JSONCodec, SqliteDB
from doit.dependency import MD5Checker as Checker
from doit.globals import Globals
from doit.task import Task

from doit_provenance.tasks import database
from doit_provenance.tasks.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ARTIFACT = "kettle:tea@linux/amd64"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".provenance" / "doit.db"


@pytest.fixture
def fresh(path: Path) -> Iterator[Callable[[], Database]]:
    """Return what opens the file as another command would."""
    opened: list[Database] = []

    def make() -> Database:
        opened.append(Database(str(path), JSONCodec()))
        opened[-1].own([ARTIFACT])
        return opened[-1]

    yield make
    for found in opened:
        found.dump()


def _succeed(found: Database, name: str) -> None:
    manager = Dependency(lambda *_args, **_options: found, "", Checker)
    manager.save_success(Task(name, None, targets=[]))


def test_nothing_is_made_by_reading(fresh: Callable[[], Database], path: Path) -> None:
    found = fresh()
    assert found.get("mine", "deps:") is None
    assert not found.in_("mine")
    found.remove("mine")
    found.remove_all()
    assert found.tasks() == {}
    found.dump()
    assert not path.parent.exists()


def test_success_is_written_at_once(fresh: Callable[[], Database], path: Path) -> None:
    """A run that is killed with the next instruction has lost nothing: no `dump`."""
    _succeed(fresh(), "mine")
    assert fresh().in_("mine")
    assert (path.parent / ".gitignore").read_text() == "*\n"
    held = sqlite3.connect(path, timeout=0, isolation_level=None)
    held.execute("begin immediate")  # nobody holds the file
    held.close()


def test_keeps_the_format_of_doits_own(fresh: Callable[[], Database], path: Path) -> None:
    _succeed(fresh(), "mine")
    theirs = SqliteDB(str(path), JSONCodec())
    assert theirs.get("mine", "checker:") == "MD5Checker"
    theirs.set("yours", "deps:", ["a"])
    theirs.dump()
    assert fresh().get("yours", "deps:") == ["a"]


def test_of_artifacts_only_that_they_are_ignored(fresh: Callable[[], Database]) -> None:
    found = fresh()
    _succeed(found, ARTIFACT)
    found.dump()
    assert fresh().tasks() == {}
    found = fresh()
    found.set(ARTIFACT, "ignore:", "1")
    found.dump()
    assert fresh().tasks() == {ARTIFACT: {"ignore:": "1"}}
    assert fresh().get(ARTIFACT, "ignore:") == "1"
    fresh().remove(ARTIFACT)
    assert fresh().get(ARTIFACT, "ignore:") is None


def test_what_another_backend_kept_of_artifacts_is_not_believed(fresh: Callable[[], Database], path: Path) -> None:
    path.parent.mkdir()
    theirs = SqliteDB(str(path), JSONCodec())
    for name, value in (("checker:", "TimestampChecker"), ("deps:", ["x"]), ("_values_:", {"a": 1})):
        theirs.set(ARTIFACT, name, value)
    theirs.dump()
    found = fresh()
    assert [found.get(ARTIFACT, name) for name in ("checker:", "deps:", "_values_:", "ignore:")] == [None] * 4


def test_one_question_for_ten_thousand_artifacts(fresh: Callable[[], Database]) -> None:
    ids = [f"kettle:{n}@any" for n in range(10_000)]
    found = fresh()
    found.own(ids)
    found.set(ids[7], "ignore:", "1")
    found.dump()
    found = fresh()
    found.own(ids)
    started = time.perf_counter()
    assert [i for i in ids if found.get(i, "ignore:")] == [ids[7]]
    assert time.perf_counter() - started < 0.5


def test_forgetting(fresh: Callable[[], Database]) -> None:
    found = fresh()
    for name in ("one", "two", "three"):
        _succeed(found, name)
    found.remove("one")
    assert fresh().tasks().keys() == {"two", "three"}
    assert not found.in_("one")
    found.remove_all()
    assert fresh().tasks() == {}
    assert not found.in_("two")


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_damaged_file_is_put_aside(
    fresh: Callable[[], Database], path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    path.with_name("doit.db-journal").write_bytes(b"of the old file")
    found = fresh()
    assert found.get("mine", "deps:") is None
    assert path.read_bytes() == content, "reading changes nothing"
    _succeed(found, "mine")
    found.dump()
    assert fresh().in_("mine")
    assert path.with_name("doit.db.damaged").read_bytes() == content
    assert not path.with_name("doit.db-journal").exists()
    assert capsys.readouterr().err.count("warning: doit's database `") == 1


def test_damaged_file_is_put_aside_at_the_end_of_a_run(fresh: Callable[[], Database], path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    found = fresh()
    assert found.get(ARTIFACT, "ignore:") is None
    found.dump()
    assert not path.exists()


def test_truncated_anywhere(fresh: Callable[[], Database], path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is left of the file, tasks are known or are not, and new ones are kept."""
    found = fresh()
    for n in range(200):
        _succeed(found, f"task {n}")
    found.dump()
    whole = path.read_bytes()
    for size in range(0, len(whole), 1013):
        path.write_bytes(whole[:size])
        found = fresh()
        assert all(found.in_(f"task {n}") in {True, False} for n in (0, 99, 199))
        _succeed(found, "new")
        found.dump()
        assert fresh().in_("new"), size
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("row", ["", "{", "[]", '"text"', "1", "[" * 100_000, b"\xff\xfe", None])
def test_row_that_says_nothing(fresh: Callable[[], Database], path: Path, row: object) -> None:
    _succeed(fresh(), "mine")
    with sqlite3.connect(path) as connection:
        connection.execute("update doit set task_data = ?", (row,))
    connection.close()
    assert not fresh().in_("mine")
    _succeed(fresh(), "mine")
    assert fresh().in_("mine")


def test_table_of_something_else(fresh: Callable[[], Database], path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("create table doit (a, b, c)")
    connection.close()
    found = fresh()
    for name in ("mine", "yours"):
        _succeed(found, name)
    assert found.in_("mine"), "this run still knows"
    assert capsys.readouterr().err.count("can't be written") == 1


def test_read_only_file_is_read(
    fresh: Callable[[], Database], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _succeed(fresh(), "mine")
    # Who runs the tests may be allowed to write everything.
    monkeypatch.setattr("doit_provenance.tasks.database._CREATE", "pragma query_only = on")
    found = fresh()
    for name in ("one", "two"):
        _succeed(found, name)
    assert found.in_("mine")
    assert fresh().tasks().keys() == {"mine"}
    assert capsys.readouterr().err.count("warning: doit's database `") == 1


def test_folder_that_can_not_be_made(
    fresh: Callable[[], Database], path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.parent.write_text("a file")
    found = fresh()
    _succeed(found, "mine")
    assert found.in_("mine")
    assert capsys.readouterr().err.count("can't be written") == 1


@pytest.mark.parametrize("link", ["", ".gitignore", "doit.db"])
def test_nothing_is_touched_through_a_link(fresh: Callable[[], Database], path: Path, link: str) -> None:
    elsewhere = path.parents[1] / "elsewhere"
    if link:
        path.parent.mkdir()
        (path.parent / link).symlink_to(elsewhere)
    else:
        elsewhere.mkdir()
        path.parent.symlink_to(elsewhere)
    _succeed(fresh(), "mine")
    assert not elsewhere.exists() or list(elsewhere.iterdir()) == []
    assert not fresh().in_("mine")


def test_waits_for_another(fresh: Callable[[], Database], path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _succeed(fresh(), "mine")
    monkeypatch.setattr("doit_provenance.tasks.database._WAIT", 0.05)
    held = sqlite3.connect(path, isolation_level=None)
    held.execute("begin exclusive")
    found = fresh()
    _succeed(found, "new")
    held.execute("rollback")
    held.close()
    assert found.in_("new"), "it gives up in the end, and goes on"
    assert fresh().tasks().keys() == {"mine"}


def test_file_that_was_removed_or_replaced(fresh: Callable[[], Database], path: Path) -> None:
    found = fresh()
    _succeed(found, "one")
    path.unlink()
    _succeed(found, "two")
    assert fresh().tasks().keys() == {"two"}
    path.rename(path.with_name("away"))
    _succeed(fresh(), "three")
    _succeed(found, "four")
    assert fresh().tasks().keys() == {"three", "four"}


def test_value_that_json_does_not_know(fresh: Callable[[], Database], capsys: pytest.CaptureFixture[str]) -> None:
    found = fresh()
    found.set("mine", "_values_:", {"path": Path("x")})
    _succeed(found, "mine2")
    found.dump()
    assert fresh().tasks().keys() == {"mine2"}
    assert capsys.readouterr().err.startswith("warning: what `mine` returned can't be stored")


def test_in_a_folder_of_the_users(tmp_path: Path) -> None:
    found = Database(str(tmp_path / ".doit.db"), JSONCodec())
    _succeed(found, "mine")
    found.dump()
    assert [p.name for p in tmp_path.iterdir()] == [".doit.db"], "and no .gitignore"
    assert not stat.S_IMODE((tmp_path / ".doit.db").stat().st_mode) & stat.S_IXUSR


def test_own_tells_the_database_of_the_command(fresh: Callable[[], Database], monkeypatch: pytest.MonkeyPatch) -> None:
    found = fresh()
    manager = Dependency(lambda *_args, **_options: found, "", Checker)
    for current in (None, manager):
        monkeypatch.setattr(Globals, "dep_manager", current)
        database.own(["kettle"])
        _succeed(found, "kettle")
        assert ("kettle" in fresh().tasks()) == (current is None)
        found.remove("kettle")


_RUN = """
import sys, time, pathlib
from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain

def task_first():
    return {"actions": [lambda: None]}

def task_failing():
    return {"actions": [lambda: False]}

def task_slow():
    def act():
        pathlib.Path(sys.argv[1]).touch()
        time.sleep(float(sys.argv[2]))
    return {"actions": [act]}

DOIT_CONFIG = {"backend": "provenance", "dep_file": ".provenance/doit.db", "verbosity": 0}
sys.exit(DoitMain(ModuleTaskLoader(dict(globals())), config_filenames=()).run(["run", "-c", *sys.argv[3:]]))
"""


def _start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    (folder / "run.py").write_text(_RUN)  # doit looks for the lines of its functions
    return subprocess.Popen(
        [sys.executable, "run.py", *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _until(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_killed_run_keeps_what_was_done(tmp_path: Path, fresh: Callable[[], Database]) -> None:
    with _start(tmp_path, "begun", "60", "first", "slow") as run:
        _until(tmp_path / "begun")
        run.send_signal(signal.SIGKILL)
    assert fresh().tasks().keys() == {"first"}


def test_two_runs_at_once_with_a_failing_task(tmp_path: Path, fresh: Callable[[], Database]) -> None:
    """Neither waits for the end of the other, nor dies of it."""
    _succeed(fresh(), "failing")  # there is something to delete
    with _start(tmp_path, "one", "1", "failing", "slow") as first:
        _until(tmp_path / "one")
        with _start(tmp_path, "two", "0", "failing", "slow") as second:
            _, said = second.communicate(timeout=30)
            assert (second.returncode, said) == (1, b"")
            assert first.poll() is None, "the other one still ran"
        _, said = first.communicate(timeout=30)
    assert (first.returncode, said) == (1, b"")
    assert fresh().tasks().keys() == {"slow"}
