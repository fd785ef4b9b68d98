"""A build context: the files, links and folders that BuildKit would be sent of a folder (fsutil's `filterFS.Walk`)."""

from __future__ import annotations

import hashlib
import os
import stat
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from ...provenance.digest import read_limited
from ...provenance.errors import ToolError, UnreadableError, quoted
from .dockerignore import LIMIT, Ignore, read_patterns

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from .dockerignore import Matched

_IGNORED = (".git", "**/__pycache__")
"""What is not sent unless a line of `.dockerignore` takes it back: no two checkouts have the same there."""
_BY = " !"
"""Parts the folder of a context, in the name of its input, from the Dockerfile whose own `.dockerignore` may count."""


class Type(StrEnum):
    """What an entry of a context is."""

    FILE = "file"
    PROGRAM = "program"
    """A file that its owner may execute. No other permissions count: they differ with the umask of who checked out."""
    LINK = "link"
    FOLDER = "folder"


class Entry(NamedTuple):
    """One of a context: its path from the context's root, what it is, and for a link what it leads to."""

    path: str
    type: Type
    target: str = ""


def name_of(folder: str, dockerfile: str | None) -> str:
    """Return the name of the input that a context is.

    Args:
        folder: from the workspace's root.
        dockerfile: likewise, where the context is a Dockerfile's main one: a `.dockerignore` that has its name counts
            before the folder's.
    """
    return f"{folder}{_BY}{dockerfile}" if dockerfile else folder


def folder_of(name: str) -> str:
    """Return the folder of a context, from the workspace's root."""
    return name.partition(_BY)[0]


def entries(root: Path, name: str, skipped: Collection[Path] = ()) -> list[Entry]:
    """Return all that is sent of a context, sorted by path.

    Args:
        root: the workspace's, absolute.
        name: of the context's input.
        skipped: absolute paths of folders that are never sent.

    Raises:
        UnreadableError: its `.dockerignore` can't be understood.
        ToolError: it is no folder of the workspace, can't be read, or holds what can't be sent.
    """
    folder, _, dockerfile = name.partition(_BY)
    place = _place(root, folder)
    own = root / f"{dockerfile}.dockerignore" if dockerfile else None
    ignore = Ignore((*_IGNORED, *_patterns(root, place, own)))
    away = {os.path.relpath(path, place) for path in skipped}
    return sorted(_walk(place, ignore, away), key=lambda entry: entry.path)


def files(root: Path, name: str, skipped: Collection[Path] = ()) -> list[str]:
    """Return the files that are sent of a context, as sorted paths from the workspace's root; else as `entries`."""
    folder = folder_of(name)
    found = entries(root, name, skipped)
    paths = (entry.path for entry in found if entry.type in {Type.FILE, Type.PROGRAM})
    return sorted(os.path.normpath(f"{folder}/{path}") for path in paths)


def digest(found: Iterable[Entry]) -> str:
    """Return the value of a context's input: sha256 of its entries, but for the bytes of its files."""
    lines = (f"{entry.type}\0{entry.path}\0{entry.target}\0" for entry in found)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _place(root: Path, folder: str) -> Path:
    place = root / folder
    try:
        real = place.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        hint = "correct `context` or `contexts` in provenance.toml"
        raise ToolError(f"the context {quoted(folder)} can't be read: no such folder", hint=hint) from error
    if not real.is_dir() or not real.is_relative_to(root.resolve()):
        raise ToolError(f"the context {quoted(folder)} is no folder of the workspace")
    return real


def _patterns(root: Path, place: Path, own: Path | None) -> list[str]:
    """Return the patterns of the first of the two files that is there (`dockerui.dockerIgnorePatterns`)."""
    for path in (own, place / ".dockerignore"):
        if path is None or not os.path.lexists(path):
            continue
        name = os.path.relpath(path, root)
        if not path.resolve().is_relative_to(root.resolve()) or not path.is_file():
            raise UnreadableError(f"{quoted(name)} is no file of the workspace")
        return read_patterns(read_limited(path, LIMIT), name)
    return []


def _walk(place: Path, ignore: Ignore, away: Collection[str]) -> Iterator[Entry]:
    """Yield what is sent; folders that are not are looked into only where something in them may be taken back."""
    pending: list[tuple[str, Matched | None, tuple[str, ...]]] = [("", None, ())]
    sent: set[str] = set()
    while pending:
        folder, parent, unsent = pending.pop()
        inside = ignore.inside(folder, parent)
        for found in _scan(place, folder, can_be_lost=bool(unsent)):
            path = f"{folder}/{found.name}" if folder else found.name
            is_out, matched = inside.matches(path)
            is_folder = found.is_dir(follow_symlinks=False)
            if is_folder and path not in away and not (is_out and ignore.is_lost(path)):
                pending.append((path, matched, (*unsent, path) if is_out else ()))
            if is_out or (is_folder and path in away):
                continue
            for above in unsent:  # folders that are sent only for what is taken back in them
                if above not in sent:
                    sent.add(above)
                    yield Entry(above, Type.FOLDER)
            yield _entry(found, path)


def _entry(found: os.DirEntry[str], path: str) -> Entry:
    if not path.isprintable():
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise ToolError(f"a name in a build context is not UTF-8: {quoted(path)}", hint=_HINT) from error
    if found.is_file(follow_symlinks=False):
        is_program = found.stat(follow_symlinks=False).st_mode & stat.S_IXUSR
        return Entry(path, Type.PROGRAM if is_program else Type.FILE)
    if found.is_dir(follow_symlinks=False):
        return Entry(path, Type.FOLDER)
    if found.is_symlink():
        return Entry(path, Type.LINK, os.readlink(found.path))  # noqa: PTH115 - `Path.readlink` would tidy up what it says
    raise ToolError(f"{quoted(path)} of a build context is neither a file nor a folder nor a link", hint=_HINT)


_HINT = "exclude it in `.dockerignore`"


def _scan(place: Path, folder: str, *, can_be_lost: bool) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place / folder) as found:
            return list(found)
    except FileNotFoundError:
        return []  # removed a moment ago
    except PermissionError as error:
        if can_be_lost:  # nothing of a folder that is not sent can be taken back where nobody can look
            return []
        raise _unreadable(folder, error) from error
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: str, error: OSError) -> ToolError:
    return ToolError(f"the build context can't be read in {quoted(folder or '.')}: {error.strerror}", hint=_HINT)
