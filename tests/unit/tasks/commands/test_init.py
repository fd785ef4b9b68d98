from __future__ import annotations

import ast
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.config import load
from doit_provenance.provenance.config.starter import starter
from doit_provenance.provenance.errors import ToolError

if TYPE_CHECKING:
    from pathlib import Path

Run = Any  # what the fixture `run` returns


def test_writes_both_files_and_shows_what_is_found(run: Run, root: Path) -> None:
    ended = run("init")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "wrote   dodo.py\nwrote   provenance.toml\nfound   kettle:tea@linux/amd64\n"
    ast.parse((root / "dodo.py").read_text())
    load(root)


def test_starter_changes_nothing_but_the_projects_name(run: Run, root: Path) -> None:
    """Where git has no remote, the folder's name goes into the file, so that other checkouts have the same SBOMs."""
    before = load(root)
    run("init")
    assert load(root).project.name == root.name
    assert (load(root).cargo, load(root).signing, load(root).project.output) == (
        before.cargo,
        before.signing,
        before.project.output,
    )


def test_starter_takes_the_projects_name_from_the_remote(run: Run, root: Path) -> None:
    subprocess.run(["git", "init", "--quiet", root], check=True)
    subprocess.run(["git", "-C", root, "remote", "add", "origin", "https://git.example.com/pots"], check=True)
    run("init")
    assert (root / "provenance.toml").read_text() == starter()


def test_dodo_makes_the_tasks(run: Run, root: Path) -> None:
    run("init")
    found: dict[str, Any] = {}
    exec((root / "dodo.py").read_text(), found)  # noqa: S102 - as doit does
    assert [task["basename"] for task in found["task_artifacts"]()][-1] == "kettle"


@pytest.mark.parametrize("name", ["dodo.py", "provenance.toml"])
def test_never_over_a_file_that_is_there(run: Run, root: Path, name: str) -> None:
    (root / name).write_text("# mine\n")
    ended = run("init")
    assert ended.code == 0
    assert f"kept    {name}\n" in ended.out
    assert (root / name).read_text() == "# mine\n"
    assert ended.out.count("wrote   ") == 1


def test_never_through_a_link(run: Run, root: Path, tmp_path: Path) -> None:
    (root / "dodo.py").symlink_to(tmp_path / "elsewhere.py")
    assert "kept    dodo.py\n" in run("init").out
    assert not (tmp_path / "elsewhere.py").exists()


def test_twice(run: Run) -> None:
    run("init")
    assert run("init").out == "kept    dodo.py\nkept    provenance.toml\nfound   kettle:tea@linux/amd64\n"


def test_nothing_to_build_yet(run: Run, kettle: Any) -> None:
    kettle.names = []
    ended = run("init")
    assert ended.code == 0
    assert "nothing to build yet: `provenance.toml` says how to name it" in ended.out


def test_failing_discovery(run: Run, kettle: Any) -> None:
    kettle.discovery = ToolError("there is no kettle", hint="buy one")
    ended = run("init")
    assert ended.code == 1
    assert "kettle: there is no kettle\nhint: buy one\n" in ended.out


def test_wrong_configuration_that_is_there(run: Run, root: Path) -> None:
    (root / "provenance.toml").write_text("[cargo]\nprofil = 'x'\n")
    ended = run("init")
    assert ended.code == 2
    assert "profil" in ended.err
    assert (root / "provenance.toml").read_text() == "[cargo]\nprofil = 'x'\n"


def test_takes_no_arguments(run: Run, root: Path) -> None:
    ended = run("init", "here")
    assert ended.code == 2
    assert ended.err == "error: `init` takes no arguments, found `here`\n"
    assert not (root / "dodo.py").exists()


def test_folder_that_takes_no_file(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = type(root).open

    def full(self: Path, mode: str = "r", **settings: Any) -> Any:
        if mode == "x":
            raise OSError(28, "No space left on device")
        return opened(self, mode, **settings)

    monkeypatch.setattr(type(root), "open", full)
    ended = run("init")
    assert ended.code == 1
    assert ended.err.startswith(f"error: can't write `{root / 'dodo.py'}`: No space left on device")


def test_starter_says_what_a_builder_proposes(run: Run, root: Path, kettle: Any) -> None:
    kettle.proposal = {"cargo.manifests": ("pots/Cargo.toml",)}
    assert run("init").code == 0
    assert load(root).cargo.manifests == ("pots/Cargo.toml",)


def test_dockerfiles_are_offered(run: Run, root: Path) -> None:
    (root / "Dockerfile.pot").write_text("FROM scratch\n")
    ended = run("init")
    assert ended.code == 0
    assert "wrote   provenance.toml\noffered docker:pot, behind `#` in provenance.toml\n" in ended.out
    assert '#pot.dockerfile = "Dockerfile.pot"\n' in (root / "provenance.toml").read_text()
    assert load(root).dockers == ()


def test_what_could_not_be_proposed_is_said(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "docker-bake.hcl").touch()
    monkeypatch.setenv("PATH", str(root))
    ended = run("init")
    assert ended.code == 0
    assert (
        "note    docker-bake.hcl was not read, so its targets are not proposed: `docker` is not installed" in ended.out
    )
