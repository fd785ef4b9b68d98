"""A store path's folder: the programs in it, and the Python distributions that are installed there."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ...digest import read_limited
from ...errors import UnreadableError
from ..image import python
from ..package import Package, Unread, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENTRIES = 200_000
_METADATA_LIMIT = 16 << 20
_PYTHON = re.compile(r"python\d+(?:\.\d+)?")
_METADATA = {".dist-info": "METADATA", ".egg-info": "PKG-INFO"}


def is_store_file(path: Path, store: Path) -> bool:
    """Tell whether a path leads to a file of the store: links in it lead to other store paths, never out of it."""
    try:
        # `Path.resolve` has an exception of its own for links in a circle.
        real, root = (os.path.realpath(one, strict=True) for one in (path, store))
        return os.path.isfile(real) and real.startswith(root + os.sep)  # noqa: PTH113 - a text is at hand
    except OSError:  # it is not there: substituted, collected as garbage, or a link to nowhere
        return False


def files_below(folder: Path) -> Iterator[str]:
    """Yield the regular files below a store path, as paths from it, sorted in each folder. Links are not followed.

    Raises:
        UnreadableError: there are more than are read of one, or a folder can't be read.
    """
    seen = 0
    for here, folders, files in os.walk(folder, onerror=_refuse):
        folders.sort()
        for name in sorted(files):
            seen += 1
            if seen > _ENTRIES:
                raise UnreadableError(
                    f"`{folder.name}` holds more than the {_ENTRIES:,} files that are looked at in one store path"
                )
            path = f"{here}{os.sep}{name}"
            if _is_regular(path):
                yield Path(path).relative_to(folder).as_posix()


def distributions(folder: Path) -> Iterator[Package | Unread]:
    """Yield the Python distributions that a store path has where Python looks for them.

    That is `lib/python3.X/site-packages`, where nixpkgs installs all of them; nothing else of the path is read.
    """
    for site in _site_packages(folder):
        found: dict[str, bytes] = {}
        for entry in sorted(_entries(site)):
            name = _METADATA.get(entry.suffix)
            if name is None:
                continue
            metadata = entry / name if os.path.isdir(entry) else entry  # noqa: PTH112 - `Path.is_dir` may raise
            place = shown(metadata.relative_to(folder).as_posix())
            if not is_store_file(metadata, folder.parent):
                yield Unread(path=place, reason="no file of the store")
                continue
            try:
                found[place] = read_limited(metadata, _METADATA_LIMIT)
            except UnreadableError as error:
                yield Unread(path=place, reason=error.message)
        yield from python.read(found, None)


def _site_packages(folder: Path) -> list[Path]:
    library = folder / "lib"
    return [entry / "site-packages" for entry in sorted(_entries(library)) if _PYTHON.fullmatch(entry.name)]


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        _refuse(error)


def _is_regular(path: str | Path) -> bool:
    """Tell whether a path is a regular file itself, and no link to one."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _refuse(error: OSError) -> NoReturn:
    raise UnreadableError(f"can't read `{error.filename}`: {error.strerror}") from error
