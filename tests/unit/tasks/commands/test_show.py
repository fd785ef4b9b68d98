from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

Run = Any  # what the fixture `run` returns
TEA = "kettle:tea@linux/amd64"


@pytest.mark.parametrize("what", [[], ["kettle:tea"], ["dist"], ["dist/kettle/tea/linux-amd64/tea"]])
def test_shows_what_it_is_and_what_is_in_it(run: Run, built: Path, key: Any, what: list[str]) -> None:
    ended = run("show", *what)
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0] == TEA
    assert "  file:       tea, 3 bytes" in lines
    assert "  inventory:  complete: As the kettle says." in lines
    assert "  packages in it (1):" in lines
    assert "    leaf 1.0.0  (MIT)" in lines
    assert any(line.startswith(f"  signed by:  {key.hint}") for line in lines)
    assert any(line.startswith("  inputs:     1 file, sha256:") for line in lines)
    assert any(line.startswith("  built as:   name: tea") for line in lines)
    assert any("2024-05-17 12:00:00 UTC" in line for line in lines)
    assert built.is_dir()


def test_what_does_not_verify_is_not_shown(run: Run, built: Path) -> None:
    (built / "tea").write_bytes(b"poison")
    ended = run("show")
    assert ended.code == 1
    assert ended.out.startswith("not verified  ")
    assert "leaf" not in ended.out


def test_artifact_that_is_not_built(run: Run, built: Path) -> None:
    shutil.rmtree(built)
    ended = run("show")
    assert ended.code == 1
    assert f"`{TEA}`: it is not in the output folder" in ended.out


def test_lone_file_is_for_verify(run: Run, built: Path, tmp_path: Path) -> None:
    shutil.copy(built / "tea", tmp_path / "tea")
    ended = run("show", str(tmp_path / "tea"))
    assert ended.code == 2
    assert "is not an artifact in its folder" in ended.err


@pytest.mark.parametrize("arguments", [["kettle:toa"], ["--kye", "x"], ["--key", "missing"]])
def test_wrong_usage(run: Run, built: Path, arguments: list[str]) -> None:
    ended = run("show", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert built.is_dir()


def test_workspace_without_artifacts(run: Run, built: Path, kettle: Any) -> None:
    kettle.names = []
    ended = run("show")
    assert (ended.code, ended.out) == (2, "")
    assert "this workspace has no artifacts" in ended.err
    assert built.is_dir()
