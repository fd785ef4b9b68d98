"""Copies of files, hard links where the bytes are the same already, and comparison byte by byte."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import stat
import sys
from typing import TYPE_CHECKING

from ..digest import Digest, digest_file, digest_stream
from ..errors import StoreError
from .store import STAGING, below, explained

if TYPE_CHECKING:
    from pathlib import Path

_SYNC_FILE_RANGE_WRITE = 2
_CHUNK = 1 << 20


def copy(source: Path, target: Path) -> Digest:
    """Copy an artifact, with its permission bits, and digest the bytes that were copied.

    Raises:
        StoreError: it can't be read or written.
    """
    try:
        original = source.open("rb")
    except OSError as error:
        raise StoreError(f"can't read `{source}`: {error.strerror}") from error
    with explained(target), original as stream, target.open("xb") as copied:
        digest = digest_stream(stream, copied)
        os.fchmod(copied.fileno(), _permissions(os.fstat(stream.fileno())))
        copied.flush()
        _begin_to_sync(copied.fileno())
    return digest


def adopt(source: Path, target: Path, *, previous: Path) -> Digest:
    """Put an artifact's bytes at `target` and digest them; `previous` is the path of the artifact of the last run.

    If that has the same bytes and permissions, it is linked: an unchanged artifact costs no write, however large it is.

    Raises:
        StoreError: it can't be read or written.
    """
    if _same_artifact(source, previous):
        with contextlib.suppress(OSError):  # a filesystem without links
            os.link(previous, target, follow_symlinks=False)
            return digest_file(target)
    return copy(source, target)


def adopt_folder(source: Path, target: Path, *, previous: Path) -> None:
    """Put the files of a folder at `target`, each as `adopt` does, without links, pipes and the like.

    Raises:
        StoreError: something can't be read or written.
    """
    with explained(target):
        target.mkdir()
        for path in below(source):
            name = path.relative_to(source)
            if path.is_symlink():
                continue
            if path.is_dir():
                (target / name).mkdir(parents=True, exist_ok=True)
            elif path.is_file():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                adopt(path, target / name, previous=previous / name)


def same_files(first: Path, second: Path) -> bool:
    """Tell whether two folders have the same regular files in the same folders, byte by byte."""
    try:
        names = {path.relative_to(first) for path in below(first)}
        return names == {path.relative_to(second) for path in below(second)} and all(
            _same_entry(first / name, second / name) for name in names
        )
    except OSError:
        return False


def _same_entry(first: Path, second: Path) -> bool:
    modes = [path.lstat().st_mode for path in (first, second)]
    return all(map(stat.S_ISDIR, modes)) or same_bytes(first, second)


def same_bytes(first: Path, second: Path) -> bool:
    """Tell whether both are regular files, and of the same bytes.

    Raises:
        OSError: one of them can't be read.
    """
    here, there = first.lstat(), second.lstat()
    if not (stat.S_ISREG(here.st_mode) and stat.S_ISREG(there.st_mode)) or here.st_size != there.st_size:
        return False
    if os.path.samestat(here, there):
        return True
    with first.open("rb") as a, second.open("rb") as b:
        while chunk := a.read(_CHUNK):
            if chunk != b.read(_CHUNK):
                return False
    return True


def hold(source: Path, target: Path) -> None:
    """Keep the file at `source` under a second name, as a hard link or else a copy, so that replacing it loses nothing.

    Raises:
        StoreError: it can't be read or written.
    """
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f"{STAGING}{target.name}-{secrets.token_hex(6)}")
        try:
            try:
                os.link(source, new)
            except OSError:  # another filesystem, or one without links
                shutil.copy2(source, new)
            new.replace(target)
        finally:
            new.unlink(missing_ok=True)  # rename(2) does nothing if both names are links to the same file


def keep(source: Path, target: Path) -> None:
    """Keep a copy of a file, the only one in `target`'s folder, of a program that overwrites its output in place.

    Raises:
        StoreError: it can't be read or written.
    """
    with explained(target):
        shutil.rmtree(target.parent, ignore_errors=True)
        target.parent.mkdir(parents=True)
        shutil.copy2(source, target)


def _same_artifact(source: Path, previous: Path) -> bool:
    try:
        return _permissions(source.stat()) == stat.S_IMODE(previous.lstat().st_mode) and same_bytes(source, previous)
    except OSError:
        return False


def _permissions(status: os.stat_result) -> int:
    """Return an artifact's permission bits: writable by the owner alone, no setuid."""
    return stat.S_IMODE(status.st_mode) & 0o755 | 0o600


def _begin_to_sync(descriptor: int) -> None:
    """Start writing a large file to disk, so that syncing it later takes less time (sync_file_range(2))."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            offset = ctypes.c_int64(0)
            ctypes.CDLL(None).sync_file_range(descriptor, offset, offset, ctypes.c_uint(_SYNC_FILE_RANGE_WRITE))
