"""The files of an image layout that nobody vouches for: regular ones only, each reached without following a link."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from ..errors import StoreError, UnreadableError, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe would wait for its writer without O_NONBLOCK.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
DEEPEST = 8
"""Folders inside each other that are looked into; a layout has three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """An open folder, which stays the same whatever is done to its path meanwhile.

    Attributes:
        path: for messages.
    """

    path: Path
    _descriptor: int

    def read(self, name: str, limit: int) -> bytes:
        """Return the bytes of a file, named by its path in the folder with `/`.

        Raises:
            UnreadableError: it is missing, no regular file, can't be read, or is larger than `limit` bytes.
        """
        with self.open(name) as stream, _explained(name):
            data = stream.read(limit + 1)
        if len(data) > limit:
            raise UnreadableError(f"{quoted(name)} is larger than the {limit:,} bytes that are read of such a file")
        return data

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a file, likewise.

        Raises:
            UnreadableError: it is missing, no regular file, or can't be read.
        """
        with _explained(name):
            descriptor = self._descend(name)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UnreadableError(f"{quoted(name)} is no regular file")
            yield stream

    def has(self, name: str) -> bool:
        """Tell whether there is something of that name, whatever it is.

        Raises:
            UnreadableError: a folder on the way is none, a link, or can't be read.
        """
        folder, _, file = name.rpartition("/")
        with _explained(name):
            try:
                at = self._descend(f"{folder}/.") if folder else os.dup(self._descriptor)
            except FileNotFoundError:
                return False
            try:
                os.stat(file, dir_fd=at, follow_symlinks=False)
            except FileNotFoundError:
                return False
            finally:
                os.close(at)
        return True

    def files(self) -> Iterator[str]:
        """Yield the path of all that is no folder, and of each folder that holds nothing, with `/` behind it.

        Raises:
            UnreadableError: a folder can't be read, or lies too deep.
        """
        yield from self._below("", self._descriptor)

    def _descend(self, name: str) -> int:
        *folders, file = name.split("/")
        at = os.dup(self._descriptor)
        try:
            for folder in folders:
                above, at = at, os.open(folder, _FOLDER, dir_fd=at)
                os.close(above)
            return os.open(file, _FILE, dir_fd=at)
        finally:
            os.close(at)

    def _below(self, prefix: str, descriptor: int) -> Iterator[str]:
        if prefix.count("/") > DEEPEST:
            raise UnreadableError(f"{quoted(prefix)} lies deeper than any folder of a layout")
        with _explained(prefix or "."):
            names = sorted(os.listdir(descriptor))
        if prefix and not names:
            yield prefix
        for name in names:
            with _explained(prefix + name):
                is_folder = stat.S_ISDIR(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode)
            if not is_folder:
                yield prefix + name
                continue
            with _explained(prefix + name):
                inner = os.open(name, _FOLDER, dir_fd=descriptor)
            try:
                yield from self._below(f"{prefix}{name}/", inner)
            finally:
                os.close(inner)


@contextmanager
def opened_tree(path: Path) -> Iterator[Tree]:
    """Open the folder at `path`.

    Raises:
        UnreadableError: it is missing, a link, no folder, or can't be read.
    """
    try:
        descriptor = os.open(path, _FOLDER)
    except OSError as error:
        link = path.is_symlink()
        reason = "it is a symbolic link" if link else error.strerror
        raise UnreadableError(f"can't read the folder {quoted(str(path))}: {reason}") from error
    try:
        yield Tree(path=path, _descriptor=descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of what fails in the block that `path` can't be written.

    Raises:
        StoreError: the disk is full, the folder may not be written, …
    """
    try:
        yield
    except OSError as error:
        hint = "free some disk space and run again" if error.errno == errno.ENOSPC else None
        raise StoreError(f"can't write {quoted(str(error.filename or path))}: {error.strerror}", hint=hint) from error


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise UnreadableError(f"{quoted(name)} is missing") from error
    except OSError as error:
        link = error.errno in {errno.ELOOP, errno.ENOTDIR}
        reason = "is reached through a link, or no folder" if link else f"can't be read: {error.strerror}"
        raise UnreadableError(f"{quoted(name)} {reason}") from error
