"""Folders that are not trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.provenance.fs.folder import opened, steady


@pytest.mark.parametrize("times", [1, 3])
def test_folder_that_is_replaced_meanwhile_is_looked_at_again(tmp_path: Path, times: int) -> None:
    """A run that ends just now empties the folder that is being read; that is nobody's damage."""
    place, looks = tmp_path / "place", 0
    place.mkdir()

    def look() -> str:
        nonlocal looks
        looks += 1
        if looks > times:
            return "found"
        place.rename(tmp_path / f"old {looks}")
        place.mkdir()
        raise UnreadableError("missing")

    assert steady(place, look) == "found"
    assert looks == times + 1


@pytest.mark.parametrize(("replaced", "looks"), [(False, 1), (True, 6)])
def test_folder_that_does_not_hold_is_said_to(tmp_path: Path, *, replaced: bool, looks: int) -> None:
    """At once, where nobody replaces it; where that never ends, in the end."""
    seen: list[str] = []

    def look() -> None:
        seen.append("")
        if replaced:
            (tmp_path / "place" / str(len(seen))).mkdir(parents=True)
        raise UnreadableError("missing")

    with pytest.raises(UnreadableError, match="missing"):
        steady(tmp_path / "place", look)
    assert len(seen) == looks


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a folder with a file, a link, a pipe and a folder, and a link to it all beside it."""
    (tmp_path / "tree/deep/empty").mkdir(parents=True)
    (tmp_path / "tree/deep/tea").write_bytes(b"oolong")
    (tmp_path / "tree/link").symlink_to("deep/tea")
    (tmp_path / "tree/away").symlink_to("deep")
    os.mkfifo(tmp_path / "tree/pipe")
    (tmp_path / "beside").symlink_to("tree")
    return tmp_path / "tree"


def test_files_are_read_by_their_path(tree: Path) -> None:
    with opened(tree) as folder:
        assert folder.names == ("away", "deep", "link", "pipe")
        assert list(folder.files()) == ["away", "deep/empty/", "deep/tea", "link", "pipe"]
        assert folder.read("deep/tea", 6) == b"oolong"
        assert (folder.size("deep/tea"), folder.digest("deep/tea").size) == (6, 6)
        assert [folder.has(name) for name in ("deep", "deep/tea", "link", "tea", "no/tea")] == [True] * 3 + [False] * 2


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("link", "a symbolic link"),
        ("away/tea", "reached through a link"),
        ("pipe", "not a regular file"),
        ("deep", "not a regular file"),
        ("tea", "missing"),
        ("link/tea", "reached through a link"),
        ("deep/tea", "larger than the 5 bytes"),
    ],
)
def test_what_is_not_read(tree: Path, name: str, reason: str) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with opened(tree) as folder, pytest.raises(UnreadableError, match=reason):
        folder.read(name, 5)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_folder_behind_a_link_is_opened_only_if_that_may_be(tree: Path) -> None:
    with opened(tree.parent / "beside") as folder:
        assert folder.has("deep/tea")
    with pytest.raises(UnreadableError, match="it is a symbolic link"), opened(tree.parent / "beside", follow=False):
        pass


def test_a_folder_that_is_replaced_stays_the_one_that_was_opened(tree: Path) -> None:
    with opened(tree) as folder:
        tree.rename(tree.parent / "old")
        tree.mkdir()
        assert folder.read("deep/tea", 6) == b"oolong"
