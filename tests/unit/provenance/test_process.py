"""The one door to other processes."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance import process as door
from doit_provenance.provenance.errors import ToolError
from doit_provenance.provenance.process import SECRET_VARIABLES, ask, capture, clean_environment, end_all, lines, run

if TYPE_CHECKING:
    from collections.abc import Iterator


def _python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def test_output_is_returned_as_bytes(tmp_path: Path) -> None:
    code = "import os, sys; sys.stdout.buffer.write(os.getcwd().encode() + b'\\xff')"
    assert capture(_python(code), cwd=tmp_path, env={}) == os.fsencode(tmp_path) + b"\xff"


def test_no_process_sees_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRET_VARIABLES:
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("TEA", "pot")
    environment = clean_environment({"EXTRA": "1"})
    output = capture(_python("import os; print(dict(os.environ))"), cwd=tmp_path, env=environment).decode()
    assert "hunter2" not in output
    assert "'TEA': 'pot'" in output
    assert "'EXTRA': '1'" in output


def test_environment_is_the_given_one_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEA", "pot")
    assert b"TEA" not in capture(_python("import os; print(dict(os.environ))"), cwd=tmp_path, env={})


def test_arguments_go_through_no_shell(tmp_path: Path) -> None:
    odd = "$(touch x) `touch x`; * \n'\""
    assert capture([*_python("import sys; print(sys.argv[1], end='')"), odd], cwd=tmp_path, env={}).decode() == odd
    assert list(tmp_path.iterdir()) == []


def test_nobody_waits_for_input(tmp_path: Path) -> None:
    assert capture(_python("import sys; print(repr(sys.stdin.read()))"), cwd=tmp_path, env={}) == b"''\n"


def test_a_question_is_answered(tmp_path: Path) -> None:
    code = "import sys; asked = sys.stdin.read(); print(asked[::-1], end=''); sys.exit(3)"
    assert ask(_python(code), b"tea", cwd=tmp_path, env={}) == (3, b"aet")


def test_whoever_does_not_listen_is_asked_too(tmp_path: Path) -> None:
    assert ask(_python("print('no')"), b"tea" * 100_000, cwd=tmp_path, env={}) == (0, b"no\n")


def test_no_answer_is_waited_for_for_ever(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"did not end within 0\.1 s") as caught:
        ask(_python("import time; time.sleep(60)"), b"hunter2", cwd=tmp_path, env={}, timeout=0.1)
    assert "hunter2" not in str(caught.value)


def test_failure_shows_command_folder_code_and_what_was_said(tmp_path: Path) -> None:
    with pytest.raises(ToolError) as caught:
        capture(_python("import sys; sys.exit('the reason')"), cwd=tmp_path, env={})
    message = caught.value.message
    assert "exit code 1" in message
    assert f"`{tmp_path}`" in message
    assert "sys.exit" in message
    assert message.endswith("the reason")


def test_failure_shows_both_ends_of_a_long_output(tmp_path: Path) -> None:
    code = "import sys; sys.stderr.write('first ' + 'x' * 100_000 + ' last\\xff'); sys.exit(3)"
    with pytest.raises(ToolError) as caught:
        capture(_python(code), cwd=tmp_path, env={"PYTHONIOENCODING": "latin-1"})
    _, _, said = caught.value.message.partition(":\n")
    assert said.startswith("first xxx")
    assert " last" in said[-10:]
    assert "\n[…]\n" in said
    assert len(said) < 5000


def test_process_that_does_not_end_is_ended(tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(ToolError, match=r"did not end within 0\.2 s"):
        capture(_python("import time; time.sleep(60)"), cwd=tmp_path, env={}, timeout=0.2)
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("start", ["capture", "lines", "run"])
def test_missing_tool(tmp_path: Path, start: str) -> None:
    with pytest.raises(ToolError, match="`no-such-teapot` is not installed") as caught:
        _start(start, ["no-such-teapot"], tmp_path)
    assert caught.value.hint == "install `no-such-teapot` and run again"
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("start", ["capture", "lines", "run"])
def test_missing_folder_is_not_a_missing_tool(tmp_path: Path, start: str) -> None:
    with pytest.raises(ToolError, match=r"can't be started in `.*gone`: No such file") as caught:
        _start(start, _python(""), tmp_path / "gone")
    assert caught.value.hint is None


@pytest.mark.parametrize("start", ["capture", "lines", "run"])
def test_file_that_can_not_run(tmp_path: Path, start: str) -> None:
    tool = tmp_path / "tool"
    tool.write_text("not a program")
    with pytest.raises(ToolError, match=r"can't be started in `.*`: Permission denied") as caught:
        _start(start, ["./tool"], tmp_path)
    assert caught.value.hint == "is it executable? `chmod +x ./tool`"
    tool.write_text("#!/no/such/kettle\n")
    tool.chmod(0o755)
    with pytest.raises(ToolError, match=r"can't be started in `.*`: the interpreter that it names is not there$"):
        _start(start, ["./tool"], tmp_path)


@pytest.mark.parametrize("program", ["./tool", "/no/such/tool"])
def test_missing_file_is_nothing_to_install(tmp_path: Path, program: str) -> None:
    with pytest.raises(ToolError, match=f"^there is no program `{program}`") as caught:
        _start("run", [program], tmp_path)
    assert caught.value.hint == f"paths are taken from `{tmp_path}`"


def _start(start: str, argv: list[str], folder: Path) -> None:
    if start == "capture":
        capture(argv, cwd=folder, env=clean_environment())
    elif start == "run":
        run(argv, cwd=folder, env=clean_environment(), sink=_nothing)
    else:
        with lines(argv, cwd=folder, env=clean_environment(), sink=_nothing):
            pytest.fail("nothing was started")


def _nothing(line: bytes) -> None:
    pytest.fail(f"nobody wrote {line!r}")


def test_lines_come_as_they_are_written(tmp_path: Path) -> None:
    """The second line is written only after somebody has answered to the first."""
    answer = tmp_path / "answer"
    code = (
        "import os, sys, time\nprint('one', flush=True)\n"
        "while not os.path.exists(sys.argv[1]): time.sleep(0.01)\nprint('two'); sys.exit(5)"
    )
    with lines([*_python(code), str(answer)], cwd=tmp_path, env={}, sink=_nothing) as (output, process):
        assert next(output) == b"one\n"
        answer.touch()
        assert list(output) == [b"two\n"]
    assert process.returncode == 5


def test_both_outputs_of_a_run_are_one_in_order(tmp_path: Path) -> None:
    code = "import os, sys\nfor i in range(4): os.write(1 + i % 2, b'%d\\n' % i)\nos.write(2, b'no end')\nsys.exit(7)"
    said: list[bytes] = []
    assert run(_python(code), cwd=tmp_path, env={}, sink=said.append) == 7
    assert said == [b"0\n", b"1\n", b"2\n", b"3\n", b"no end"]


@pytest.mark.parametrize("first", [1, 2])
def test_neither_output_waits_for_the_other(tmp_path: Path, first: int) -> None:
    """Each is far more than a pipe holds, and lines are as long as they like."""
    code = (
        "import os, sys\n"
        "def fill(fd):\n"
        "    with os.fdopen(fd, 'wb') as f: f.write(b'x' * 1_000_000 + b'\\n')\n"
        "fill(int(sys.argv[1])); fill(3 - int(sys.argv[1]))"
    )
    said: list[bytes] = []
    with lines([*_python(code), str(first)], cwd=tmp_path, env={}, sink=said.append) as (output, process):
        assert [len(line) for line in output] == [1_000_001]
    assert process.returncode == 0
    assert b"".join(said) == b"x" * 1_000_000 + b"\n"
    assert max(map(len, said)) <= 1 << 16, "no piece is longer than what one may hold in memory"


def test_sink_that_fails_stops_no_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda found: failures.append(found.exc_type))

    def sink(line: bytes) -> None:
        raise MemoryError(line[:1])

    code = "import sys; sys.stderr.write('x\\n' * 500_000); print('out')"
    with lines(_python(code), cwd=tmp_path, env={}, sink=sink) as (output, process):
        assert list(output) == [b"out\n"]
    assert process.returncode == 0
    assert failures == [MemoryError]


def test_output_that_a_daemon_holds_on_to_is_not_waited_for(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)'], stdout=subprocess.DEVNULL)\n"
        "sys.stderr.write(str(p.pid) + '\\n')"
    )
    said: list[bytes] = []
    begin = time.monotonic()
    with lines(_python(code), cwd=tmp_path, env={}, sink=said.append) as (output, _):
        assert list(output) == []
    assert time.monotonic() - begin < 10
    os.kill(int(said[0]), signal.SIGKILL)


def test_process_has_ended_when_the_block_is_left_by_an_error(tmp_path: Path) -> None:
    code = "import time\nprint('on', flush=True)\ntime.sleep(60)"
    with (
        pytest.raises(StopIteration),
        lines(_python(code), cwd=tmp_path, env={}, sink=_nothing) as (output, process),
    ):
        _fail_after_a_line(output, process.pid)
    assert process.returncode == -signal.SIGTERM


def test_process_that_writes_on_ends_when_the_block_is_left_early(tmp_path: Path) -> None:
    with lines(["yes"], cwd=tmp_path, env=clean_environment(), sink=lambda _: None) as (output, process):
        next(output)
    assert process.returncode not in (0, None)


def _fail_after_a_line(output: Iterator[bytes], process: int) -> None:
    next(output)
    os.kill(process, 0)  # it runs
    next(iter(()))


STUBBORN = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stderr=subprocess.DEVNULL)
if sys.argv[1] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stderr.write(f"{child.pid}\\n")
sys.stderr.flush()
time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["willing", "stubborn"])
def test_all_that_runs_is_ended(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it has started itself; a process that does not listen is killed; and nothing begins any more."""
    monkeypatch.setattr(door, "_children", type(door._children)())
    monkeypatch.setattr(door, "_PATIENCE", 0.5)
    said: queue.Queue[bytes] = queue.Queue()
    with ThreadPoolExecutor(1) as pool:
        ran = pool.submit(run, [*_python(STUBBORN), kind], cwd=tmp_path, env={}, sink=said.put)
        child = int(said.get(timeout=30))
        end_all()
        assert ran.result(timeout=30) == -(signal.SIGTERM if kind == "willing" else signal.SIGKILL)
    assert _gone(child)
    with pytest.raises(ToolError, match="the run was interrupted"):
        capture(_python(""), cwd=tmp_path, env={})


def _gone(pid: int) -> bool:
    """Tell whether a process has ended; nobody may be there to take note of it (a zombie)."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.02)
    return False
