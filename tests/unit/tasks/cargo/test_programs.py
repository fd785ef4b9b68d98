"""Programs are found as they are started, understood only where nothing else can decide, and read once."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

import pytest

from doit_provenance.tasks.builder import ShortMemory
from doit_provenance.tasks.cargo.programs import Programs, compiler_files, is_understood, which

if TYPE_CHECKING:
    from pathlib import Path

    from doit_provenance.provenance.json import JSONValue


def _program(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_first_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = _program(tmp_path / "b" / "tea")
    (tmp_path / "a" / "tea").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "tea").write_text("not executable")
    monkeypatch.setenv("PATH", os.pathsep.join(str(tmp_path / name) for name in "acb"))
    assert which("tea", tmp_path) == second
    assert which("pot", tmp_path) is None


def test_path_starts_from_the_base(tmp_path: Path) -> None:
    made = _program(tmp_path / "tools" / "tea")
    assert which("tools/tea", tmp_path) == made
    assert which(str(made), tmp_path / "elsewhere") == made
    assert which("tools/pot", tmp_path) is None


def test_understood_are_the_toolchains_own_and_rustups(tmp_path: Path) -> None:
    sysroot = tmp_path / "toolchain"
    own = _program(sysroot / "bin" / "cargo")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cargo").symlink_to(own)
    assert is_understood(own, sysroot)
    assert is_understood(tmp_path / "bin" / "cargo", sysroot)
    proxy = _program(tmp_path / "home" / "rustup")
    (tmp_path / "home" / "cargo").symlink_to("rustup")
    (tmp_path / "home" / "rustc").hardlink_to(proxy)
    assert is_understood(tmp_path / "home" / "cargo", sysroot)
    assert is_understood(tmp_path / "home" / "rustc", sysroot)


def test_a_script_is_not_understood(tmp_path: Path) -> None:
    _program(tmp_path / "toolchain" / "bin" / "cargo")
    shim = _program(tmp_path / "shims" / "cargo", "#!/bin/sh\n")
    assert not is_understood(shim, tmp_path / "toolchain")
    _program(tmp_path / "shims" / "rustup", "#!/bin/sh\n")
    assert not is_understood(shim, tmp_path / "toolchain"), "another file of that name beside it"
    assert not is_understood(tmp_path / "gone" / "cargo", tmp_path / "toolchain")


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
    memory.put("cargo.programs", entry)
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


def test_compiler_is_its_library_and_the_standard_one_of_each_target(tmp_path: Path) -> None:
    names = (
        "bin/rustc", "lib/librustc_driver-1.so", "lib/rustlib/x/lib/libstd-1.rlib", "lib/rustlib/y/lib/libstd-2.rlib",
        "lib/rustlib/z/lib/libstd-3.rlib", "lib/other.so",
    )  # fmt: skip
    for name in names:
        _program(tmp_path / name)
    found = [path.relative_to(tmp_path).as_posix() for path in compiler_files(tmp_path, ("y", "x", "x"))]
    assert found == list(names[:4])
