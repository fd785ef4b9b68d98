"""Cargo's and rustup's configuration is looked for where they look, whether it is there or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.cargo.manifest_scan import (
    cargo_home,
    configuration_files,
    read_configuration,
    rustup_home,
    toolchain_files,
)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARGO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RUSTUP_HOME", str(tmp_path / "rustup"))


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_every_folder_up_to_the_filesystems_root_and_the_home(tmp_path: Path) -> None:
    found = configuration_files(tmp_path / "a" / "b")
    for folder in (tmp_path / "a" / "b", tmp_path / "a", tmp_path, Path("/")):
        assert {folder / ".cargo" / "config.toml", folder / ".cargo" / "config"} <= set(found)
    assert {tmp_path / "home" / "config.toml", tmp_path / "home" / "config"} <= set(found)
    assert len(found) == len(set(found))


def test_toolchain_files_up_to_the_filesystems_root(tmp_path: Path) -> None:
    found = toolchain_files(tmp_path)
    assert {tmp_path / "rust-toolchain.toml", tmp_path / "rust-toolchain", Path("/rust-toolchain.toml")} <= set(found)


def test_homes_without_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CARGO_HOME", "RUSTUP_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (cargo_home(), rustup_home()) == (tmp_path / ".cargo", tmp_path / ".rustup")


def test_included_files_count_with_what_they_include(tmp_path: Path) -> None:
    """The second one need not be there: then it is its coming that counts."""
    _write(
        tmp_path / "work" / ".cargo" / "config.toml", 'include = ["one.toml", {path = "gone.toml", optional = true}]'
    )
    _write(tmp_path / "work" / ".cargo" / "one.toml", 'include = "../../two.toml"')
    _write(tmp_path / "two.toml", 'include = "work/.cargo/one.toml"')
    found = configuration_files(tmp_path / "work")
    assert {tmp_path / "work/.cargo/one.toml", tmp_path / "work/.cargo/gone.toml", tmp_path / "two.toml"} <= set(found)


def test_what_only_cargo_understands(tmp_path: Path) -> None:
    """It matters where the file may lead to others, which are not known then."""
    assert read_configuration(_write(tmp_path / "a", "a = {\n b = 1,\n}\n[build]\n")) == {}
    with pytest.raises(ToolError, match="can't be understood"):
        read_configuration(_write(tmp_path / "b", "include = [\n a = {\n}"))
    assert read_configuration(tmp_path / "gone") == {}
