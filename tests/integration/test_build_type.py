"""The page of the cargo build type is true: its example is what a build says, its recipe gives the same bytes.

`UPDATE_DOCS=1 python -m pytest tests/integration/test_build_type.py` writes the example anew.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from doit_provenance.tasks.cargo.describe import BUILD_TYPE

from . import workspaces
from .pages import Page

pytestmark = pytest.mark.integration

_ROOT = Path(__file__).parents[2]
PAGE = Page(builder="cargo")
_BINARY = "hello"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> workspaces.Repository:
    return _build(tmp_path_factory.mktemp("page") / "greeter")


def test_example_is_what_a_build_says(built: workspaces.Repository) -> None:
    """The example on the page equals the predicate of a real build, volatile values replaced."""
    said = built.provenance(_BINARY)
    release = said["buildDefinition"]["internalParameters"]["rustc"]
    PAGE.hold(
        said,
        BUILD_TYPE,
        (re.escape(workspaces.host()), "x86_64-unknown-linux-gnu"),
        (rf"(?<=[@\"]){re.escape(release)}(?=\")", "1.95.0"),
        (r"(?<=cargo@)[0-9][^\"]*(?=\")", "1.95.0"),
    )


def test_every_parameter_is_explained() -> None:
    """Each parameter of the example stands in one of the page's tables, and none that no build writes."""
    PAGE.explains_all()


def test_recipe_gives_the_same_bytes(built: workspaces.Repository, tmp_path: Path) -> None:
    """The command that the page gives, with an artifact's parameters and in another folder, builds the same bytes."""
    said = built.provenance(_BINARY)["buildDefinition"]["externalParameters"]
    again = tmp_path / "again"
    shutil.copytree(built.root, again, ignore=shutil.ignore_patterns("target", "dist", ".provenance"))
    packages = [word for p in said["groupPackages"] for word in ("--package", p)]
    assert (said["target"], said["features"], said["tool"]) == (None, [], "cargo")
    built.cargo(
        "build",
        "--locked",
        "--profile",
        said["profile"],
        *packages,
        "--bin",
        said["binary"],
        cwd=again / said["workspace"],
    )
    assert (again / "target" / said["profile"] / _BINARY).read_bytes() == built.bytes_of(_BINARY)


def _build(root: Path) -> workspaces.Repository:
    repository = workspaces.repository(root)
    shutil.copytree(
        _ROOT / "examples" / "greeter", root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("target", "dist", ".*")
    )
    manifest = root / "Cargo.toml"
    quick = re.sub(r"^lto = true$", "opt-level = 0", manifest.read_text(encoding="utf-8"), flags=re.MULTILINE)
    manifest.write_text(quick, encoding="utf-8")
    (root / ".gitignore").write_text("target\n", encoding="ascii")
    repository.commit()
    repository.git("remote", "add", "origin", "https://git.example.com/greeter.git")
    repository.run(*workspaces.DOIT_PROVENANCE, f"cargo:{_BINARY}").ok()
    return repository
