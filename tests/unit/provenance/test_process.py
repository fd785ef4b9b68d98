"""The one door to other processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import ToolError
from doit_provenance.provenance.process import SECRET_VARIABLES, capture, clean_environment, lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


@pytest.mark.parametrize("start", ["capture", "lines"])
def test_missing_tool(tmp_path: Path, start: str) -> None:
    with pytest.raises(ToolError, match="`no-such-teapot` is not installed") as caught:
        _start(start, ["no-such-teapot"], tmp_path)
    assert caught.value.hint == "install `no-such-teapot` and run again"
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("start", ["capture", "lines"])
def test_missing_folder_is_not_a_missing_tool(tmp_path: Path, start: str) -> None:
    with pytest.raises(ToolError, match=r"can't be started in `.*gone`: No such file") as caught:
        _start(start, _python(""), tmp_path / "gone")
    assert caught.value.hint is None


@pytest.mark.parametrize("start", ["capture", "lines"])
def test_file_that_can_not_run(tmp_path: Path, start: str) -> None:
    tool = tmp_path / "tool"
    tool.write_text("not a program")
    with pytest.raises(ToolError, match=r"can't be started in `.*`: Permission denied"):
        _start(start, [str(tool)], tmp_path)


def _start(start: str, argv: list[str], folder: Path) -> None:
    if start == "capture":
        capture(argv, cwd=folder, env=clean_environment())
    else:
        with lines(argv, cwd=folder, env=clean_environment()):
            pytest.fail("nothing was started")


def test_lines_come_as_they_are_written(tmp_path: Path) -> None:
    """The second line is written only after somebody has answered to the first."""
    answer = tmp_path / "answer"
    code = (
        "import os, sys, time\nprint('one', flush=True)\n"
        "while not os.path.exists(sys.argv[1]): time.sleep(0.01)\nprint('two'); sys.exit(5)"
    )
    with lines([*_python(code), str(answer)], cwd=tmp_path, env={}) as (output, process):
        assert next(output) == b"one\n"
        answer.touch()
        assert list(output) == [b"two\n"]
    assert process.returncode == 5


def test_process_has_ended_when_the_block_is_left_by_an_error(tmp_path: Path) -> None:
    code = "import time\nprint('on', flush=True)\ntime.sleep(60)"
    with pytest.raises(StopIteration), lines(_python(code), cwd=tmp_path, env={}) as (output, process):
        _fail_after_a_line(output, process.pid)
    assert process.returncode == -signal.SIGTERM


def _fail_after_a_line(output: Iterator[bytes], process: int) -> None:
    next(output)
    os.kill(process, 0)  # it runs
    next(iter(()))
