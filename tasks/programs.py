"""Digests of build tools, cached until the file's stat signature changes."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from .freshness.inputs import FileStamp, measure_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .memory import Memory

_KEY = "programs"


class Programs:
    """Cached digests of programs, which are large files."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._known: dict[str, FileStamp] | None = None
        self._seen: dict[str, str] = {}
        self._found: dict[tuple[str, Path], Path | None] = {}

    def find(self, word: str, root: Path) -> Path | None:
        """Return the absolute path of the program that `word` starts in the folder `root` (execvp(3)), or `None`."""
        with self._lock:
            if (word, root) not in self._found:
                self._found[word, root] = find_program(word, root)
            return self._found[word, root]

    def digest(self, path: Path) -> str:
        """Return the sha256 of a program in hex; empty if it does not exist.

        Raises:
            ToolError: it can't be read.
        """
        return self.digests([path])[0]

    def digests(self, paths: Iterable[Path]) -> list[str]:
        """Return the sha256 of each program; they are read in parallel.

        Raises:
            ToolError: one can't be read.
        """
        wanted = [os.fspath(path) for path in paths]
        with self._lock:
            known = self._read()
            if missing := [path for path in wanted if path not in self._seen]:
                found = _measure(missing, known)
                self._seen |= {path: one.sha256 if one else "" for path, one in found.items()}
                fresh = {path: one for path, one in found.items() if one and one.signature}
                if any(known.get(path) != one for path, one in fresh.items()):
                    known |= fresh
                    self._memory.put(_KEY, {path: one.to_json() for path, one in known.items()})
            return [self._seen[path] for path in wanted]

    def together(self, paths: Iterable[Path]) -> str:
        """Return a combined sha256 of several programs and their names.

        Raises:
            ToolError: one can't be read.
        """
        every = list(paths)
        pairs = zip((path.name for path in every), self.digests(every), strict=True)
        return hashlib.sha256("\0".join(f"{name}\0{sha256}" for name, sha256 in pairs).encode()).hexdigest()

    def forget(self) -> None:
        """Discard what was cached in this process."""
        with self._lock:
            self._seen.clear()
            self._found.clear()

    def _read(self) -> dict[str, FileStamp]:
        if self._known is None:
            found = self._memory.get(_KEY)
            entries = found.items() if isinstance(found, dict) else ()
            read = ((path, FileStamp.from_json(entry)) for path, entry in entries)
            self._known = {path: known for path, known in read if known and known.signature}
        return self._known


def find_program(word: str, root: Path) -> Path | None:
    """Return the absolute path of the program that `word` starts in the folder `root` (execvp(3)), or `None`."""
    folders = [""] if os.sep in word else os.environ.get("PATH", os.defpath).split(os.pathsep)
    for folder in folders:
        path = Path(os.path.normpath(root / folder / word))
        if os.access(path, os.X_OK) and not path.is_dir():
            return path
    return None


def _measure(paths: list[str], known: Mapping[str, FileStamp]) -> dict[str, FileStamp | None]:
    if paths == [path for path in paths if path in known]:
        return {path: measure_file(path, known[path]) for path in paths}
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="programs") as pool:
        return dict(zip(paths, pool.map(measure_file, paths, map(known.get, paths)), strict=True))
