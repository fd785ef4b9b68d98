"""Calls of a tool, to be shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from doit_provenance.tasks.artifacts import Artifact
from doit_provenance.tasks.progress.progress import Display, Progress

if TYPE_CHECKING:
    from pathlib import Path

Call = Callable[..., None]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Return what shows one call of a tool on a display: who is built, and what the tool writes."""

    def show(display: Display, *names: str, wrote: bytes = b"hot\n", error: Exception | None = None) -> None:
        progress = Progress(tmp_path, tmp_path / ".provenance")
        progress.display = display
        artifacts = [Artifact(builder="kettle", name=n, platform="any", group="g", file=n) for n in names]
        with progress.call(artifacts, ["boil", "water"]) as sink:
            for line in wrote.splitlines(keepends=True):
                sink(line)
            if error is not None:
                raise error

    return show
