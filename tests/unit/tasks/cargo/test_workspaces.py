"""Cargo is asked what there is, and not again while it would answer the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.tasks.cargo import workspaces
from doit_provenance.tasks.cargo.workspaces import CargoInfo, read_cargo_info
from doit_provenance.tasks.memory import ShortMemory

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tools(cargo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a toolchain's cargo and rustc on the path, so that nothing is unclear."""
    folder = tmp_path / "sysroot" / "bin"
    folder.mkdir(parents=True)
    for name in ("cargo", "rustc"):
        (folder / name).write_text(name)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("CARGO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RUSTUP_HOME", str(tmp_path / "rustup"))
    monkeypatch.setattr("doit_provenance.tasks.freshness.inputs._TICK", 0)
    cargo.package("tea")
    (cargo.root / "Cargo.toml").write_text('[workspace]\nmembers = ["tea"]\n')
    return folder


def _ask(cargo: Any, memory: ShortMemory) -> tuple[CargoInfo, int]:
    before = len(cargo.calls)
    asked = read_cargo_info(cargo.root, ("Cargo.toml",), memory)
    return asked, len(cargo.calls) - before


def test_second_time_nobody_is_asked(cargo: Any, tools: Path) -> None:
    assert tools.is_dir()
    memory = ShortMemory()
    first, calls = _ask(cargo, memory)
    assert calls == 4
    second, calls = _ask(cargo, memory)
    assert calls == 0
    assert second.workspaces == first.workspaces
    assert second.fingerprint.digest == first.fingerprint.digest
    (toolchain,) = second.toolchains.values()
    assert (toolchain.host, toolchain.config) == ("x86_64-unknown-linux-gnu", {})
    assert len(cargo.calls) == 4


@pytest.mark.parametrize(
    "variable", ["CARGO_BUILD_TARGET", "CARGO_REGISTRIES_X_INDEX", "RUSTUP_TOOLCHAIN", "RUSTFLAGS", "__CARGO_X", "HOME"]
)
def test_another_environment_is_asked_in_again(
    cargo: Any, tools: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    memory = ShortMemory()
    _ask(cargo, memory)
    monkeypatch.setenv(variable, str(tools))
    assert _ask(cargo, memory)[1] == 4


def test_another_program_is_asked(cargo: Any, tools: Path) -> None:
    memory = ShortMemory()
    _ask(cargo, memory)
    (tools / "cargo").write_text("another")
    assert _ask(cargo, memory)[1] == 4


def test_program_that_is_a_script_is_asked_each_time(
    cargo: Any, tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it looks at before it starts cargo is not known."""
    (tmp_path / "shims").mkdir()
    (tmp_path / "shims" / "cargo").write_text("#!/bin/sh\n")
    (tmp_path / "shims" / "cargo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'shims'}:{tools}")
    memory = ShortMemory()
    for _ in range(2):
        asked, calls = _ask(cargo, memory)
        assert (asked.certain, calls) == (False, 4)


def test_member_that_the_survey_did_not_find_is_asked_for_each_time(cargo: Any, tools: Path) -> None:
    memory = ShortMemory()
    cargo.package("pot")
    for _ in range(2):
        asked, calls = _ask(cargo, memory)
        assert (asked.certain, calls) == (False, 4), tools


def test_what_changes_while_cargo_is_asked_is_not_kept(
    cargo: Any, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = ShortMemory()
    read = workspaces.read_metadata

    def edit(path: Path) -> object:
        found = read(path)
        (cargo.root / "tea" / "Cargo.toml").write_text(f'[package]\nname = "tea"\ndescription = "{tools}"\n')
        return found

    monkeypatch.setattr(workspaces, "read_metadata", edit)
    assert not _ask(cargo, memory)[0].certain
    assert _ask(cargo, memory)[1] > 0


@pytest.mark.parametrize("entry", [None, [], {}, {"ground": {"values": {}, "known": {}}}, {"ground": 1}])
def test_memory_holds_something_else(cargo: Any, tools: Path, entry: Any) -> None:
    memory = ShortMemory()
    memory.put("cargo.workspaces", entry)
    asked, calls = _ask(cargo, memory)
    assert calls == 4, tools
    assert asked.certain
