"""Ctrl-C while cargo builds: one line, no traceback, the old state whole, nothing left running."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from . import workspaces

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("command", [workspaces.DOIT, workspaces.DOIT_PROVENANCE], ids=["doit", "doit-provenance"])
def test_interrupted_build(tmp_path: Path, command: tuple[str, ...]) -> None:
    repository = workspaces.repository(tmp_path / "repository", workspaces.one_program())
    repository.run(*command).ok()
    before = repository.state()
    begun = tmp_path / "begun"
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
    # A terminal sends the signal to every process of the foreground group.
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=30)[0].decode()
    assert process.returncode == 128 + signal.SIGINT, said
    assert "Traceback" not in said
    assert "interrupted" in said
    assert repository.state() == before
    repository.run(*command, "verify").ok()
    assert _ends(process.pid)


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
