"""The program that a command starts: where it lies, and its digest."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from ..freshness.inputs import ABSENT, Kind, Known, key, measure_file

if TYPE_CHECKING:
    from pathlib import Path

    from ...provenance.json import JSONValue
    from ..builder import Memory

_MEMORY = "command.programs"


class Programs:
    """Finds programs as the system does, and reads each once, until its signature is another.

    Args:
        root: where commands are started.
        memory: what earlier runs knew of programs.
    """

    def __init__(self, root: Path, memory: Memory) -> None:
        self._root = root
        self._memory = memory
        self._lock = threading.Lock()
        self._found: dict[str, str | None] = {}
        self._known: dict[str, Known] | None = None
        self._seen: dict[str, str] = {}

    def forget(self) -> None:
        """Look at every program again from now on."""
        with self._lock:
            self._found.clear()
            self._seen.clear()

    def own_file(self, word: str) -> str | None:
        """Return the path from the root of a program that lies in the workspace; `None`: it lies elsewhere.

        Such a program is an input as any other file is.
        """
        path = self._find(word)
        prefix = f"{self._root}{os.sep}"
        return path[len(prefix) :] if path and path.startswith(prefix) else None

    def value(self, word: str) -> str:
        """Return the value of the input `tool:WORD`: `sha256:…` of the program's file, or `absent`.

        Raises:
            ToolError: it can't be read.
        """
        path = self._find(word)
        if path is None:
            return ABSENT
        with self._lock:
            if path not in self._seen:
                known = self._remembered().get(path)
                found = measure_file(path, known)
                if found and found != known and found.signature:
                    self._remembered()[path] = found
                    self._memory.put(_MEMORY, {at: _to_json(one) for at, one in self._remembered().items()})
                self._seen[path] = f"sha256:{found.sha256}" if found else ABSENT
            return self._seen[path]

    def _find(self, word: str) -> str | None:
        """Return the absolute path of the program that is started by `word` in the root (execvp(3))."""
        with self._lock:
            if word not in self._found:
                self._found[word] = self._search(word)
            return self._found[word]

    def _search(self, word: str) -> str | None:
        folders = [""] if os.sep in word else os.environ.get("PATH", os.defpath).split(os.pathsep)
        for folder in folders:
            path = os.path.normpath(self._root / folder / word)
            if os.access(path, os.X_OK) and not (self._root / path).is_dir():
                return path
        return None

    def _remembered(self) -> dict[str, Known]:
        if self._known is None:
            found = self._memory.get(_MEMORY)
            entries = found.items() if isinstance(found, dict) else ()
            self._known = {path: known for path, entry in entries if (known := _from_json(entry))}
        return self._known


def tool_key(word: str) -> str:
    """Return the key of the input that a program outside the workspace is."""
    return key(Kind.TOOL, word)


def _to_json(known: Known) -> JSONValue:
    return [known.sha256, *(known.signature or ())]


def _from_json(entry: JSONValue) -> Known | None:
    match entry:
        case [str(sha256), int(size), int(mtime), int(ctime), int(inode)]:
            return Known(sha256, (size, mtime, ctime, inode))
    return None
