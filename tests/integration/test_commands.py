"""The README's two commands and what they are made of, on a machine that lacks something."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
POSIX = ("sh", "cat", "cmp", "cp", "cut", "dirname", "mkdir", "mv", "rm", "sha256sum", "shasum", "uname")


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """Make a folder for PATH with the tools that every machine has and no others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in POSIX:
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return folder


def _run(script: Path, bare_path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": str(bare_path), "HOME": str(bare_path.parent), **env}
    return subprocess.run(["sh", str(script)], env=given, capture_output=True, check=False, text=True)


def _copy_of(script: str, folder: Path) -> Path:
    """Copy a script to where no environment has been made yet, with what it reads."""
    for name in (script, "pyproject.toml", ".ci/setup", ".ci/requirements.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder / script


def test_example_without_cargo_says_so(bare_path: Path) -> None:
    done = _run(ROOT / "examples" / "run", bare_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "error: `cargo` is not on the PATH, and the example is a Rust workspace",
        "hint: install Rust (for instance by rustup) and run again",
    ]


@pytest.mark.parametrize("script", ["tests/run", ".ci/setup"])
def test_setup_without_python_says_so(bare_path: Path, tmp_path: Path, script: str) -> None:
    done = _run(_copy_of(script, tmp_path / "checkout"), bare_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no Python 3.11 or newer with venv is on the PATH\nhint: ")


def test_setup_names_a_python_that_will_not_do(bare_path: Path, tmp_path: Path) -> None:
    done = _run(_copy_of(".ci/setup", tmp_path / "checkout"), bare_path, PYTHON="cat")
    assert done.returncode == 2
    assert done.stderr.startswith("error: `cat` (from PYTHON) is no Python 3.11 or newer with venv\nhint: ")


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_tools_that_cannot_be_installed_are_named(bare_path: Path, tmp_path: Path, ci: str, code: int) -> None:
    done = _run(ROOT / "tests" / "tools" / "install", bare_path, CI=ci, DOIT_PROVENANCE_TOOLS=str(tmp_path / "tools"))
    assert done.returncode == code
    assert done.stdout.startswith(str(tmp_path / "tools"))
    assert "`go` is not on the PATH, so cosign can't be installed" in done.stderr
    assert "`apt-get` is not on the PATH, so docker.io " in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("not installed: docker.io ")
    assert last.endswith(" verify-bundle buildx buildkitd crane registry regctl oras syft cosign sigstore-js")
