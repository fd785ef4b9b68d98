"""What a flake sees of its repository, and Nix's own configuration: what differs to an evaluation differs here."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import ConfigError, ToolError
from doit_provenance.tasks.freshness import inputs
from doit_provenance.tasks.memory import ShortMemory
from doit_provenance.tasks.nix import tree
from doit_provenance.tasks.nix.program import read_configuration
from doit_provenance.tasks.nix.tree import digests, outside, read_tree, tracked_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with a file, an executable and a link, committed."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "a b\n").write_text("a\n", encoding="utf-8")
    (folder / "run").write_text("run\n", encoding="utf-8")
    (folder / "run").chmod(0o755)
    (folder / "link").symlink_to("run")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "state")
    return folder


def state(folder: Path) -> str:
    return read_tree(folder, ShortMemory()).state


def _relink(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("a b\n")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda folder: (folder / "run").write_text("ran\n", encoding="utf-8"),
    "mode": lambda folder: (folder / "run").chmod(0o644),
    "link": _relink,
    "removed": lambda folder: (folder / "run").unlink(),
    "added": lambda folder: ((folder / "new").touch(), git(folder, "add", "new")),
    "commit": lambda folder: git(folder, "commit", "--quiet", "--allow-empty", "--message", "next"),
}


@pytest.mark.parametrize("dirty", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_what_git_tracks_counts(made: Path, change: str, dirty: bool) -> None:  # noqa: FBT001 - a case of the test
    """In a clean tree and in a dirty one."""
    if dirty:
        (made / "a b\n").write_text("dirty\n", encoding="utf-8")
    before = state(made)
    CHANGES[change](made)
    assert state(made) != before


def test_what_git_does_not_track_does_not(made: Path) -> None:
    """Nor do times, nor a change that was taken back."""
    before = state(made)
    (made / "new").touch()
    os.utime(made / "run", (1, 1))
    (made / "a b\n").write_text("other\n", encoding="utf-8")
    (made / "a b\n").write_text("a\n", encoding="utf-8")
    assert state(made) == before == state(made / ".")
    assert before.startswith("commit ")


def test_files_are_read_once(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured is remembered by its signature; what is there is told apart."""
    memory = ShortMemory()
    monkeypatch.setattr(inputs.time, "time_ns", lambda: 1 << 62)  # long after: signatures prove what they say
    found = tracked_files(made, memory)
    assert set(found) == {"a b\n", "run", "link"}
    assert found["run"].startswith("x ")
    assert found["link"] == "-> run"
    kept = memory.get("nix:tree")
    assert isinstance(kept, dict)
    assert set(kept) == {f"{made}/a b\n", f"{made}/run"}
    memory.put("nix:tree", {**kept, f"{made}/run": ["0" * 64, *kept[f"{made}/run"][1:]]})
    assert tracked_files(made, memory)["run"] == "x " + "0" * 64
    (made / "run").write_text("longer than it was\n", encoding="utf-8")
    assert tracked_files(made, memory)["run"] not in {found["run"], "x " + "0" * 64}
    (made / "run").unlink()
    assert tracked_files(made, memory)["run"] == "absent"
    assert set(digests(tracked_files(made, memory))) == {"a b\n", "link"}
    assert all(len(value) == 64 for value in digests(found).values())


def test_a_folder_without_git_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to do."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(ConfigError, match="has to be in a git repository"):
        read_tree(tmp_path, ShortMemory())


def test_folders_beside_the_repository(made: Path, tmp_path: Path) -> None:
    """Each of their files counts; what lies in the repository git sees already."""
    beside = tmp_path / "beside"
    (beside / "deep").mkdir(parents=True)
    (beside / "deep" / "file").write_text("one\n", encoding="utf-8")
    first = outside(made, [beside, made, tmp_path / "missing"])
    assert list(first) == [str(beside / "deep" / "file")]
    (beside / "deep" / "file").write_text("two\n", encoding="utf-8")
    assert outside(made, [beside]) != first


def test_an_input_beside_is_not_read_without_end(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock may name any folder."""
    (tmp_path / "beside").mkdir()
    for name in "abc":
        (tmp_path / "beside" / name).touch()
    monkeypatch.setattr(tree, "_FILES", 2)
    with pytest.raises(ToolError, match="more than the 2 files"):
        outside(made, [tmp_path / "beside"])


def test_configuration_counts(tmp_path: Path) -> None:
    """Files, what they include, the user's, registries and variables; a ring of includes ends."""
    (tmp_path / "etc").mkdir()
    environ = {"NIX_CONF_DIR": str(tmp_path / "etc"), "XDG_CONFIG_HOME": str(tmp_path / "home"), "PATH": "/bin"}
    seen = [read_configuration(environ).digest]
    conf = tmp_path / "etc" / "nix.conf"
    (tmp_path / "home" / "nix").mkdir(parents=True)

    def changed() -> None:
        seen.append(read_configuration(environ).digest)
        assert len(set(seen)) == len(seen)

    conf.write_text("!include more.conf\n", encoding="utf-8")
    changed()
    (tmp_path / "etc" / "more.conf").write_text("cores = 1\ninclude nix.conf\n", encoding="utf-8")
    changed()
    (tmp_path / "home" / "nix" / "nix.conf").write_text("cores = 2\n", encoding="utf-8")
    changed()
    (tmp_path / "home" / "nix" / "registry.json").write_text("{}\n", encoding="utf-8")
    changed()
    environ |= {"NIX_CONFIG": "cores = 3"}
    changed()
    environ |= {"NIX_REMOTE": "daemon"}
    changed()
    environ |= {"OTHER": "1"}
    assert read_configuration(environ).digest == seen[-1]


@pytest.mark.parametrize(
    "line", ["pure-eval = false", "  pure-eval=false # x", "extra-pure-eval = false", "pure-eval = no", "pure-eval = 0"]
)
def test_impure_evaluation_is_seen(tmp_path: Path, line: str) -> None:
    """Wherever it is said."""
    environ = {"NIX_CONF_DIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    assert read_configuration(environ).is_pure
    assert not read_configuration({**environ, "NIX_CONFIG": f"cores = 1\n{line}"}).is_pure
    (tmp_path / "nix.conf").write_text(f"{line}\n", encoding="utf-8")
    assert not read_configuration(environ).is_pure


def test_what_flakes_may_set_is_seen(tmp_path: Path) -> None:
    """Nix keeps what somebody has allowed a flake for good: it counts, and may be that evaluations are impure."""
    environ = {"NIX_CONF_DIR": str(tmp_path), "HOME": str(tmp_path)}
    before = read_configuration(environ)
    kept = tmp_path / ".local" / "share" / "nix" / "trusted-settings.json"
    kept.parent.mkdir(parents=True)
    kept.write_text('{"cores":{"1":true}}', encoding="utf-8")
    allowed = read_configuration(environ)
    assert allowed.digest != before.digest
    assert allowed.is_pure
    kept.write_text('{"pure-eval":{"false":true}}', encoding="utf-8")
    assert not read_configuration(environ).is_pure
    assert not read_configuration({**environ, "HOME": "", "XDG_DATA_HOME": str(kept.parent.parent)}).is_pure
