"""The one door to other processes: by argv, in a given folder and environment, never through a shell."""

from __future__ import annotations

import os
import shlex
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

SECRET_VARIABLES = frozenset({"DOIT_PROVENANCE_PASSPHRASE", "DOIT_PROVENANCE_PASSPHRASE_FILE", "DOIT_PROVENANCE_KEY"})
"""Variables of our own that lead to a signing secret: no process that we start ever sees them."""

_ENDS = 2000


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the user's environment without what leads to a signing secret, and with `extra`."""
    return {k: v for k, v in os.environ.items() if k not in SECRET_VARIABLES} | dict(extra or {})


def capture(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float | None = None) -> bytes:
    """Run `argv` to its end and return what it wrote to standard output.

    Raises:
        ToolError: it can't be started, ends with another code than 0, or takes longer than `timeout` seconds; the
            message has the command and both ends of what it wrote to standard error.
    """
    try:
        done = subprocess.run(
            list(argv),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"`{argv[0]}` did not end within {timeout:g} s: {shlex.join(argv)}") from error
    except OSError as error:
        raise _unstartable(argv, cwd, error) from error
    if done.returncode != 0:
        raise ToolError(
            f"`{shlex.join(argv)}` failed in `{cwd}` with exit code {done.returncode}:\n{_both_ends(done.stderr)}"
        )
    return done.stdout


@contextmanager
def lines(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]
) -> Iterator[tuple[Iterator[bytes], subprocess.Popen[bytes]]]:
    """Run `argv` and yield the lines of its standard output, as they come, with the process.

    Standard error stays the terminal's: what the tool draws there is drawn by the tool alone. When the block is left,
    the process has ended (it is terminated if the block is left by an exception).

    Raises:
        ToolError: it can't be started.
    """
    try:
        process = subprocess.Popen(list(argv), cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    except OSError as error:
        raise _unstartable(argv, cwd, error) from error
    try:
        if process.stdout is None:  # pragma: no cover - PIPE was asked for
            raise ToolError(f"`{argv[0]}` has no output to read")
        yield iter(process.stdout), process
    except BaseException:
        process.terminate()
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()
        process.wait()


def _unstartable(argv: Sequence[str], cwd: Path, error: OSError) -> ToolError:
    if isinstance(error, FileNotFoundError) and cwd.is_dir():
        return ToolError(f"`{argv[0]}` is not installed or not on the PATH", hint=f"install `{argv[0]}` and run again")
    return ToolError(f"`{argv[0]}` can't be started in `{cwd}`: {error.strerror}")


def _both_ends(output: bytes) -> str:
    text = output.decode(errors="replace").strip()
    return text if len(text) <= 2 * _ENDS else f"{text[:_ENDS]}\n[…]\n{text[-_ENDS:]}"
