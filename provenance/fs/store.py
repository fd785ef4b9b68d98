"""The output folder: one folder per artifact, replaced atomically."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import secrets
import shutil
import sys
from typing import TYPE_CHECKING

from ..errors import StoreError, quoted
from ..record import RECORD_SUFFIX
from . import links

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
STAGING = ".staging-"
"""Prefix of the names of staging folders, which are siblings of the folders that they replace."""
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM}


def prepare(folder: Path) -> None:
    """Make `folder`, with a `.gitignore` that ignores all of it.

    Raises:
        StoreError: it can't be made or written.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not os.path.lexists(ignore):  # writing through a dangling link would create its target
            try:
                ignore.write_text("*\n", encoding="ascii")
            except OSError:
                ignore.unlink(missing_ok=True)  # an empty one would stay
                raise


@contextlib.contextmanager
def staging_for(output: Path, folder: Path) -> Iterator[Path]:
    """Yield an empty sibling of `output / folder`, on the same filesystem; it is removed when the block ends.

    Raises:
        StoreError: the disk is full, the folder may not be written, a file of the user is in its place, …
    """
    target = output / folder
    if os.path.lexists(target) and (target.is_symlink() or not target.is_dir()):
        raise StoreError(f"`{target}` is in the way: it is not a folder", hint="move it elsewhere and run again")
    if links.first(output, target) is not None and not _may_be_ours(target):
        raise StoreError(
            f"`{target}` is in the way: a link leads there, and it holds no record",
            hint="remove the link, or move the folder elsewhere",
        )
    with explained(target):
        prepare(output)
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target)
        staging = target.with_name(f"{STAGING}{target.name}-{secrets.token_hex(6)}")
        staging.mkdir()
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)  # after a commit it is the old folder


def _may_be_ours(folder: Path) -> bool:
    """Tell whether a folder is absent, empty or an artifact's; a link may lead to any folder."""
    with explained(folder):
        names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return not names or any(name.endswith(RECORD_SUFFIX) for name in names)


def left_over(target: Path) -> list[Path]:
    """Return the staging folders that killed runs left for the artifact whose folder is `target`, sorted.

    Those of other artifacts, whose names may begin with this one's, may be in use by another thread.

    Raises:
        OSError: the folder around it can't be read.
    """
    own = re.compile(rf"{re.escape(STAGING + target.name)}-[0-9a-f]{{12}}(?:-old)?")
    if not target.parent.is_dir():
        return []
    return sorted(path for path in target.parent.iterdir() if own.fullmatch(path.name) and not path.is_symlink())


def sweep(target: Path) -> None:
    """Remove staging folders that were left over, as far as possible; no reader takes them for artifacts."""
    with contextlib.suppress(OSError):
        for path in left_over(target):
            shutil.rmtree(path, ignore_errors=True)


def commit(staging: Path, target: Path) -> None:
    """Replace `target` by `staging` atomically.

    Its files are synced before the swap, which is one system call where the kernel has it (`renameat2` with
    `RENAME_EXCHANGE`). Killed at any point, a reader sees the old folder or the new one.

    Raises:
        StoreError: it failed; the old folder is unchanged.
    """
    with explained(target):
        for path in below(staging):
            _sync(path)
        _sync(staging)
        _swap(staging, target)
        _sync(target.parent)


def write(path: Path, data: bytes) -> None:
    """Write a new file.

    Raises:
        StoreError: the disk is full, the folder may not be written, …
    """
    with explained(path), path.open("xb") as stream:
        stream.write(data)


def below(folder: Path) -> Iterator[Path]:
    """Yield everything in a folder, the deepest first; links are not followed."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from below(path)
        yield path


def _swap(staging: Path, target: Path) -> None:
    if not os.path.lexists(target):
        staging.rename(target)
    elif not _exchange(staging, target):
        # No atomic exchange here: for a moment there is no folder, which no reader takes for evidence.
        old = staging.with_name(f"{staging.name}-old")
        target.rename(old)
        try:
            staging.rename(target)
        except OSError:
            old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two names in one step; `False` where kernel, C library or filesystem can't (renameat2(2))."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    if renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(second))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a StoreError with a hint; `path` is named unless the error names another.

    Raises:
        StoreError: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        hints = {
            errno.ENOSPC: "free some disk space and run again; what was there before is untouched",
            errno.EROFS: "the filesystem is read-only; `[project] output` in provenance.toml names another folder",
            errno.EACCES: "make the folder writable, or name another in `[project] output` of provenance.toml",
        }
        name = error.filename or path
        raise StoreError(f"can't write `{name}`: {error.strerror}", hint=hints.get(error.errno or 0)) from error


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a StoreError, likewise, for files outside the output folder.

    Raises:
        StoreError: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        hint = "free some disk space and run again" if error.errno == errno.ENOSPC else None
        raise StoreError(f"can't write {quoted(str(error.filename or path))}: {error.strerror}", hint=hint) from error
