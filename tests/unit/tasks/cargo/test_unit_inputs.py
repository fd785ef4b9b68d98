from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from doit_provenance.provenance.errors import InputChangedError, ToolError
from doit_provenance.tasks.cargo.unit_inputs import FileDigests, filesystem_time, input_files, package_files


def _files(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def _inputs(root: Path, depinfo: str | None, *, workspace: str = ".") -> list[str]:
    place = root / workspace
    executable = place / "target" / "release" / "tea"
    executable.parent.mkdir(parents=True, exist_ok=True)
    if depinfo is not None:
        executable.with_suffix(".d").write_text(depinfo)
    found = input_files(
        executable,
        [place / "crate" / "Cargo.toml"],
        workspace=Path(os.path.normpath(place)),
        build_dirs=(place / "target", root / "dist", root / ".provenance"),
        repository=root,
    )
    assert list(found) == sorted(set(found))
    return [os.path.relpath(p, root) for p in found]


ALWAYS = ["Cargo.lock", "Cargo.toml", "crate/Cargo.toml"]


def test_manifests_lock_and_sources(tmp_path: Path) -> None:
    text = f"{tmp_path}/target/release/tea: {tmp_path}/src/main.rs {tmp_path}/a\\ b/logo.txt\n"
    assert _inputs(tmp_path, text) == sorted([*ALWAYS, "src/main.rs", "a b/logo.txt"])


def test_before_the_first_build_only_what_is_declared(tmp_path: Path) -> None:
    assert _inputs(tmp_path, None) == ALWAYS


def test_what_builds_made_is_left_out(tmp_path: Path) -> None:
    names = ("target/release/build/x/out/gen.rs", "dist/cargo/tea/tea", ".provenance/cargo/x", "src/main.rs")
    text = f"tea: {' '.join(str(tmp_path / name) for name in names)}\n"
    assert _inputs(tmp_path, text) == [*ALWAYS, "src/main.rs"]


def test_folder_that_is_watched_means_its_files(tmp_path: Path) -> None:
    """A build script may watch the whole package; git's own files, and ours, change all the time."""
    _files(tmp_path, "web/index.html", "web/deep/logo.svg", ".git/index", "dist/cargo/tea/tea", ".provenance/doit.db")
    _files(tmp_path, "target/debug/x", "vendored/.git/HEAD")
    assert _inputs(tmp_path, f"tea: {tmp_path}/web\n") == [*ALWAYS, "web/deep/logo.svg", "web/index.html"]
    found = _inputs(tmp_path, f"tea: {tmp_path}/.\n")
    assert found == sorted({*ALWAYS, "web/deep/logo.svg", "web/index.html"})


def test_ways_round_are_straightened(tmp_path: Path) -> None:
    _files(tmp_path, "proto/tea.proto", "target/made.rs")
    text = f"tea: {tmp_path}/crate/../proto/tea.proto {tmp_path}/proto/tea.proto {tmp_path}/crate/../target/made.rs\n"
    assert _inputs(tmp_path, text) == [*ALWAYS, "proto/tea.proto"]


def test_settings_up_to_the_repository(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    _files(tmp_path, ".cargo/config.toml")
    _files(root, "rust-toolchain.toml", "inner/.cargo/config.toml", "inner/.cargo/config", "other/rust-toolchain")
    found = _inputs(root, None, workspace="inner")
    assert [name for name in found if "toolchain" in name or "config" in name] == [
        "inner/.cargo/config",
        "inner/.cargo/config.toml",
        "rust-toolchain.toml",
    ]


def test_workspace_outside_the_repository_looks_in_itself_alone(tmp_path: Path) -> None:
    _files(tmp_path, "rust-toolchain", "elsewhere/rust-toolchain")
    (tmp_path / "repository").mkdir()
    found = input_files(
        tmp_path / "tea", [], workspace=tmp_path / "elsewhere", build_dirs=(), repository=tmp_path / "repository"
    )
    assert tmp_path / "elsewhere" / "rust-toolchain" in found
    assert tmp_path / "rust-toolchain" not in found


def test_change_is_refused_by_content(tmp_path: Path) -> None:
    _files(tmp_path, "a", "b")
    before = FileDigests.read([tmp_path / "a", tmp_path / "b"])
    (tmp_path / "a").touch()
    FileDigests.read([tmp_path / "a", tmp_path / "b"]).refuse_changes_since(before)
    (tmp_path / "b").write_text("changed")
    with pytest.raises(InputChangedError, match=r"an input changed while it was being built: `.*/b`"):
        FileDigests.read([tmp_path / "a", tmp_path / "b"]).refuse_changes_since(before)


def test_file_that_was_not_known_is_no_change(tmp_path: Path) -> None:
    _files(tmp_path, "a", "b")
    FileDigests.read([tmp_path / "a", tmp_path / "b"]).refuse_changes_since(FileDigests.read([tmp_path / "a"]))


def test_unsettled_is_what_was_not_known_and_changed_meanwhile(tmp_path: Path) -> None:
    _files(tmp_path, "a", "b", "c")
    before = FileDigests.read([tmp_path / "a"])
    os.utime(tmp_path / "c", (1, 1))
    after = FileDigests.read([tmp_path / name for name in "abc"])
    since = min((tmp_path / name).stat().st_ctime_ns for name in "bc")
    assert after.unsettled(before, since) == (tmp_path / "b", tmp_path / "c"), "a time that was set back is no excuse"
    assert after.unsettled(before, time.time_ns() + 10**9) == ()


def test_file_that_is_written_at_once_is_not_older_than_the_moment(tmp_path: Path) -> None:
    """By the system's clock it may be."""
    for turn in range(50):
        since = filesystem_time(tmp_path / "scratch")
        (tmp_path / "a").write_text(str(turn))
        assert FileDigests.read([tmp_path / "a"]).unsettled(FileDigests(digests={}), since) == (tmp_path / "a",)
    assert [p.name for p in (tmp_path / "scratch").iterdir()] == [".gitignore"]


def test_file_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"an input can't be read: `.*gone`: No such file"):
        FileDigests.read([tmp_path / "gone"])


def test_paths_from_the_repository(tmp_path: Path) -> None:
    _files(tmp_path, "inner/a", "b")
    found = FileDigests.read([tmp_path / "inner" / "a", tmp_path / "b"]).relative_to(tmp_path / "inner")
    assert list(found) == ["a", "../b"]


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    """As cargo follows them; a loop of links has an end."""
    shared, assets = tmp_path / "shared", tmp_path / "part" / "assets"
    for folder in (shared, assets):
        folder.mkdir(parents=True)
    (shared / "x.txt").write_text("x")
    (assets / "shared").symlink_to(shared)
    (assets / "again").symlink_to(shared)
    (assets / "loop").symlink_to(assets)
    (assets / "up").symlink_to(tmp_path / "part")
    (shared / "back").symlink_to(shared)
    found = list(package_files(tmp_path / "part", ()))
    assert len(found) == 1
    assert found[0].resolve() == shared / "x.txt"
