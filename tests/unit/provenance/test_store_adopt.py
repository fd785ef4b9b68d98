"""An artifact that did not change is linked, not written; anything else is copied."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance import store
from doit_provenance.provenance.digest import digest_bytes

if TYPE_CHECKING:
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


def _inode(path: Path) -> int:
    return path.stat().st_ino


def test_same_bytes_are_linked(built: Path, previous: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    assert store.adopt(built, target, previous=previous) == digest_bytes(BYTES)
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
    assert store.adopt(built, target, previous=previous) == digest_bytes(BYTES)
    assert target.read_bytes() == BYTES
    assert _inode(target) not in {_inode(previous), _inode(built)}


def test_other_permissions_are_copied(built: Path, previous: Path, tmp_path: Path) -> None:
    previous.chmod(0o4755)
    target = tmp_path / "target"
    store.adopt(built, target, previous=previous)
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
    assert store.adopt(built, target, previous=previous) == digest_bytes(BYTES)
    assert target.is_file()
    assert not target.is_symlink()


def test_filesystem_without_links(built: Path, previous: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "target"
    assert store.adopt(built, target, previous=previous) == digest_bytes(BYTES)
    assert _inode(target) != _inode(previous)


def test_folders_are_the_same_by_names_and_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / "a").write_bytes(b"1")
    assert store.same_files(one, other)
    (other / "b").write_bytes(b"")
    assert not store.same_files(one, other)
    (one / "b").symlink_to(other / "b")
    assert not store.same_files(one, other)
    assert not store.same_files(one, tmp_path / "missing")
