"""The tools that integration tests drive. A missing one skips the test, and fails the run in CI."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

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
