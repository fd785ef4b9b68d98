"""The program that a command starts: where it lies, and its digest."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from ..freshness.inputs import ABSENT, Kind, key

if TYPE_CHECKING:
    from ..programs import Programs as Digests


class Programs:
    """Finds programs as the system does, and digests them.

    Args:
        root: where commands are started.
        digests: of programs, as the workspace knows them.
    """

    def __init__(self, root: Path, digests: Digests) -> None:
        self._root = root
        self._digests = digests
        self._lock = threading.Lock()
        self._found: dict[str, str | None] = {}

    def forget(self) -> None:
        """Look at every program again from now on."""
        with self._lock:
            self._found.clear()
        self._digests.forget()

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
        sha256 = self._digests.digest(Path(path))
        return f"sha256:{sha256}" if sha256 else ABSENT

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


def tool_key(word: str) -> str:
    """Return the key of the input that a program outside the workspace is."""
    return key(Kind.TOOL, word)
