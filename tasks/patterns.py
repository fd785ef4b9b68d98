"""Patterns over the files of a workspace: `*`, `?` and `[…]` within a name, `**` for any number of folders."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ..provenance.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_NEVER = frozenset({".git", "__pycache__", ".provenance"})
"""Folders that change by being looked at, or that hold our own state."""


def is_pattern(text: str) -> bool:
    """Tell whether a text stands for more than the file of that name."""
    return any(c in text for c in "*?[")


def expand(root: Path, pattern: str, *, skipped: Collection[Path] = ()) -> list[str]:
    """Return the files below `root` that a pattern matches, as sorted paths from there.

    Links to folders are not followed, so no loop of links is walked. Only folders that the pattern can reach are read:
    what lies beside them costs nothing, however much it is.

    Args:
        root: absolute.
        pattern: `/` parts names; without `*`, `?` or `[` it is the file itself, if there is one.
        skipped: absolute paths of folders that are not looked into.

    Raises:
        ToolError: a folder can't be read.
    """
    away = frozenset(os.path.relpath(path, root) for path in skipped)
    return sorted(set(_walk(str(root), "", tuple(pattern.split("/")), away)))


def _walk(root: str, folder: str, wanted: tuple[str, ...], away: frozenset[str]) -> Iterator[str]:
    first, rest = wanted[0], wanted[1:]
    if not is_pattern(first):
        path = os.path.join(folder, first) if folder else first
        if not rest:
            if os.path.isfile(os.path.join(root, path)):
                yield path
        elif os.path.normpath(path) not in away:
            yield from _walk(root, path, rest, away)
        return
    if first == "**" and rest:
        yield from _walk(root, folder, rest, away)
    matches = None if first == "**" else re.compile(_translate(first)).fullmatch
    for entry in _entries(os.path.join(root, folder)):
        path = os.path.join(folder, entry.name) if folder else entry.name
        if entry.is_dir(follow_symlinks=False):
            if entry.name in _NEVER or path in away:
                continue
            if first == "**":
                yield from _walk(root, path, wanted, away)
            elif rest and matches and matches(entry.name):
                yield from _walk(root, path, rest, away)
        elif not rest and (matches is None or matches(entry.name)) and entry.is_file():
            yield path


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ToolError(f"a folder of inputs can't be read: `{folder}`: {error.strerror}") from error


def _translate(part: str) -> str:
    """Return a regular expression for one name; a leading dot is matched like any other character."""
    found = []
    index = 0
    while index < len(part):
        char = part[index]
        end = part.find("]", index + 2) if char == "[" else -1
        if char == "*":
            found.append(".*")
        elif char == "?":
            found.append(".")
        elif end > 0:
            inside = part[index + 1 : end].replace("\\", r"\\")
            found.append(f"[{'^' + inside[1:] if inside[0] == '!' else inside}]")
            index = end
        else:
            found.append(re.escape(char))
        index += 1
    return "(?s:" + "".join(found) + ")"
