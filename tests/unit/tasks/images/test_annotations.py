from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.config import load
from doit_provenance.provenance.oci.annotations import BASE_DIGEST, BASE_NAME, CREATED, REVISION, SOURCE, TITLE, VENDOR
from doit_provenance.tasks.images.annotations import Base, as_input, wanted
from doit_provenance.tasks.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *arguments: str, when: str = "2020-01-01T00:00:00Z") -> str:
    environment = {
        "PATH": "/usr/bin:/bin:/usr/local/bin",
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_DATE": when,
        "GIT_COMMITTER_DATE": when,
    }
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@tea.example")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Return a workspace of two commits, the second of which touches `b` alone."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    root = tmp_path / "ws"
    root.mkdir()
    (root / "provenance.toml").write_text(
        "[project]\nsource = 'https://example.com/tea'\n[project.supplier]\nname = 'Example'\n", encoding="utf-8"
    )
    (root / ".gitignore").write_text("ignored\n", encoding="utf-8")
    git(root, "init", "-q")
    for number, name in enumerate(("a", "b")):
        (root / name).write_text(name, encoding="utf-8")
        git(root, "add", "-A")
        git(root, "commit", "-qm", name, when=f"202{number}-01-01T00:00:00Z")
    return Workspace(root=root, config=load(root))


def said(workspace: Workspace, *files: str) -> dict[str, str]:
    fresh = Workspace(root=workspace.root, config=workspace.config)
    return wanted(fresh, "tea", {}, config={}, files=files)


def test_of_a_clean_tree(repository: Workspace) -> None:
    assert said(repository, "a", "b") == {
        TITLE: "tea",
        SOURCE: "https://example.com/tea",
        VENDOR: "Example",
        CREATED: "2021-01-01T00:00:00Z",
        REVISION: git(repository.root, "rev-parse", "HEAD"),
    }


def test_time_and_revision_are_those_of_the_files(repository: Workspace) -> None:
    """What is committed beside them does not make another image."""
    found = said(repository, "a")
    assert found[CREATED] == "2020-01-01T00:00:00Z"
    assert found[REVISION] == git(repository.root, "rev-parse", "HEAD~")
    (repository.root / "b").write_text("changed", encoding="utf-8")
    assert said(repository, "a") == found


@pytest.mark.parametrize("name", ["a", "ignored", "new"])
def test_no_revision_of_what_git_does_not_have_as_it_is(repository: Workspace, name: str) -> None:
    (repository.root / name).write_text("changed", encoding="utf-8")
    assert REVISION not in said(repository, name)


def test_without_files_the_whole_tree_counts(repository: Workspace) -> None:
    assert said(repository)[REVISION] == git(repository.root, "rev-parse", "HEAD")
    (repository.root / "new").touch()
    assert REVISION not in said(repository)


def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    workspace = Workspace(root=tmp_path, config=load(tmp_path))
    assert wanted(workspace, "tea", {}, config={}, files=["x"]) == {TITLE: "tea", CREATED: "1970-01-01T00:00:00Z"}


def test_configured_wins_over_labels_and_these_over_what_is_known(repository: Workspace) -> None:
    labels = {"config": {"Labels": {TITLE: "label", VENDOR: "label", SOURCE: "label"}}}
    found = wanted(repository, "tea", {VENDOR: "mine"}, config=labels, files=["a"])  # type: ignore[arg-type] # as read
    assert (found[TITLE], found[VENDOR], found[SOURCE]) == ("label", "mine", "label")


def test_base(repository: Workspace) -> None:
    base = Base(name="docker.io/library/alpine:3", digest="sha256:" + 64 * "a")
    found = wanted(repository, "tea", {}, config={}, files=["a"], base=base)
    assert (found[BASE_NAME], found[BASE_DIGEST]) == (base.name, base.digest)


def test_as_an_input_order_is_of_no_matter(repository: Workspace) -> None:
    chosen = {"x": "1", "y": "2"}
    one = as_input(repository, "tea", chosen)
    assert one == as_input(repository, "tea", dict(reversed(chosen.items())))
    assert one != as_input(repository, "tea", {"x": "1"})
    assert one != as_input(repository, "pot", chosen)


def test_input_is_told_without_git(repository: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "https://example.com/tea" in as_input(repository, "tea", {})
