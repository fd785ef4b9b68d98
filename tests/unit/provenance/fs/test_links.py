"""Links in folders of ours lead nowhere: nothing is written, emptied or removed through one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from doit_provenance.provenance.errors import StoreError
from doit_provenance.provenance.fs import links, lock, store


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Return a folder with a file that nobody may touch."""
    found = tmp_path / "victim"
    found.mkdir()
    (found / "precious").write_text("precious")
    return found


def _untouched(victim: Path) -> bool:
    return {p.name: p.read_text() for p in victim.iterdir()} == {"precious": "precious"}


def test_first_link_on_the_way(tmp_path: Path, victim: Path) -> None:
    top = tmp_path / "top"
    (top / "a" / "b").mkdir(parents=True)
    assert links.first(top, top / "a" / "b") is None
    assert links.first(top, top / "a" / "none" / "there") is None
    (top / "a" / "link").symlink_to(victim)
    assert links.first(top, top / "a" / "link") == top / "a" / "link"
    assert links.first(top, top / "a" / "link" / "deeper") == top / "a" / "link"
    (tmp_path / "other").symlink_to(top)
    assert links.first(tmp_path / "other", tmp_path / "other" / "a" / "b") is None, "where it begins may be one"


def test_links_to_folders_are_dropped_however_deep(tmp_path: Path, victim: Path) -> None:
    top = tmp_path / "top"
    for folder in ("a/b", "logs"):
        (top / folder).mkdir(parents=True)
        (top / folder / "link").symlink_to(victim)
    (top / "link").symlink_to("..")
    (top / "file").symlink_to(victim / "precious")
    links.drop(top, passed_over="logs")
    left = {str(Path(folder, name).relative_to(top)) for folder, inner, files in os.walk(top) for name in inner + files}
    assert left == {"a", "a/b", "logs", "logs/link", "file"}
    assert _untouched(victim)


def test_folder_that_is_a_link_itself_is_left_alone(tmp_path: Path, victim: Path) -> None:
    (victim / "theirs").symlink_to(tmp_path)
    (tmp_path / "top").symlink_to(victim)
    links.drop(tmp_path / "top", passed_over="logs")
    assert (victim / "theirs").is_symlink()


def test_link_that_can_not_be_dropped(tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    (tmp_path / "link").symlink_to(victim)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StoreError, match=r"`.*/link` can't be removed: Permission denied"):
        links.drop(tmp_path, passed_over="logs")


def test_prepared_folder_makes_no_file_through_a_link(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / ".gitignore").symlink_to(victim / "new")
    store.prepare(tmp_path / "dist")
    assert _untouched(victim)


@pytest.mark.parametrize("link", ["cargo", "cargo/wash", "cargo/wash/any"])
def test_nothing_that_is_not_ours_is_replaced_through_a_link(tmp_path: Path, victim: Path, link: str) -> None:
    output = tmp_path / "dist"
    (output / link).parent.mkdir(parents=True)
    (output / link).symlink_to(tmp_path / "outside")
    theirs = tmp_path / "outside" / Path("cargo/wash/any").relative_to(link)
    theirs.parent.mkdir(parents=True, exist_ok=True)
    victim.rename(theirs)
    with (
        pytest.raises(StoreError, match=r"`.*/dist/cargo/wash/any` is in the way"),
        store.staging_for(output, Path("cargo/wash/any")),
    ):
        pytest.fail("it was begun")
    assert _untouched(theirs)


@pytest.mark.parametrize("made", [None, "empty", "wash.record.json"])
def test_folder_of_a_builder_may_be_a_link(tmp_path: Path, made: str | None) -> None:
    (tmp_path / "elsewhere" / "wash").mkdir(parents=True)
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "cargo").symlink_to(tmp_path / "elsewhere")
    if made:
        (tmp_path / "elsewhere" / "wash" / "any").mkdir()
    if made == "wash.record.json":
        (tmp_path / "elsewhere" / "wash" / "any" / made).touch()
    with store.staging_for(tmp_path / "dist", Path("cargo/wash/any")) as staging:
        assert staging.is_dir()


def test_output_folder_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "dist").symlink_to("elsewhere")
    with store.staging_for(tmp_path / "dist", Path("cargo/wash/any")) as staging:
        assert staging.is_dir()


def test_lock_empties_no_file_through_a_link(tmp_path: Path, victim: Path) -> None:
    (tmp_path / lock.FILE).symlink_to(victim / "precious")
    lock.take(tmp_path, command="doit", waiting=lambda _: pytest.fail("nobody has it"))
    lock.leave(tmp_path)
    assert _untouched(victim)
    assert (tmp_path / lock.FILE).is_file()


def test_link_that_comes_to_lie_there_meanwhile(tmp_path: Path, victim: Path) -> None:
    lock.take(tmp_path, command="doit", waiting=lambda _: pytest.fail("nobody has it"))
    (tmp_path / lock.FILE).unlink()
    (tmp_path / lock.FILE).symlink_to(victim / "precious")
    lock.leave(tmp_path)
    assert _untouched(victim)


def test_pipe_is_no_lock(tmp_path: Path) -> None:
    """A pipe can't be locked, so that two runs would go on at once."""
    os.mkfifo(tmp_path / lock.FILE)
    lock.take(tmp_path, command="doit", waiting=lambda _: pytest.fail("nobody has it"))
    assert (tmp_path / lock.FILE).is_file()
