"""What runs remember: kept, believed only with its code, and never more than a convenience."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.tasks.freshness import state
from doit_provenance.tasks.freshness.answer import Action, Code, Fresh, Stale
from doit_provenance.tasks.freshness.inputs import digest_of, to_json
from doit_provenance.tasks.freshness.state import State, read_secret
from doit_provenance.tasks.pipeline.outcome import Done

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIST = {"file:src/leaf": "a" * 64, "variable:WATER": "unset"}
DIGEST = digest_of(LIST)


@pytest.fixture
def open_state(tmp_path: Path) -> Callable[..., State]:
    """Return what opens the state of one workspace, as another process would."""
    (tmp_path / "state").mkdir()

    def run(*, writes: bool = True, secret: str = "secret") -> State:  # noqa: S107 - a file's name
        found = State(tmp_path / "state" / "state.db", lambda: tmp_path / "keys" / secret)
        if writes:
            found.begin_to_write()
        return found

    return run


def test_what_is_put_is_there_in_the_next_run(open_state: Callable[..., State]) -> None:
    first = open_state()
    first.put("a", {"b": [1, "c", None]})
    assert first.get("a") == {"b": [1, "c", None]}
    first.put("a", {"b": 2})
    first.close()
    for writes in (False, True):
        assert open_state(writes=writes).get("a") == {"b": 2}
        assert open_state(writes=writes).get("b") is None


def test_lists_of_inputs_are_kept_at_once(open_state: Callable[..., State]) -> None:
    """A record that names one may follow, and the process be killed after that."""
    open_state().keep_inputs("tea", DIGEST, to_json(LIST))
    assert open_state(writes=False).inputs(DIGEST) == LIST
    assert open_state(writes=False).inputs("0" * 64) is None


def test_nothing_is_written_before_it_may(open_state: Callable[..., State], tmp_path: Path) -> None:
    first = open_state(writes=False)
    first.put("a", 1)
    first.keep_inputs("tea", DIGEST, to_json(LIST))
    assert first.get("a") == 1, "a plan remembers as long as it lasts"
    assert first.inputs(DIGEST) is None
    first.flush()
    first.close()
    assert [p.name for p in tmp_path.rglob("*")] == ["state"]


def test_what_was_put_before_is_written_after(open_state: Callable[..., State]) -> None:
    first = open_state(writes=False)
    first.put("a", 1)
    first.begin_to_write()
    first.close()
    assert open_state().get("a") == 1


def test_closing_twice_is_closing_once(open_state: Callable[..., State]) -> None:
    first = open_state()
    first.put("a", 1)
    first.close()
    first.close()
    assert first.get("a") == 1, "it is opened again when it is asked"
    first.close()


@pytest.mark.parametrize("secret", ["another machine's", "a folder", "a short one", "readable by others", "none"])
def test_entries_of_another_secret_are_not_believed_but_lists_need_no_belief(
    open_state: Callable[..., State], tmp_path: Path, secret: str
) -> None:
    first = open_state()
    first.put("a", 1)
    first.keep_inputs("tea", DIGEST, to_json(LIST))
    first.close()
    path = tmp_path / "keys" / "secret"
    if secret == "readable by others":  # noqa: S105 - a case
        path.chmod(0o644)
    else:
        path.unlink()
        if secret == "a folder":  # noqa: S105 - likewise
            path.mkdir()
        elif secret != "none":  # noqa: S105 - likewise
            path.write_bytes(os.urandom(31 if "short" in secret else 32))
            path.chmod(0o600)
    for writes in (False, True):
        found = open_state(writes=writes)
        assert found.get("a") is None
        assert found.inputs(DIGEST) == LIST
        found.close()


def test_secret_is_private_and_made_once(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "secret"
    assert read_secret(path, make=False) is None
    assert not path.parent.exists()
    found = read_secret(path, make=True)
    assert found is not None
    assert len(found) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_secret(path, make=True) == read_secret(path, make=False) == found


def test_secret_that_can_not_be_made_is_none(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file")
    assert read_secret(tmp_path / "keys" / "secret", make=True) is None


def test_entry_moved_to_another_key_is_not_believed(open_state: Callable[..., State], tmp_path: Path) -> None:
    first = open_state()
    first.put("artifact:tea", {"fresh": True})
    first.close()
    with sqlite3.connect(tmp_path / "state" / "state.db") as database:
        database.execute("insert into memory select cast('artifact:mug' as blob), entry from memory")
    database.close()
    found = open_state()
    assert found.get("artifact:tea") == {"fresh": True}
    assert found.get("artifact:mug") is None


def test_key_and_value_can_not_be_parted_elsewhere(open_state: Callable[..., State], tmp_path: Path) -> None:
    """`ab` with value `1` and `a` with value `b1` are two messages."""
    first = open_state()
    first.put("a", 11)
    first.close()
    with sqlite3.connect(tmp_path / "state" / "state.db") as database:
        ((entry,),) = database.execute("select entry from memory")
        database.execute("insert into memory values (?, ?)", (b"a1", entry[:32] + b"1"))
    database.close()
    assert open_state().get("a1") is None


@pytest.mark.parametrize("entry", [b"", b"1", b"\0" * 32, b"\0" * 32 + b"1", "text", 7], ids=repr)
def test_entry_of_another_shape_is_not_believed(
    open_state: Callable[..., State], tmp_path: Path, entry: object
) -> None:
    first = open_state()
    assert first.get("a") is None
    first.close()
    with sqlite3.connect(tmp_path / "state" / "state.db") as database:
        database.execute("insert into memory values (?, ?)", (b"a", entry))
        database.execute("insert into inputs (artifact, digest, list) values ('tea', 'a', ?)", (entry,))
    database.close()
    found = open_state()
    assert found.get("a") is None
    assert found.inputs("a") is None


def test_list_that_is_not_of_its_digest_is_none(open_state: Callable[..., State]) -> None:
    first = open_state()
    first.keep_inputs("tea", DIGEST, to_json({**LIST, "file:src/leaf": "b" * 64}))
    for data in (b"[]", b"{", b"\xff", b"[" * 100_000):
        first.keep_inputs("tea", hashlib.sha256(data).hexdigest(), data)
        assert first.inputs(hashlib.sha256(data).hexdigest()) is None
    assert first.inputs(DIGEST) is None


def test_names_that_are_no_text_can_be_keys(open_state: Callable[..., State]) -> None:
    """A file's name may be any bytes; what can't be kept is found out again."""
    first = open_state()
    first.put("file:\udcff", 1)
    first.put("b", 2)
    assert first.get("file:\udcff") == 1
    first.close()
    assert (open_state().get("file:\udcff"), open_state().get("b")) == (1, 2)


@pytest.fixture
def served(kitchen: Any) -> Any:
    """Return a kitchen with some artifacts made, of which `tea` is stale, as its leaf was edited."""
    kettle = kitchen.kettle
    kettle.names = ["tea", "cup-0", "cup-1", "tray"]
    kettle.upstream = {"tray": ("cup-0",)}
    kettle.measured = {n: (f"file:src/{n}",) for n in kettle.names}
    (kitchen.root / "src").mkdir()
    for name in kettle.names:
        (kitchen.root / "src" / name).write_text(f"{name}\n")
    kitchen.run()
    kitchen.run()
    (kitchen.root / "src" / "tea").write_text("green\n")
    return kitchen


def _truthful(kitchen: Any) -> None:
    """See that the answers are the truth, or what a run without state says: that the inputs are not known."""
    for name, answer in kitchen.announce().items():
        if isinstance(answer, Stale):
            assert answer.action is Action.BUILD
            codes = {r.code for r in answer.reasons}
            assert codes <= {Code.INPUTS_UNKNOWN, Code.INPUT_CHANGED if name == "tea" else Code.INPUTS_UNKNOWN}
        else:
            assert name != "tea", "it is not fresh"


def _heals(kitchen: Any) -> None:
    """See that a run ends well, with what is right, and leaves nothing for a third one."""
    kitchen.run()
    for name in kitchen.kettle.names:
        assert kitchen.files(name)[name] == kitchen.kettle.brew(name)
    kitchen.run()
    assert {type(a) for a in kitchen.announce().values()} == {Fresh}


def test_flipped_bits_are_never_believed_and_never_a_traceback(served: Any) -> None:
    good = served.database.read_bytes()
    generator = random.Random(20240517)  # noqa: S311 - no secret: to be the same again
    for _ in range(300):
        data = bytearray(good)
        for _ in range(generator.choice((1, 1, 4, 64))):
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        served.database.write_bytes(data)
        _truthful(served)


@pytest.mark.parametrize("seed", range(8))
def test_run_over_flipped_bits_ends_well(served: Any, seed: int) -> None:
    """The header, the schema, and anything else."""
    data = bytearray(served.database.read_bytes())
    generator = random.Random(seed)  # noqa: S311 - no secret: to be the same again
    for _ in range(48):
        data[generator.randrange((100, 4096, len(data))[seed % 3])] ^= 1 << generator.randrange(8)
    served.database.write_bytes(data)
    _truthful(served)
    _heals(served)


@pytest.mark.parametrize("size", [0, 1, 19, 20, 99, 100, 4096, 4097, -4096, -1])
def test_truncated_file_is_found_out_again(served: Any, size: int) -> None:
    good = served.database.read_bytes()
    os.truncate(served.database, size if size >= 0 else len(good) + size)
    _truthful(served)
    _heals(served)


@pytest.mark.parametrize("data", [b"\n", b"SQLite format 3\0", b"\0" * 8192, b"{}" * 9000, os.urandom(8192)], ids=len)
def test_other_bytes_are_found_out_again(served: Any, data: bytes) -> None:
    served.database.write_bytes(data)
    _truthful(served)
    _heals(served)


@pytest.mark.parametrize(
    "statement",
    [
        "drop table memory",
        "drop table inputs",
        "delete from memory",
        "delete from inputs",
        "update memory set entry = zeroblob(40)",
        "update memory set entry = cast(entry as text)",
        "update inputs set list = zeroblob(length(list))",
        "alter table memory rename column entry to other",
        "create trigger t before insert on memory begin select raise(abort, 'no'); end",
        "create trigger t before insert on inputs begin select raise(ignore); end",
        "create view v as select * from memory",
        "pragma user_version = 99",
        "pragma journal_mode = wal",
        "pragma encoding = 'UTF-16'",
    ],
)
def test_what_a_stranger_did_with_sql_is_found_out_again(served: Any, statement: str) -> None:
    database = sqlite3.connect(served.database)
    database.execute(statement)
    database.commit()
    database.close()
    _truthful(served)
    _heals(served)


def test_state_of_another_machine_is_not_believed_but_its_lists_are_of_use(served: Any) -> None:
    """As a cache of CI brings it: each folder is verified again, and nothing is built."""
    (served.root / "src" / "tea").write_text("tea\n")
    (served.keys / "state.secret").write_bytes(os.urandom(32))
    assert {type(a) for a in served.plan().values()} == {Fresh}
    assert {o.done for o in served.run().values()} == {Done.FRESH}
    with sqlite3.connect(served.database) as database:
        believed = database.execute("select count(*) from memory").fetchone()
    database.close()
    assert believed == (len(served.kettle.names),)


def test_state_of_another_workspace_is_judged_by_what_is_there(served: Any, tmp_path: Path) -> None:
    """Same user, same secret, same ids: its signatures are of other files, and its digests must hold here."""
    shutil.copytree(served.root, tmp_path / "other", symlinks=True)
    served.run()
    shutil.copyfile(tmp_path / "other" / ".provenance" / "state.db", served.database)
    answer = served.plan()["tea"]
    assert isinstance(answer, Stale)
    assert [r.code for r in answer.reasons] == [Code.INPUTS_UNKNOWN]
    assert {type(a) for n, a in served.plan().items() if n != "tea"} == {Fresh}


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "precious").touch()


def _link(path: Path) -> None:
    target = path.parents[2] / "elsewhere.db"
    path.rename(target)
    path.symlink_to(target)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _linked_folder(path: Path) -> None:
    target = path.parents[2] / "elsewhere"
    path.parent.rename(target)
    path.parent.symlink_to(target)


@pytest.mark.parametrize("put", [_folder, _link, _linked_folder, _pipe])
def test_something_else_in_its_place_is_never_written_through(served: Any, put: Callable[[Path], None]) -> None:
    """What is built is right; that it is built each time is the price of it."""
    put(served.database)
    elsewhere = served.root.parent / "elsewhere.db"
    before = elsewhere.read_bytes() if elsewhere.exists() else None
    announced = {n: type(a) for n, a in served.plan().items()}
    _truthful(served)
    outcomes = served.run()
    assert {n for n, a in announced.items() if a is Stale} == set(served.called)
    assert {n for n, a in announced.items() if a is Fresh} == {n for n, o in outcomes.items() if o.done is Done.FRESH}
    for name in served.kettle.names:
        assert served.files(name)[name] == served.kettle.brew(name)
    _truthful_after_a_run(served)
    if before is not None:
        assert elsewhere.read_bytes() == before
    if put is _folder:
        assert (served.database / "precious").exists()


def _truthful_after_a_run(kitchen: Any) -> None:
    for answer in kitchen.plan().values():
        assert isinstance(answer, Fresh) or [r.code for r in answer.reasons] == [Code.INPUTS_UNKNOWN]


def test_pipe_in_its_place_is_replaced(served: Any) -> None:
    _pipe(served.database)
    _heals(served)


def test_file_that_can_not_be_written_costs_nothing_but_time(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a folder: sqlite says so when it is asked to write."""
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda address, **more: connect(address.replace("mode=rwc", "mode=ro"), **more),
    )  # fmt: skip # one expression
    outcomes = served.run()
    assert outcomes["tea"].done is Done.BUILT
    assert served.called == ["tea"]
    monkeypatch.undo()


