"""Programs are found as they are started, and understood only where nothing else can decide."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from doit_provenance.tasks.cargo.toolchain import compiler_files, is_understood
from doit_provenance.tasks.programs import find_program

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


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
    assert find_program("tea", tmp_path) == second
    assert find_program("pot", tmp_path) is None


def test_path_starts_from_the_base(tmp_path: Path) -> None:
    made = _program(tmp_path / "tools" / "tea")
    assert find_program("tools/tea", tmp_path) == made
    assert find_program(str(made), tmp_path / "elsewhere") == made
    assert find_program("tools/pot", tmp_path) is None


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


def test_compiler_is_its_library_and_the_standard_one_of_each_target(tmp_path: Path) -> None:
    names = (
        "bin/rustc", "lib/librustc_driver-1.so", "lib/rustlib/x/lib/libstd-1.rlib", "lib/rustlib/y/lib/libstd-2.rlib",
        "lib/rustlib/z/lib/libstd-3.rlib", "lib/other.so",
    )  # fmt: skip
    for name in names:
        _program(tmp_path / name)
    found = [path.relative_to(tmp_path).as_posix() for path in compiler_files(tmp_path, ("y", "x", "x"))]
    assert found == list(names[:4])
