"""Programs are found as the system finds them, and read once."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks import programs as shared
from doit_provenance.tasks.command.programs import Programs
from doit_provenance.tasks.context import ShortMemory
from doit_provenance.tasks.freshness import inputs
from doit_provenance.tasks.freshness.inputs import Known, Signature

if TYPE_CHECKING:
    from pathlib import Path


def program(path: Path, text: str = "#!/bin/sh\n") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
    path.chmod(0o755)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder that is all there is on the PATH, but for one of the workspace."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'none'}{os.pathsep}{folder}{os.pathsep}local/bin")
    return folder


def test_first_on_the_path_counts(root: Path, elsewhere: Path) -> None:
    """A folder of this name and a file that can't be run are passed over; a relative folder is one of the root's."""
    found = Programs(root, shared.Programs(ShortMemory()))
    (elsewhere / "x").mkdir()
    digest = program(root / "local/bin/x")
    assert (found.own_file("x"), found.value("x")) == ("local/bin/x", digest)
    (elsewhere / "y").write_text("no program", encoding="ascii")
    assert (found.own_file("y"), found.value("y")) == (None, "absent")
    digest = program(elsewhere / "z", "z")
    program(root / "local/bin/z")
    assert (found.own_file("z"), found.value("z")) == (None, digest)


def test_path_is_from_the_root(root: Path, elsewhere: Path) -> None:
    digest = program(root / "tools/x.sh")
    found = Programs(root, shared.Programs(ShortMemory()))
    assert (found.own_file("./tools/x.sh"), found.value("./tools/x.sh")) == ("tools/x.sh", digest)
    assert found.own_file("x.sh") is None
    outside = program(elsewhere / "y", "y")
    assert (found.own_file(str(elsewhere / "y")), found.value(str(elsewhere / "y"))) == (None, outside)


def test_is_looked_at_once_until_told_to_forget(root: Path, elsewhere: Path) -> None:
    first = program(elsewhere / "x")
    found = Programs(root, shared.Programs(ShortMemory()))
    assert found.value("x") == first
    second = program(elsewhere / "x", "another\n")
    assert found.value("x") == first
    found.forget()
    assert found.value("x") == second


def test_is_read_once_in_many_runs(root: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered holds while the file's signature does, and is believed only in its own form."""
    memory = ShortMemory()
    digest = program(elsewhere / "x")
    os.utime(elsewhere / "x", (1, 1))
    monkeypatch.setattr(inputs, "settled", lambda *_: True)
    assert Programs(root, shared.Programs(memory)).value("x") == digest
    asked: list[Known | None] = []

    def measured(path: str, known: Known | None) -> Known | None:
        asked.append(known)
        return inputs.measure_file(path, known)

    monkeypatch.setattr(shared, "measure_file", measured)
    assert Programs(root, shared.Programs(memory)).value("x") == digest
    assert asked == [Known(digest[7:], _signature(elsewhere / "x"))]
    for broken in (None, 3, [], {str(elsewhere / "x"): ["0" * 64]}, {str(elsewhere / "x"): [1, 2, 3, 4, 5]}):
        memory.put("programs", broken)  # type: ignore[arg-type] # mypy does not see that these are JSON
        assert Programs(root, shared.Programs(memory)).value("x") == digest
        assert asked[-1] is None


def _signature(path: Path) -> Signature:
    return inputs.signature_of(path.stat())


def test_that_may_not_be_read(root: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run as root, who may read everything: the refusal is played."""
    program(elsewhere / "x")

    def refuse(*_: object) -> None:
        raise ToolError("an input can't be read: `x`: Permission denied")

    monkeypatch.setattr(shared, "measure_file", refuse)
    with pytest.raises(ToolError, match="Permission denied"):
        Programs(root, shared.Programs(ShortMemory())).value("x")
