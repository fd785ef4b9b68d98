"""Log files: one per artifact, with the tool output of the last run that built it."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

from ...provenance.fs import links

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ..artifacts import Artifact


class Logs:
    """The log files of one run, below one folder.

    The output of a group's call is one file, hard-linked under the name of each member. A run replaces a file when it
    first writes to it. If logs can't be written, `warn` is called once and the build continues.
    """

    def __init__(self, folder: Path, warn: Callable[[OSError], object]) -> None:
        self._folder = folder
        self._warn = warn
        self._warned = False
        self._opened: set[Path] = set()
        self._lock = threading.Lock()

    def path(self, artifact: Artifact) -> Path:
        """Return the path of an artifact's log."""
        folder = self._folder / artifact.folder
        return folder.with_name(f"{folder.name}.log")

    def has(self, artifact: Artifact) -> Path | None:
        """Return the path of an artifact's log if this run has written one."""
        path = self.path(artifact)
        return path if path in self._opened else None

    def open(self, artifacts: Sequence[Artifact]) -> Log:
        """Open the log of a tool call for `artifacts`."""
        log = Log(self._failed)
        with self._lock:
            try:
                log.attach(self._open(artifacts), self.path(artifacts[0]))
            except OSError as error:
                self._failed(error)
        return log

    def _open(self, artifacts: Sequence[Artifact]) -> int:
        first, *others = (self.path(a) for a in artifacts)
        for path in (first, *others):
            if link := links.first(self._folder.parent, path.parent):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(link))
        again = first in self._opened
        descriptor = _open(first, again=again)
        self._opened.add(first)
        for other in others:
            if other not in self._opened:
                self._opened.add(other)
                _link(first, other)
        return descriptor

    def _failed(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            self._warn(error)


class Log:
    """An open log; it accepts text even if the file can't be written."""

    def __init__(self, failed: Callable[[OSError], object]) -> None:
        self.path: Path | None = None
        self._descriptor = -1
        self._begin = 0
        self._complete = True
        self._failed = failed

    def attach(self, descriptor: int, path: Path) -> None:
        """Write to this file descriptor."""
        self._descriptor, self.path = descriptor, path
        self._begin = os.fstat(descriptor).st_size

    def write(self, text: str) -> None:
        """Append text immediately, so that the log can be followed during the build."""
        data = memoryview(text.encode(errors="replace"))
        try:
            while data and self._descriptor >= 0:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:  # a full disk
            self.close()
            self._complete = False
            self._failed(error)

    def read(self) -> str | None:
        """Return the text written since `attach`; `None` if some of it could not be written."""
        if self.path is None or not self._complete:
            return None
        try:
            with self.path.open(encoding="utf-8", errors="replace", newline="\n") as stream:
                stream.seek(self._begin)
                return stream.read()
        except OSError:
            return None

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def _open(path: Path, *, again: bool) -> int:
    if not again:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # never write through a link or into a file shared with other names
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | (0 if again else os.O_EXCL)
    return os.open(path, flags, 0o644)


def _link(log: Path, other: Path) -> None:
    other.parent.mkdir(parents=True, exist_ok=True)
    other.unlink(missing_ok=True)
    try:
        other.hardlink_to(log)
    except OSError:  # a filesystem without hard links
        other.symlink_to(os.path.relpath(log, other.parent))
