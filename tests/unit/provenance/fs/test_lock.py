from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import StoreError
from doit_provenance.provenance.fs import lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from doit_provenance.provenance.fs import lock
lock.take(Path(sys.argv[1]), command="doit cargo:wash", waiting=lambda holder: print("waiting for", holder, flush=True))
print("has it", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Return what starts another process that takes the lock and says so; it ends when its input does."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _never(holder: lock.Holder | None) -> None:
    pytest.fail(f"it had to wait for {holder}")


def test_second_run_says_whom_it_waits_for_and_then_has_it(hold: Callable[[], subprocess.Popen[str]]) -> None:
    first = hold()
    assert _line(first) == "has it\n"
    second = hold()
    said = _line(second)
    host = re.escape(os.uname().nodename)
    pattern = rf"waiting for `doit cargo:wash` \(process {first.pid} on {host}, since \d\d:\d\d:\d\d\)\n"
    assert re.fullmatch(pattern, said), said
    first.communicate()
    assert _line(second) == "has it\n"


def test_killed_holder_leaves_a_note_and_no_lock(tmp_path: Path, hold: Callable[[], subprocess.Popen[str]]) -> None:
    first = hold()
    assert _line(first) == "has it\n"
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert json.loads((tmp_path / "lock").read_bytes())["process"] == first.pid
    assert lock.take(tmp_path, command="doit", waiting=_never), "it was killed, and that is told"
    assert json.loads((tmp_path / "lock").read_bytes())["process"] == os.getpid()


def test_holder_that_left_was_not_killed(tmp_path: Path, hold: Callable[[], subprocess.Popen[str]]) -> None:
    """And it has the lock until it ends."""
    assert not lock.take(tmp_path, command="doit", waiting=_never), "nobody was here before"
    lock.leave(tmp_path)
    second = hold()
    assert _line(second) == "waiting for None\n"
    assert not lock.take(tmp_path, command="doit", waiting=_never)


def test_leaving_a_folder_that_is_gone(tmp_path: Path) -> None:
    lock.leave(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()


def test_same_process_may_take_it_again(tmp_path: Path) -> None:
    for _ in range(2):
        lock.take(tmp_path / "state", command="doit", waiting=_never)
    assert (tmp_path / "state" / ".gitignore").exists()


NOTE = {"command": "doit", "process": 1, "host": "elsewhere", "since": "2026-11-24T10:20:31+00:00"}


@pytest.mark.parametrize(
    ("note", "known"),
    [
        (NOTE, True),
        ({**NOTE, "host": os.uname().nodename}, True),
        ({**NOTE, "host": os.uname().nodename, "process": 2**22 + 1}, False),
        ({**NOTE, "host": os.uname().nodename, "process": 10**30}, False),
        ({**NOTE, "host": os.uname().nodename, "process": -1}, False),
        ({**NOTE, "since": "yesterday"}, False),
        ({"command": "doit"}, False),
        ([NOTE], False),
        ("", False),
    ],
)
def test_note_of_whoever_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, note: object, *, known: bool) -> None:
    """Of a process that does not live, or that nobody understands, nothing is said."""
    (tmp_path / "lock").write_text(json.dumps(note) if note else "")
    found = _waited_for(tmp_path, monkeypatch)
    assert (found is not None) == known


def test_note_is_safe_to_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lock").write_text(json.dumps({**NOTE, "command": "\x1b[31m\ndoit", "host": "a\x1b"}))
    assert str(_waited_for(tmp_path, monkeypatch)).isprintable()


def _waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> lock.Holder | None:
    """Return whom the lock seems to be taken by."""
    seen: list[lock.Holder | None] = []

    def lockf(_: int, operation: int) -> None:
        if operation & fcntl.LOCK_NB:
            raise OSError(errno.EAGAIN, "taken")

    monkeypatch.setattr(fcntl, "lockf", lockf)
    lock.take(folder, command="doit", waiting=seen.append)
    (holder,) = seen
    return holder


def test_another_day_is_said() -> None:
    holder = lock.Holder(command="doit", process=7, host="h", since=datetime.now(UTC) - timedelta(days=3))
    assert re.fullmatch(r"`doit` \(process 7 on h, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\)", str(holder))


def test_filesystem_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "lockf", _fails(errno.ENOLCK))
    lock.take(tmp_path, command="doit", waiting=_never)


def test_lock_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "lockf", _fails(errno.EIO))
    with pytest.raises(StoreError, match=r"can't lock `.*lock`: Input/output error"):
        lock.take(tmp_path, command="doit", waiting=_never)


def test_full_disk_costs_the_note_and_not_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", _fails(errno.ENOSPC))
    lock.take(tmp_path, command="doit", waiting=_never)
    assert (tmp_path / "lock").read_bytes() == b""


def _fails(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["/venv/bin/doit", "cargo:wash"], "doit cargo:wash"),
        (["/lib/doit/__main__.py", "-n", "4"], "doit -n 4"),
        (["doit", "token=hunter2", "a b"], "doit 'token=…' 'a b'"),
        (["doit", "x" * 200], f"doit {'x' * 115}…"),
    ],
)
def test_command_line_holds_no_values(argv: list[str], command: str) -> None:
    assert lock.command_of(argv) == command


def test_own_command_line_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/venv/bin/doit", "hunter2-wash"])
    assert lock.this_command() == "doit hunter2-wash"
    monkeypatch.setenv("DOIT_PROVENANCE_PASSPHRASE", "hunter2")
    assert lock.this_command() == "doit ***-wash"
