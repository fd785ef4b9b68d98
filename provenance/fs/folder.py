"""Reading a folder that nobody vouches for: regular files only, each inside it, none larger than expected."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from ..digest import Digest, digest_stream
from ..errors import ProvenanceError, UnreadableError, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

_LOOKS = 5
"""Times that a folder may be replaced while it is looked at, before what was found is said all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """An open folder. It stays the same folder, whatever is done to its path meanwhile.

    Attributes:
        path: for messages.
        names: of everything in it, sorted.
    """

    path: Path
    names: tuple[str, ...]
    _descriptor: int

    def read(self, name: str, limit: int) -> bytes:
        """Return the bytes of a file.

        Raises:
            UnreadableError: it is missing, no regular file, can't be read, or is larger than `limit` bytes.
        """
        with self._open(name) as stream:
            data = stream.read(limit + 1)
        if len(data) > limit:
            raise UnreadableError(f"larger than the {limit:,} bytes that are read of such a file")
        return data

    def digest(self, name: str) -> Digest:
        """Digest a file of any size.

        Raises:
            UnreadableError: it is missing, no regular file, or can't be read.
        """
        with self._open(name) as stream:
            return digest_stream(stream)

    def size(self, name: str) -> int:
        """Return the size of a file in bytes.

        Raises:
            UnreadableError: it is missing, no regular file, or can't be read.
        """
        with self._open(name) as stream:
            return os.fstat(stream.fileno()).st_size

    @contextmanager
    def _open(self, name: str) -> Iterator[BinaryIO]:
        # A link could lead to a file that is replaced after it was verified, and a pipe would wait for a writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(name, flags, dir_fd=self._descriptor)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise UnreadableError("not a regular file")
                with os.fdopen(descriptor, "rb", closefd=False) as stream:
                    yield stream
            finally:
                os.close(descriptor)
        except FileNotFoundError as error:
            raise UnreadableError("missing") from error
        except OSError as error:
            reason = "a symbolic link" if error.errno == errno.ELOOP else f"can't be read: {error.strerror}"
            raise UnreadableError(reason) from error


@contextmanager
def opened(path: Path) -> Iterator[Folder]:
    """Open the folder at `path`.

    Raises:
        UnreadableError: it is missing, no folder, or can't be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UnreadableError(f"can't read the folder {quoted(str(path))}: {error.strerror}") from error
    try:
        names = tuple(sorted(os.listdir(descriptor)))  # noqa: PTH208 - of the open folder; pathlib knows paths only
        yield Folder(path=path, names=names, _descriptor=descriptor)
    finally:
        os.close(descriptor)


def read_file(path: Path, limit: int) -> bytes:
    """Return the bytes of one file of a folder that nobody vouches for (`Folder.read`).

    Raises:
        UnreadableError: it is missing, no regular file, can't be read, or is larger than `limit` bytes.
    """
    with opened(path.parent) as folder:
        try:
            return folder.read(path.name, limit)
        except UnreadableError as error:
            raise UnreadableError(f"{quoted(path.name)}: {error.message}") from error


def steady(folder: Path, look: Callable[[], T]) -> T:
    """Return what a look at an artifact's folder finds.

    Where a run puts another folder in its place meanwhile, which empties the one that is being read, it is looked at
    again: neither the old one nor the new one is what that look found.

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
