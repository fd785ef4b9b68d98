"""An artifact that did not change is linked, not written; anything else is copied."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, NoReturn

import pytest

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import StoreError
from doit_provenance.provenance.fs import copies

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BYTES = b"tea" * 1_000_000


@pytest.fixture
def built(tmp_path: Path) -> Path:
    path = tmp_path / "built"
    path.write_bytes(BYTES)
    path.chmod(0o755)
    return path


@pytest.fixture
def previous(tmp_path: Path) -> Path:
    path = tmp_path / "previous"
    path.write_bytes(BYTES)
    path.chmod(0o755)
    return path


def _fails(number: int) -> Callable[..., NoReturn]:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


def _inode(path: Path) -> int:
    return path.stat().st_ino


def test_same_bytes_are_linked(built: Path, previous: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    assert copies.adopt(built, target, previous=previous) == digest_bytes(BYTES)
    assert _inode(target) == _inode(previous)


@pytest.mark.parametrize("position", [0, len(BYTES) // 2, len(BYTES) - 1])
def test_one_byte_of_difference_is_copied(built: Path, previous: Path, tmp_path: Path, position: int) -> None:
    """The bytes that were built count, wherever the earlier ones differ and whatever the times say."""
    changed = bytearray(BYTES)
    changed[position] ^= 1
    previous.write_bytes(changed)
    times = (built.stat().st_atime_ns, built.stat().st_mtime_ns)
    os.utime(previous, ns=times)
    target = tmp_path / "target"
    assert copies.adopt(built, target, previous=previous) == digest_bytes(BYTES)
    assert target.read_bytes() == BYTES
    assert _inode(target) not in {_inode(previous), _inode(built)}


def test_other_permissions_are_copied(built: Path, previous: Path, tmp_path: Path) -> None:
    previous.chmod(0o4755)
    target = tmp_path / "target"
    copies.adopt(built, target, previous=previous)
    assert _inode(target) != _inode(previous)
    assert target.stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("kind", ["missing", "link", "folder", "pipe"])
def test_what_is_no_file_is_not_adopted(built: Path, previous: Path, tmp_path: Path, kind: str) -> None:
    previous.unlink()
    match kind:
        case "link":
            previous.symlink_to(built)
        case "folder":
            previous.mkdir()
        case "pipe":
            os.mkfifo(previous, 0o755)
    target = tmp_path / "target"
    assert copies.adopt(built, target, previous=previous) == digest_bytes(BYTES)
    assert target.is_file()
    assert not target.is_symlink()


def test_filesystem_without_links(built: Path, previous: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "target"
    assert copies.adopt(built, target, previous=previous) == digest_bytes(BYTES)
    assert _inode(target) != _inode(previous)


def test_folders_are_the_same_by_names_and_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / "a").write_bytes(b"1")
    assert copies.same_files(one, other)
    (other / "b").write_bytes(b"")
    assert not copies.same_files(one, other)
    (one / "b").symlink_to(other / "b")
    assert not copies.same_files(one, other)
    assert not copies.same_files(one, tmp_path / "missing")


@pytest.mark.parametrize(
    ("mode", "copied"),
    [(0o755, 0o755), (0o644, 0o644), (0o6755, 0o755), (0o777, 0o755), (0o500, 0o700), (0o400, 0o600)],
)
def test_copy_keeps_the_bits_that_are_safe_to_ship(tmp_path: Path, mode: int, copied: int) -> None:
    """Set-user-id and writing by others are not shipped; the owner can always read and replace the copy."""
    source = tmp_path / "source"
    source.write_bytes(b"\x7fELF")
    source.chmod(mode)
    assert copies.copy(source, tmp_path / "copy") == digest_bytes(b"\x7fELF")
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == copied
    assert (tmp_path / "copy").read_bytes() == b"\x7fELF"


def test_copy_says_which_side_failed(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"can't read `.*missing`"):
        copies.copy(tmp_path / "missing", tmp_path / "copy")
    (tmp_path / "there").touch()
    with pytest.raises(StoreError, match=r"can't write `.*nowhere"):
        copies.copy(tmp_path / "there", tmp_path / "nowhere" / "copy")


@pytest.mark.parametrize("links", [True, False])
def test_held_file_outlives_its_first_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool) -> None:
    if not links:
        monkeypatch.setattr(os, "link", _fails(errno.EXDEV))
    source, held = tmp_path / "release" / "tea", tmp_path / "state" / "tea"
    source.parent.mkdir()
    for text in ("one", "one", "two"):  # the second time it is held already
        source.unlink(missing_ok=True)
        source.write_text(text)
        copies.hold(source, held)
        copies.hold(source, held)
        source.unlink()
        source.write_text("somebody else's")
        assert held.read_text() == text
        assert [p.name for p in held.parent.iterdir()] == ["tea"]


def test_file_that_cannot_be_held(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        copies.hold(tmp_path / "none", tmp_path / "state" / "tea")


def test_kept_file_is_a_copy(tmp_path: Path) -> None:
    """Whoever writes into the original changes no copy, and what was kept before is gone with its name."""
    source, folder = tmp_path / "tea", tmp_path / "state" / "kept"
    source.write_text("one")
    source.chmod(0o755)
    copies.keep(source, folder / "old")
    copies.keep(source, folder / "tea")
    with source.open("a") as stream:
        stream.write("two")
    assert [p.name for p in folder.iterdir()] == ["tea"]
    assert (folder / "tea").read_text() == "one"
    assert (folder / "tea").stat().st_mode & 0o777 == 0o755
    with pytest.raises(StoreError, match="No such file"):
        copies.keep(tmp_path / "none", folder / "tea")


def test_nothing_is_copied_over(tmp_path: Path) -> None:
    path = tmp_path / "tea"
    path.write_bytes(b"old")
    with pytest.raises(StoreError, match="File exists"):
        copies.copy(path, path)
    assert path.read_bytes() == b"old"


def test_folder_is_adopted_file_by_file(tmp_path: Path) -> None:
    """What is the same is linked to what was there before, wherever it lies; links and pipes are left out."""
    built, previous, target = (tmp_path / name for name in ("built", "previous", "target"))
    for folder in (built, previous):
        (folder / "blobs" / "empty").mkdir(parents=True)
        (folder / "blobs" / "same").write_bytes(BYTES)
        (folder / "entry").write_text(folder.name)
    (built / "link").symlink_to(built / "blobs")
    os.mkfifo(built / "pipe")
    copies.adopt_folder(built, target, previous=previous)
    found = {p.relative_to(target).as_posix() for p in target.rglob("*")}
    assert found == {"blobs", "blobs/empty", "blobs/same", "entry"}
    assert _inode(target / "blobs" / "same") == _inode(previous / "blobs" / "same")
    assert (target / "entry").read_text() == "built"


def test_folder_is_not_adopted_over_another(tmp_path: Path) -> None:
    (tmp_path / "built").mkdir()
    (tmp_path / "target").mkdir()
    with pytest.raises(StoreError, match="File exists"):
        copies.adopt_folder(tmp_path / "built", tmp_path / "target", previous=tmp_path / "none")


@pytest.mark.parametrize("change", ["file", "folder", "link"])
def test_folders_in_folders_are_compared(tmp_path: Path, change: str) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        (folder / "a" / "b").mkdir(parents=True)
        (folder / "a" / "b" / "c").write_bytes(b"1")
    assert copies.same_files(one, other)
    if change == "file":
        (other / "a" / "b" / "c").write_bytes(b"2")
    elif change == "folder":
        (other / "a" / "d").mkdir()
    else:
        (other / "a" / "b").rename(tmp_path / "away")
        (other / "a" / "b").symlink_to(tmp_path / "away")
    assert not copies.same_files(one, other)
