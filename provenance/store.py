"""The output folder: one folder per artifact, which is replaced as a whole or not at all."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import secrets
import shutil
import stat
import sys
from typing import TYPE_CHECKING

from . import links
from .digest import Digest, digest_file, digest_stream
from .errors import StoreError
from .record import RECORD_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_SYNC_FILE_RANGE_WRITE = 2
_CHUNK = 1 << 20
STAGING = ".staging-"
"""How the name of a folder begins that is being put together, beside the place that it is for."""
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM}


def prepare(folder: Path) -> None:
    """Make `folder`, and let it ignore itself for git.

    Raises:
        StoreError: it can't be made or written.
    """
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not os.path.lexists(ignore):  # a link that leads nowhere must not come to lead to a file of ours
            try:
                ignore.write_text("*\n", encoding="ascii")
            except OSError:
                ignore.unlink(missing_ok=True)  # an empty one would stay for ever
                raise


@contextlib.contextmanager
def staging_for(output: Path, folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `output / folder`, on the same filesystem; it is gone when the block ends.

    Raises:
        StoreError: the disk is full, the folder may not be written, something of the user's is in its place, …
    """
    target = output / folder
    if os.path.lexists(target) and (target.is_symlink() or not target.is_dir()):
        raise StoreError(f"`{target}` is in the way: it is not a folder", hint="move it elsewhere and run again")
    if links.first(output, target) is not None and not _may_be_ours(target):
        raise StoreError(
            f"`{target}` is in the way: a link leads there, and it holds no record",
            hint="remove the link, or move the folder elsewhere",
        )
    with _explained(target):
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
    """Tell whether a folder is absent, empty or an artifact's; a link may lead to any that has a platform's name."""
    with _explained(folder):
        names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return not names or any(name.endswith(RECORD_SUFFIX) for name in names)


def left_over(target: Path) -> list[Path]:
    """Return what killed runs left of their staging folders for the artifact whose folder is `target`, sorted.

    Only for this one: its name may be how another's begins, which is being staged in another thread.

    Raises:
        OSError: the folder around it can't be read.
    """
    own = re.compile(rf"{re.escape(STAGING + target.name)}-[0-9a-f]{{12}}(?:-old)?")
    if not target.parent.is_dir():
        return []
    return sorted(path for path in target.parent.iterdir() if own.fullmatch(path.name) and not path.is_symlink())


def sweep(target: Path) -> None:
    """Remove what is left over. What can't be removed stays; no reader takes it for an artifact."""
    with contextlib.suppress(OSError):
        for path in left_over(target):
            shutil.rmtree(path, ignore_errors=True)


def commit(staging: Path, target: Path) -> None:
    """Let `staging` take the place of `target`, as a whole.

    Its files are synced before the swap, and the swap is one system call where the kernel has it (`renameat2` with
    `RENAME_EXCHANGE`). Killed at any point, what a reader finds is the old folder or the new one.

    Raises:
        StoreError: it can't be done; the old folder is as it was.
    """
    with _explained(target):
        for path in _below(staging):
            _sync(path)
        _sync(staging)
        _swap(staging, target)
        _sync(target.parent)


def write(path: Path, data: bytes) -> None:
    """Write a new file.

    Raises:
        StoreError: the disk is full, the folder may not be written, …
    """
    with _explained(path), path.open("xb") as stream:
        stream.write(data)


def copy(source: Path, target: Path) -> Digest:
    """Copy an artifact, with its permission bits, and digest the bytes that were copied.

    Raises:
        StoreError: it can't be read or written.
    """
    try:
        original = source.open("rb")
    except OSError as error:
        raise StoreError(f"can't read `{source}`: {error.strerror}") from error
    with _explained(target), original as stream, target.open("xb") as copied:
        digest = digest_stream(stream, copied)
        os.fchmod(copied.fileno(), _permissions(os.fstat(stream.fileno())))
        copied.flush()
        _begin_to_sync(copied.fileno())
    return digest


