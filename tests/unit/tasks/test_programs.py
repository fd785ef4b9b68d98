"""Each program is read once."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import pytest

from doit_provenance.tasks.context import ShortMemory
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
