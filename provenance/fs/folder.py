"""Reading below a folder that is not trusted: regular files only, reached without a link, none larger than expected."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ..digest import Digest, digest_stream
from ..errors import MissingFileError, ProvenanceError, UnreadableError, about, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedReader
    from pathlib import Path

T = TypeVar("T")

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A link could lead to a file that is replaced after it was verified, and a pipe would wait for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DEEPEST = 8
"""Folders inside each other that are listed; an image layout has three."""
_LOOKS = 5
"""How often a folder that is replaced meanwhile is read again before the error counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """An open folder. It stays the same folder, whatever happens to its path meanwhile.

    Files are named by their path in it, with `/`. Errors say what is wrong and not with which file.

    Attributes:
        path: for messages.
        names: of everything directly in it, sorted.
    """

    path: Path
    names: tuple[str, ...]
    _descriptor: int

    def read(self, name: str, limit: int) -> bytes:
        """Return the bytes of a file.

        Raises:
            UnreadableError: it is missing, not a regular file, can't be read, or is larger than `limit` bytes.
        """
        with self.open(name) as stream, _explained():
            data = stream.read(limit + 1)
        if len(data) > limit:
            raise UnreadableError(f"larger than the {limit:,} bytes that are read of such a file")
        return data

    def digest(self, name: str) -> Digest:
        """Digest a file of any size.

        Raises:
            UnreadableError: it is missing, not a regular file, or can't be read.
        """
        with self.open(name) as stream, _explained():
            return digest_stream(stream)

    def size(self, name: str) -> int:
        """Return the size of a file in bytes.

        Raises:
            UnreadableError: it is missing, not a regular file, or can't be read.
        """
        with self.open(name) as stream:
            return os.fstat(stream.fileno()).st_size

    @contextmanager
    def open(self, name: str) -> Iterator[BufferedReader]:
        """Open a file for reading.

        Raises:
            UnreadableError: it is missing, not a regular file, or can't be opened.
        """
        with _explained():
            descriptor = self._descend(name)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise UnreadableError("not a regular file")
        with os.fdopen(descriptor, "rb") as stream:
            yield stream

    def has(self, name: str) -> bool:
        """Tell whether a name exists, whatever it is.

        Raises:
            UnreadableError: it is reached through a link, or a folder can't be read.
        """
        folder, _, last = name.rpartition("/")
        with _explained():
            try:
                parent = self._descend(f"{folder}/.") if folder else os.dup(self._descriptor)
            except FileNotFoundError:
                return False
            try:
                os.stat(last, dir_fd=parent, follow_symlinks=False)
            except FileNotFoundError:
                return False
            finally:
                os.close(parent)
        return True

    def files(self) -> Iterator[str]:
        """Yield the path of everything but folders, and of each empty folder, with `/` at its end.

        Raises:
            UnreadableError: a folder can't be read, or is nested too deeply.
        """
        yield from self._below("", self._descriptor)

    def _descend(self, name: str) -> int:
        *folders, last = name.split("/")
        parent = os.dup(self._descriptor)
        try:
            for folder in folders:
                above, parent = parent, os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)
                os.close(above)
            return os.open(last, _FILE, dir_fd=parent)
        finally:
            os.close(parent)

    def _below(self, prefix: str, descriptor: int) -> Iterator[str]:
        if prefix.count("/") > _DEEPEST:
            raise UnreadableError(f"{quoted(prefix)}: more than {_DEEPEST} folders inside each other")
        with about(quoted(prefix or ".")), _explained():
            names = sorted(os.listdir(descriptor))
        if prefix and not names:
            yield prefix
        for name in names:
            with about(quoted(prefix + name)), _explained():
                is_folder = stat.S_ISDIR(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode)
                inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor) if is_folder else None
            if inner is None:
                yield prefix + name
                continue
            try:
                yield from self._below(f"{prefix}{name}/", inner)
            finally:
                os.close(inner)


@contextmanager
def opened(path: Path, *, follow: bool = True) -> Iterator[Folder]:
    """Open the folder at `path`; `follow` allows that to be a link.

    Raises:
        UnreadableError: it is missing, not a folder, or can't be read.
    """
    try:
        descriptor = os.open(path, _FOLDER if follow else _FOLDER | os.O_NOFOLLOW)
    except OSError as error:
        reason = "it is a symbolic link" if not follow and path.is_symlink() else error.strerror
        raise UnreadableError(f"can't read the folder {quoted(str(path))}: {reason}") from error
    try:
        names = tuple(sorted(os.listdir(descriptor)))  # noqa: PTH208 - of the open folder; pathlib knows paths only
        yield Folder(path=path, names=names, _descriptor=descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise MissingFileError("missing") from error
    except OSError as error:
        reasons = {errno.ELOOP: "a symbolic link", errno.ENOTDIR: "reached through a link, or not below a folder"}
        reason = reasons.get(error.errno or 0, f"can't be read: {error.strerror}")
        raise UnreadableError(reason) from error


def read_file(path: Path, limit: int) -> bytes:
    """Return the bytes of one file of a folder that is not trusted (`Folder.read`).

    Raises:
        UnreadableError: it is missing, not a regular file, can't be read, or is larger than `limit` bytes.
    """
    with opened(path.parent) as folder, about(quoted(path.name)):
        return folder.read(path.name, limit)


def steady(folder: Path, look: Callable[[], T]) -> T:
    """Return what `look` returns of an artifact's folder, again where another run has replaced the folder meanwhile.

    Replacing empties the folder that is being read, so that `look` saw neither the old artifact nor the new one.

    Raises:
        ProvenanceError: of the last look.
    """
    for _ in range(_LOOKS):
        before = _identity(folder)
        try:
            return look()
        except ProvenanceError:
            if _identity(folder) == before:
                raise
    return look()


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns
