"""The installed packages beside a user's own `tasks` and `provenance`: neither hides the other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]

DODO = """
import importlib
import pkgutil
from pathlib import Path

import doit_provenance.provenance
import doit_provenance.tasks

import provenance
import tasks

assert (tasks.WHOSE, provenance.WHOSE) == ("the user's", "the user's")
here = Path(__file__).parent
names = [m.name for p in ("provenance", "tasks") for m in pkgutil.walk_packages(
    importlib.import_module(f"doit_provenance.{p}").__path__, f"doit_provenance.{p}.")]
modules = [importlib.import_module(name) for name in names]
assert not [m for m in modules if Path(m.__file__).is_relative_to(here)]


def task_modules():
    return {"actions": None, "doc": ",".join(sorted(names))}
"""


def _pip(python: Path | str, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the project: a build leaves its traces beside the sources, and takes up those of an earlier one."""
    copy = tmp_path_factory.mktemp("sources")
    for name in ("provenance", "tasks"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="module", params=["wheel", "editable"])
def python(request: pytest.FixtureRequest, sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the project in one of two ways into a Python that has its dependencies at hand."""
    folder = tmp_path_factory.mktemp(request.param)
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    # The folder is searched, but .pth files in it are not read: the editable install that runs this test stays unseen.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    options = ("--no-index", "--no-deps", "--no-build-isolation")
    if request.param == "editable":
        _pip(python, "install", *options, "--editable", str(sources))
    else:
        _pip(sys.executable, "wheel", *options, "--wheel-dir", str(folder), str(sources))
        (wheel,) = folder.glob("*.whl")
        _pip(python, "install", *options, str(wheel))
    return python


@pytest.mark.parametrize("shape", ["{}.py", "{}/__init__.py"])
def test_nothing_hides_anything(python: Path, tmp_path: Path, shape: str) -> None:
    for name in ("tasks", "provenance"):
        own = tmp_path / shape.format(name)
        own.parent.mkdir(exist_ok=True)
        own.write_text('WHOSE = "the user\'s"\n')
    (tmp_path / "dodo.py").write_text(DODO)
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), "-m", "doit", "list"], cwd=tmp_path, env=env, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    listed = done.stdout.removeprefix("modules").strip().split(",")
    assert listed == sorted(_expected())


def _expected() -> set[str]:
    paths = [path.relative_to(ROOT) for name in ("provenance", "tasks") for path in (ROOT / name).rglob("*.py")]
    dotted = {".".join(p.parent.parts if p.stem == "__init__" else p.with_suffix("").parts) for p in paths}
    return {f"doit_provenance.{name}" for name in dotted - {"provenance", "tasks"}}