def adopt(source: Path, target: Path, *, previous: Path) -> Digest:
    """Put an artifact's bytes at `target` and digest them; `previous` is the one that is there so far, if any.

    Where that one has the same bytes and permissions, it is linked instead of being written once more: an artifact that
    did not change costs no write, however large it is.

    Raises:
        StoreError: it can't be read or written.
    """
    if _same_artifact(source, previous):
        with contextlib.suppress(OSError):  # a filesystem without links
            os.link(previous, target, follow_symlinks=False)
            return digest_file(target)
    return copy(source, target)


def adopt_folder(source: Path, target: Path, *, previous: Path) -> None:
    """Put the files of a folder at `target`, each as `adopt` does; what is neither file nor folder is left out.

    Raises:
        StoreError: something can't be read or written.
    """
    with _explained(target):
        target.mkdir()
        for path in _below(source):
            name = path.relative_to(source)
            if path.is_dir():
                (target / name).mkdir(exist_ok=True)
            elif path.is_file():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                adopt(path, target / name, previous=previous / name)


def same_files(first: Path, second: Path) -> bool:
    """Tell whether two folders hold the same regular files in the same folders, byte by byte."""
    try:
        names = {path.relative_to(first) for path in _below(first)}
        return names == {path.relative_to(second) for path in _below(second)} and all(
            _same_entry(first / name, second / name) for name in names
        )
    except OSError:
        return False


def _same_entry(first: Path, second: Path) -> bool:
    modes = [path.lstat().st_mode for path in (first, second)]
    return all(map(stat.S_ISDIR, modes)) or same_bytes(first, second)


def same_bytes(first: Path, second: Path) -> bool:
    """Tell whether two regular files hold the same bytes; one that is missing, a link or no file does not.

    Raises:
        OSError: one of them can't be read.
    """
    one, other = first.lstat(), second.lstat()
    if not (stat.S_ISREG(one.st_mode) and stat.S_ISREG(other.st_mode)) or one.st_size != other.st_size:
        return False
    if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino):
        return True
    with first.open("rb") as a, second.open("rb") as b:
        while chunk := a.read(_CHUNK):
            if chunk != b.read(_CHUNK):
                return False
    return True


def hold(source: Path, target: Path) -> None:
    """Keep the file that `source` names now under a second name, whatever `source` comes to name later.

    That is a link where the filesystem has them, else a copy.

    Raises:
        StoreError: it can't be read or written.
    """
    with _explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f"{STAGING}{target.name}-{secrets.token_hex(6)}")
        try:
            try:
                os.link(source, new)
            except OSError:  # another filesystem, or one without links
                shutil.copy2(source, new)
            new.replace(target)
        finally:
            new.unlink(missing_ok=True)  # two names of one file can't take each other's place


def keep(source: Path, target: Path) -> None:
    """Keep a copy of a file as the only one in `target`'s folder, for programs that write anew into a file they left.

    Raises:
        StoreError: it can't be read or written.
    """
    with _explained(target):
        shutil.rmtree(target.parent, ignore_errors=True)
        target.parent.mkdir(parents=True)
        shutil.copy2(source, target)


def _below(folder: Path) -> Iterator[Path]:
    """Yield all that is in a folder, what is deepest first; links are not followed."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from _below(path)
        yield path


def _same_artifact(source: Path, previous: Path) -> bool:
    try:
        return _permissions(source.stat()) == stat.S_IMODE(previous.lstat().st_mode) and same_bytes(source, previous)
    except OSError:
        return False


def _permissions(found: os.stat_result) -> int:
    """Return what an artifact's permission bits become: never more than its owner may write, no setuid."""
    return stat.S_IMODE(found.st_mode) & 0o755 | 0o600


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


def _begin_to_sync(descriptor: int) -> None:
    """Let the kernel begin to write a large file out, so that syncing it later waits less (sync_file_range(2))."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            offset = ctypes.c_int64(0)
            ctypes.CDLL(None).sync_file_range(descriptor, offset, offset, ctypes.c_uint(_SYNC_FILE_RANGE_WRITE))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
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
