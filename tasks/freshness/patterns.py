"""Patterns over the files of a workspace: `*`, `?` and `[…]` within a name, `**` for any number of folders.

Behind ` !` may stand patterns that take files away again: `src/** !src/gen/**`.

Links to folders are followed only where the beginning of a pattern names them, before its first wildcard: no loop of
links is walked, and no file is found twice. Names that begin with a dot are matched like any others; git's folder,
Python's caches and our own state, which change by being looked at, by their own names alone and by no wildcard.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import stat
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from ...provenance.errors import ToolError, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path

WITHOUT = " !"
"""Parts a pattern from one that takes files away."""

_DEEP = "**"
_NEVER = frozenset({".git", "__pycache__", ".provenance"})
_NOTHING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
"""What the system says of a path at which nothing lies: a link that leads to itself is nothing either."""

Places: TypeAlias = frozenset[int]
"""Which parts of a pattern may match the next name of a path: states of an automaton."""


def is_pattern(text: str) -> bool:
    """Tell whether a text stands for more than the file of that name."""
    return "*" in text or "?" in text or "[" in text


def beginning(pattern: str) -> str:
    """Return the folder that all files lie in which a pattern can stand for; empty: the root.

    >>> beginning("dist/*.whl"), beginning("out/x/a.txt"), beginning("a.txt")
    ('dist', 'out/x', '')
    """
    parts = _parts(pattern.partition(WITHOUT)[0])
    fixed = next((index for index, part in enumerate(parts) if is_pattern(part)), len(parts) - 1)
    return "/".join(parts[:fixed])


def expand(root: Path, pattern: str, *, skipped: Collection[Path] = ()) -> list[str]:
    """Return the files that a pattern matches, as sorted paths from `root`.

    Each folder that the pattern can reach is read once; what lies beside them costs nothing, however much it is.

    Args:
        root: absolute.
        pattern: `/` parts names; one without `*`, `?` and `[` is the file itself, if there is one. A name is matched by
            itself too, whatever its characters.
        skipped: absolute paths of folders that are not looked into.

    Raises:
        ToolError: a folder can't be read.
    """
    wanted, *unwanted = pattern.split(WITHOUT)
    parts = _parts(wanted)
    if not parts:
        return []
    fixed = next((index for index, part in enumerate(parts) if is_pattern(part)), len(parts) - 1)
    walk = _Walk(
        root=str(root),
        wanted=_automaton(parts[fixed:]),
        unwanted=tuple(_automaton(_parts(one)) for one in unwanted),
        away=_away(str(root), tuple(skipped)),
    )
    return sorted(walk.files(parts[:fixed]))


def matches(pattern: str, path: str) -> bool:
    """Tell whether a pattern stands for a file of this path, whether or not there is one."""
    wanted, *unwanted = (_automaton(_parts(one)) for one in pattern.split(WITHOUT))
    return _takes(wanted, path) and not any(_takes(one, path) for one in unwanted)


def _takes(automaton: _Automaton, path: str) -> bool:
    *folders, name = path.split("/")
    places = automaton.at({0})
    for folder in folders:
        places = automaton.into(places, folder)
    return automaton.takes(places, name)


def below(root: Path, folder: str, *, skipped: Collection[Path] = ()) -> list[str]:
    """Return all files below a folder, whatever characters its name has; else as `expand`.

    Args:
        root: absolute.
        folder: its path from `root`, or an absolute one.
        skipped: as for `expand`.

    Raises:
        ToolError: a folder can't be read.
    """
    walk = _Walk(root=str(root), wanted=_automaton((_DEEP,)), unwanted=(), away=_away(str(root), tuple(skipped)))
    return sorted(walk.files(_parts(folder)))


def _parts(pattern: str) -> tuple[str, ...]:
    """Return the names in a pattern; two `**` side by side are one, and an absolute path begins with `/`."""
    found = ["/"] if pattern.startswith("/") else []
    for part in pattern.split("/"):
        if part not in {"", "."} and not (part == _DEEP and found[-1:] == [_DEEP]):
            found.append(part)
    return tuple(found)


@lru_cache(maxsize=16)
def _away(root: str, skipped: tuple[Path, ...]) -> frozenset[str]:
    return frozenset(os.path.relpath(path, root) for path in skipped)


@lru_cache(maxsize=4096)
def _matcher(part: str) -> Callable[[str], object]:
    return re.compile(fnmatch.translate(part)).match


def _matches(part: str, name: str) -> bool:
    if part == name:
        return True
    return is_pattern(part) and name not in _NEVER and (part == _DEEP or bool(_matcher(part)(name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Automaton:
    """Follows one pattern along the names of a path."""

    parts: tuple[str, ...]

    def at(self, places: Iterable[int]) -> Places:
        """Return these places, with those that `**` leads to by standing for no folder."""
        found = set(places)
        last = len(self.parts) - 1
        return frozenset(found | {place + 1 for place in found if self.parts[place] == _DEEP and place < last})

    def into(self, places: Places, name: str) -> Places:
        """Return the places inside of a folder of this name; none: nothing below it can match."""
        last = len(self.parts) - 1
        return self.at(
            place if self.parts[place] == _DEEP else place + 1
            for place in places
            if _matches(self.parts[place], name) and (self.parts[place] == _DEEP or place < last)
        )

    def takes(self, places: Places, name: str) -> bool:
        """Tell whether it matches a file of this name."""
        last = len(self.parts) - 1
        return last in places and _matches(self.parts[last], name)

    def takes_all(self, places: Places) -> bool:
        """Tell whether it matches every file from here on, however deep."""
        return len(self.parts) - 1 in places and self.parts[-1] == _DEEP

    def only(self, places: Places) -> list[str] | None:
        """Return the names that alone can match here; `None`: there is no such list."""
        names = {self.parts[place] for place in places}
        return None if is_pattern("".join(names)) else sorted(names)


@lru_cache(maxsize=4096)
def _automaton(parts: tuple[str, ...]) -> _Automaton:
    return _Automaton(parts=parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walk:
    """Finds the files that `wanted` matches and none of `unwanted` does; it looks into no folder of `away`."""

    root: str
    wanted: _Automaton
    unwanted: tuple[_Automaton, ...]
    away: frozenset[str]

    def files(self, beginning: Sequence[str]) -> Iterator[str]:
        """Yield the files below the folder of these names."""
        folder, refused = "", tuple(one.at({0}) for one in self.unwanted)
        for name in beginning:
            folder = _join(folder, name)
            refused = self._refused_in(refused, name) if refused else refused
            if (os.path.normpath(folder) if ".." in folder else folder) in self.away:
                return
        pending = [(folder, self.wanted.at({0}), refused)]  # a stack of its own: folders may lie deeper than Python's
        while pending:
            folder, places, refused = pending.pop()
            for name, mode in _entries(_join(self.root, folder), self.wanted.only(places)):
                path = _join(folder, name)
                if not stat.S_ISDIR(mode):
                    if self.wanted.takes(places, name) and not self._refuses(refused, name):
                        yield from self._file(path, mode)
                elif (inner := self.wanted.into(places, name)) and path not in self.away:
                    inside = self._refused_in(refused, name) if refused else refused
                    if not any(one.takes_all(at) for one, at in zip(self.unwanted, inside, strict=True)):
                        pending.append((path, inner, inside))

    def _file(self, path: str, mode: int) -> Iterator[str]:
        """Yield `path` if it is a file or a link to one."""
        if stat.S_ISREG(mode) or (stat.S_ISLNK(mode) and _kind(_join(self.root, path)) == stat.S_IFREG):
            yield path

    def _refused_in(self, refused: tuple[Places, ...], name: str) -> tuple[Places, ...]:
        return tuple(one.into(at, name) for one, at in zip(self.unwanted, refused, strict=True))

    def _refuses(self, refused: tuple[Places, ...], name: str) -> bool:
        return any(one.takes(at, name) for one, at in zip(self.unwanted, refused, strict=True))


def _join(folder: str, name: str) -> str:
    return name if not folder or name.startswith("/") else f"{folder.rstrip('/')}/{name}"


def _entries(folder: str, only: Sequence[str] | None) -> Iterator[tuple[str, int]]:
    """Yield name and file type (the bits of `st_mode`; links are not followed) of what lies in a folder.

    It is read, unless `only` names all that is asked for.
    """
    if only is not None:
        for name in only:
            if kind := _kind(_join(folder, name), follow=False):
                yield name, kind
        return
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except OSError as error:
        if error.errno in _NOTHING:
            return
        raise _unreadable(folder, error) from error
    for entry in entries:
        yield entry.name, _type_of(entry)


def _type_of(entry: os.DirEntry[str]) -> int:
    """Return the file type of an entry, without asking for more than the folder said where it said it."""
    if entry.is_file(follow_symlinks=False):
        return stat.S_IFREG
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    return stat.S_IFLNK if entry.is_symlink() else 0


def _kind(path: str, *, follow: bool = True) -> int:
    """Return the file type of what lies at `path`; 0: nothing, or a link that leads to nothing.

    Raises:
        ToolError: it may not be looked at.
    """
    try:
        return stat.S_IFMT(os.stat(path, follow_symlinks=follow).st_mode)  # noqa: PTH116 - called for very many paths
    except OSError as error:
        if error.errno in _NOTHING:
            return 0
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> ToolError:
    return ToolError(f"inputs can't be looked for in {quoted(path)}: {error.strerror}")
