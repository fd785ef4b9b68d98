"""Commands, run as the console script runs them, in a workspace of the fake builder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.tasks.commands.run import Run as RunCommand
from doit_provenance.tasks.main import Loader, Main

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], root: Path, kettle_alone: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs `doit-provenance ARGUMENTS` in the workspace."""
    assert root.is_dir()
    assert kettle_alone.calls == []
    # doit holds on to what standard output was when it was imported.
    (output,) = (option for option in RunCommand.cmd_options if option["name"] == "outfile")

    def run(*arguments: str) -> Ended:
        capfd.readouterr()
        monkeypatch.setitem(output, "default", sys.stdout)
        code = Main(Loader(), config_filenames=()).run(list(arguments))
        found = capfd.readouterr()
        return Ended(code=int(code or 0), out=found.out, err=found.err)

    return run


@pytest.fixture
def built(run: Run, root: Path) -> Path:
    """Build the artifact `tea`, and return its folder."""
    assert run("run").code == 0
    return root / "dist" / "kettle" / "tea" / "linux-amd64"