def test_file_that_another_process_writes_is_not_waited_for_long(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    other = sqlite3.connect(served.database, isolation_level=None)
    other.execute("begin exclusive")
    monkeypatch.setattr(state, "_WAIT", 0.01)
    announced = served.plan()
    assert {r.code for a in announced.values() if isinstance(a, Stale) for r in a.reasons} <= {
        Code.INPUTS_UNKNOWN,
        Code.INPUT_CHANGED,
    }
    assert "tea" in served.run()
    other.execute("rollback")
    other.close()
    assert {n for n, a in served.plan().items() if isinstance(a, Fresh)} >= {"cup-1"}, "it was not thrown away"


def test_journal_of_a_killed_run_is_rolled_back_by_a_plan_in_a_copy(served: Any) -> None:
    """A plan writes nothing: not even what sqlite would have to."""
    (served.root / "src" / "tea").write_text("tea\n")
    killed = served.root.parent / "killed"
    killed.mkdir()
    other = sqlite3.connect(served.database, isolation_level=None)
    other.execute("pragma cache_size = 1")
    other.execute("pragma cache_spill = 1")
    other.execute("begin")
    other.execute("delete from memory")
    for i in range(200):
        other.execute("insert into inputs (artifact, digest, list) values ('', ?, zeroblob(4000))", (str(i),))
    journal = served.database.with_name("state.db-journal")
    assert journal.stat().st_size > 0
    for path in (served.database, journal):
        shutil.copyfile(path, killed / path.name)
    other.execute("rollback")
    other.close()
    for name in ("state.db", "state.db-journal"):
        shutil.copyfile(killed / name, served.database.with_name(name))
    assert {type(a) for a in served.plan().values()} == {Fresh}
    assert {o.done for o in served.run().values()} == {Done.FRESH}
    assert not journal.exists()


@pytest.mark.parametrize("suffix", ["journal", "wal", "shm"])
@pytest.mark.parametrize("what", ["a folder", "a pipe", "other bytes", "a link"])
def test_strange_file_beside_it_is_never_a_traceback(served: Any, what: str, suffix: str) -> None:
    journal = served.database.with_name(f"state.db-{suffix}")
    aside = served.root.parent / "aside"
    aside.write_text("precious")
    if what == "a folder":
        journal.mkdir()
    elif what == "a pipe":
        os.mkfifo(journal)
    elif what == "a link":
        journal.symlink_to(aside)
    else:
        journal.write_bytes(os.urandom(4096))
    announced = {n for n, a in served.plan().items() if isinstance(a, Stale)}
    _truthful(served)
    served.run()
    assert set(served.called) == announced
    if what != "a folder":  # which is not removed, as it may be full
        _heals(served)
    assert aside.read_text() == "precious"
