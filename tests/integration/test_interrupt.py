"""Interrupted while cargo builds: one line, no traceback, the old state whole, nothing left running."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from . import workspaces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration


COMMANDS = {
    "doit": workspaces.DOIT,
    "doit-provenance": workspaces.DOIT_PROVENANCE,
    "threads": (*workspaces.DOIT, "run", "-n", "2"),
}


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    """Let children hear SIGINT: a job in the background of a script ignores it, and so would all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c(tmp_path: Path, command: str) -> None:
    """A terminal sends the signal to every process of the foreground group."""
    _interrupted(tmp_path, COMMANDS[command], lambda process: os.killpg(process, signal.SIGINT), 128 + signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["doit", "threads"])
def test_told_to_end(tmp_path: Path, command: str, number: signal.Signals) -> None:
    """CI systems and service managers send the signal to one process alone; it must not leave the others running."""
    _interrupted(tmp_path, COMMANDS[command], lambda process: os.kill(process, number), 128 + number)


def _interrupted(folder: Path, command: tuple[str, ...], interrupt: Callable[[int], None], code: int) -> None:
    repository = workspaces.repository(folder / "repository", workspaces.one_program())
    repository.run(*command).ok()
    before = repository.state()
    begun = folder / "begun"
    repository.write(
        {
            "build.rs": f"""
            fn main() {{
                std::fs::write({str(begun)!r}, "").unwrap();
                std::thread::sleep(std::time::Duration::from_secs(60));
            }}
            """.replace("'", '"')
        }
    )
    process = subprocess.Popen(
        command,
        cwd=repository.root,
        env=repository.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not begun.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    interrupt(process.pid)
    said = process.communicate(timeout=30)[0].decode()
    assert process.returncode == code, said
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "interrupted; artifacts that were not finished keep their previous version"
    assert _ends(process.pid)
    assert repository.state() == before
    repository.run(*workspaces.DOIT, "verify").ok()


def _ends(group: int) -> bool:
    """Wait until no process of a group is left, for ten seconds at most."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
