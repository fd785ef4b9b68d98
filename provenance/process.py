"""Running other processes; the only module that does: argv only, explicit folder and environment, never a shell."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

from .errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SECRET_VARIABLES = frozenset({"DOIT_PROVENANCE_PASSPHRASE", "DOIT_PROVENANCE_PASSPHRASE_FILE", "DOIT_PROVENANCE_KEY"})
"""Our variables that lead to a signing secret; never passed to a child process."""

Sink: TypeAlias = Callable[[bytes], object]
"""Receives tool output, one line (with its newline) or piece of a very long line at a time; must not raise.

It is called from a separate thread.
"""

_ENDS = 2000
_PIECE = 1 << 16
_PATIENCE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
_DRAIN = 1.0
"""Seconds to wait for remaining output after exit; a daemon started by the tool may keep the pipe open."""


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment without variables that lead to a signing secret, plus `extra`."""
    return {k: v for k, v in os.environ.items() if k not in SECRET_VARIABLES} | dict(extra or {})


def capture(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float | None = None) -> bytes:
    """Run `argv` to its end and return what it wrote to standard output.

    Raises:
        ToolError: it can't be started, ends with another code than 0, or takes longer than `timeout` seconds; the
            message has the command and both ends of what it wrote to standard error.
    """
    with _started(argv, cwd, env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise ToolError(f"`{argv[0]}` did not end within {timeout:g} s: {shlex.join(argv)}") from error
    if process.returncode != 0:
        raise ToolError(
            f"`{shlex.join(argv)}` failed in `{cwd}` with exit code {process.returncode}:\n{_both_ends(errors)}"
        )
    return output


def ask(
    argv: Sequence[str], question: bytes, *, cwd: Path, env: Mapping[str, str], timeout: float | None = None
) -> tuple[int, bytes]:
    """Run `argv` to its end with `question` as its standard input; return its exit code and its standard output.

    For programs that return secrets: error messages contain no output.

    Raises:
        ToolError: it can't be started, or takes longer than `timeout` seconds.
    """
    pipe = subprocess.PIPE
    with _started(argv, cwd, env, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        try:
            answer, _ = process.communicate(question, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise ToolError(f"`{argv[0]}` did not end within {timeout:g} s") from error
    return process.returncode, answer


@contextmanager
def lines(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], sink: Sink
) -> Iterator[tuple[Iterator[bytes], subprocess.Popen[bytes]]]:
    """Run `argv` and yield the lines of its standard output, as they come, with the process.

    Standard error goes to `sink`. When the block is left, the process has ended (it is terminated if the block is left
    by an exception), and the sink has all of it.

    Raises:
        ToolError: it can't be started.
    """
    with _started(argv, cwd, env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        output, errors = process.stdout, process.stderr
        process.stderr = None
        if output is None or errors is None:  # pragma: no cover - PIPE was asked for
            raise ToolError(f"`{argv[0]}` has no output to read")
        with _pumped(errors, sink, process), output:
            yield iter(output), process


def run(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], sink: Sink) -> int:
    """Run `argv` to its end and return its exit code; both its outputs go to `sink`, in the order of writing.

    Raises:
        ToolError: it can't be started.
    """
    with _started(argv, cwd, env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        output, process.stdout = process.stdout, None
        if output is None:  # pragma: no cover - PIPE was asked for
            raise ToolError(f"`{argv[0]}` has no output to read")
        with _pumped(output, sink, process):
            return process.wait()


def end_all() -> None:
    """End all child processes with their descendants, and refuse to start new ones.

    For interrupted runs: threads that wait for a tool see it fail.
    """
    _children.end()


class _Children:
    """The child processes of this process; a singleton."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._ending = False

    def start(
        self, argv: Sequence[str], cwd: Path, env: Mapping[str, str], *, stdin: int, stdout: int, stderr: int
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._ending:
                raise ToolError(f"`{argv[0]}` is not started: the run was interrupted")
            process = subprocess.Popen(list(argv), cwd=cwd, env=dict(env), stdin=stdin, stdout=stdout, stderr=stderr)
            self._running.add(process)
            return process

    def ended(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.discard(process)

    def end(self) -> None:
        with self._lock:
            self._ending = True
            running = list(self._running)
        for process in running:
            _tell_to_end(process)
        for process in running:
            _await(process)


_children = _Children()


@contextmanager
def _started(
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int,
    stderr: int,
) -> Iterator[subprocess.Popen[bytes]]:
    try:
        process = _children.start(argv, cwd, env, stdin=stdin, stdout=stdout, stderr=stderr)
    except OSError as error:
        raise _unstartable(argv, cwd, error) from error
    try:
        yield process
    except BaseException:
        _tell_to_end(process)
        _await(process)
        raise
    finally:
        # A stream that a thread reads is the thread's to close.
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        process.wait()
        _children.ended(process)


@contextmanager
def _pumped(stream: IO[bytes], sink: Sink, process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Give `sink` what comes from `stream`, in a thread, until the block is left and `process` has ended."""
    over = threading.Event()

    def pump() -> None:
        with stream:
            try:
                while (piece := stream.readline(_PIECE)) and not over.is_set():
                    sink(piece)
            finally:
                while stream.read(_PIECE):  # whatever becomes of the sink, no tool must wait for a reader
                    pass

    thread = threading.Thread(target=pump, name=f"output of {process.pid}", daemon=True)
    thread.start()
    try:
        yield
        process.wait()
    except BaseException:
        _tell_to_end(process)
        _await(process)
        raise
    finally:
        thread.join(_DRAIN)
        over.set()


def _tell_to_end(process: subprocess.Popen[bytes]) -> None:
    """Tell a process to end, and what it has started: a build tool that is told so leaves its compilers running."""
    started = _descendants(process.pid) if process.poll() is None else []
    process.terminate()
    for pid in started:
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)


def _await(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _descendants(pid: int) -> list[int]:
    """Return the processes below one, where the kernel tells (proc_pid_task_children(5)); elsewhere none."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has just ended
            children = [int(word) for word in path.read_text(encoding="ascii").split()]
            found += [p for child in children for p in (child, *_descendants(child))]
    return found


def _unstartable(argv: Sequence[str], cwd: Path, error: OSError) -> ToolError:
    program, what = argv[0], f"`{argv[0]}` can't be started in `{cwd}`"
    is_path = "/" in program
    if not isinstance(error, FileNotFoundError) or not cwd.is_dir():
        forbidden = is_path and isinstance(error, PermissionError)
        hint = f"is it executable? `chmod +x {program}`" if forbidden else None
        return ToolError(f"{what}: {error.strerror}", hint=hint)
    if not is_path:
        return ToolError(f"`{program}` is not installed or not on the PATH", hint=f"install `{program}` and run again")
    if (cwd / program).exists():
        return ToolError(f"{what}: the interpreter that it names is not there")
    return ToolError(f"there is no program `{program}`", hint=f"paths are taken from `{cwd}`")


def _both_ends(output: bytes) -> str:
    text = output.decode(errors="replace").strip()
    return text if len(text) <= 2 * _ENDS else f"{text[:_ENDS]}\n[…]\n{text[-_ENDS:]}"
