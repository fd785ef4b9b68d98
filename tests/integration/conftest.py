"""The tools that integration tests drive. A missing one skips the test, and fails the run in CI."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .forks import Forks, forks

if TYPE_CHECKING:
    from collections.abc import Iterator

_INSTALL = Path(__file__).parents[1] / "tools" / "install"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The folder that `tests/tools/install` fills."""

    folder: Path

    def path(self, name: str) -> Path:
        """Return the path of a tool, as `bin/cosign`; skip the test where it is not installed."""
        path = self.folder / name
        if not path.exists():
            pytest.skip(f"`{name}` is not installed; `sh tests/tools/install` does it")
        return path


@pytest.fixture(scope="session")
def tools() -> Tools:
    done = subprocess.run(["sh", str(_INSTALL), "--where"], capture_output=True, check=True, text=True)
    return Tools(folder=Path(done.stdout.strip()))


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Run doit quickly, and with faults."""
    with forks(tmp_path_factory.mktemp("faults")) as found:
        yield found


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Path]:
    """Return a folder like `tmp_path`, in memory where there is such a place: no test of many runs waits for a disk."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder in it is the test's own
    if not memory.is_dir():
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)
