"""Programs are found as the system finds them, and each is read once."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks import programs as module
from doit_provenance.tasks.freshness import inputs
from doit_provenance.tasks.freshness.inputs import FileStamp, Signature
from doit_provenance.tasks.memory import ShortMemory
from doit_provenance.tasks.programs import Programs

if TYPE_CHECKING:
    from pathlib import Path

    from doit_provenance.provenance.json import JSONValue


def _program(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = ShortMemory()
    path = _program(tmp_path / "tea", "one")
    time.sleep(0.03)  # until its time proves something
    found = Programs(memory).digest(path)
    assert found == hashlib.sha256(b"one").hexdigest()
    with monkeypatch.context() as patch:
        patch.setattr("hashlib.file_digest", lambda *_: pytest.fail("it is read again"))
        assert Programs(memory).digest(path) == found
    path.write_text("two")
    assert Programs(memory).digest(path) == hashlib.sha256(b"two").hexdigest()


def test_what_is_not_there_has_none(tmp_path: Path) -> None:
    assert Programs(ShortMemory()).digest(tmp_path / "gone") == ""


@pytest.mark.parametrize("entry", [None, [], {"a": 1}, {"a": ["x"]}, {"a": ["x", 1, 2, 3, "4"]}])
def test_memory_holds_something_else(tmp_path: Path, entry: JSONValue) -> None:
    memory = ShortMemory()
    memory.put("programs", entry)
    assert Programs(memory).digest(_program(tmp_path / "tea", "one")) == hashlib.sha256(b"one").hexdigest()


def test_several_together_are_known_by_name_and_bytes(tmp_path: Path) -> None:
    paths = [_program(tmp_path / name, name) for name in ("a", "b")]
    digests = Programs(ShortMemory())
    assert digests.together(paths) != digests.together(paths[:1])
    one = digests.together(paths)
    _program(tmp_path / "b", "c")
    assert digests.together(paths) == one, "once in a run"
    digests.forget()
    assert digests.together(paths) != one


def program(path: Path, text: str = "#!/bin/sh\n") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
    path.chmod(0o755)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def value(programs: Programs, word: str, root: Path) -> str:
    path = programs.find(word, root)
    return f"sha256:{programs.digest(path)}" if path else "absent"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder that is all there is on the PATH, but for one of the workspace."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'none'}{os.pathsep}{folder}{os.pathsep}local/bin")
    return folder


def test_first_on_the_path_counts(root: Path, elsewhere: Path) -> None:
    """A folder of this name and a file that can't be run are passed over; a relative folder is one of the root's."""
    found = Programs(ShortMemory())
    (elsewhere / "x").mkdir()
    digest = program(root / "local/bin/x")
    assert (found.find("x", root), value(found, "x", root)) == (root / "local/bin/x", digest)
    (elsewhere / "y").write_text("no program", encoding="ascii")
    assert (found.find("y", root), value(found, "y", root)) == (None, "absent")
    digest = program(elsewhere / "z", "z")
    program(root / "local/bin/z")
    assert (found.find("z", root), value(found, "z", root)) == (elsewhere / "z", digest)


def test_path_is_from_the_root(root: Path, elsewhere: Path) -> None:
    digest = program(root / "tools/x.sh")
    found = Programs(ShortMemory())
    assert (found.find("./tools/x.sh", root), value(found, "./tools/x.sh", root)) == (root / "tools/x.sh", digest)
    assert found.find("x.sh", root) is None
    outside = program(elsewhere / "y", "y")
    assert value(found, str(elsewhere / "y"), root) == outside


def test_is_looked_at_once_until_told_to_forget(root: Path, elsewhere: Path) -> None:
    first = program(elsewhere / "x")
    found = Programs(ShortMemory())
    assert value(found, "x", root) == first
    second = program(elsewhere / "x", "another\n")
    assert value(found, "x", root) == first
    found.forget()
    assert value(found, "x", root) == second


def test_is_read_once_in_many_runs(root: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered holds while the file's signature does, and is believed only in its own form."""
    memory = ShortMemory()
    digest = program(elsewhere / "x")
    os.utime(elsewhere / "x", (1, 1))
    monkeypatch.setattr(inputs, "settled", lambda *_: True)
    assert value(Programs(memory), "x", root) == digest
    asked: list[FileStamp | None] = []

    def measured(path: str, known: FileStamp | None) -> FileStamp | None:
        asked.append(known)
        return inputs.measure_file(path, known)

    monkeypatch.setattr(module, "measure_file", measured)
    assert value(Programs(memory), "x", root) == digest
    assert asked == [FileStamp(digest[7:], _signature(elsewhere / "x"))]
    for broken in (None, 3, [], {str(elsewhere / "x"): ["0" * 64]}, {str(elsewhere / "x"): [1, 2, 3, 4, 5]}):
        memory.put("programs", broken)  # type: ignore[arg-type] # mypy does not see that these are JSON
        assert value(Programs(memory), "x", root) == digest
        assert asked[-1] is None


def _signature(path: Path) -> Signature:
    return inputs.signature_of(path.stat())


def test_that_may_not_be_read(root: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run as root, who may read everything: the refusal is played."""
    program(elsewhere / "x")

    def refuse(*_: object) -> None:
        raise ToolError("an input can't be read: `x`: Permission denied")

    monkeypatch.setattr(module, "measure_file", refuse)
    with pytest.raises(ToolError, match="Permission denied"):
        value(Programs(ShortMemory()), "x", root)
