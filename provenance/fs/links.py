"""Symbolic links in folders of ours: we make none, but an untrusted cache may restore some, and they lead anywhere."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import StoreError


def first(top: Path, folder: Path) -> Path | None:
    """Return the first link on the path from `top` (included) to `folder`, or `None`."""
    path = top
    for name in folder.relative_to(top).parts:
        path /= name
        if path.is_symlink():
            return path
    return None


def drop(top: Path, *, passed_over: str) -> None:
    """Remove each link to a folder below `top`, so that nothing is written or removed through one.

    Args:
        top: a folder of ours. If it is a link itself, the user made it, and links below it stay.
        passed_over: name of a folder in it that is skipped.

    Raises:
        StoreError: one can't be removed.
    """
    if top.is_symlink():
        return
    for folder, inner, _ in os.walk(top):
        inner[:] = [name for name in inner if folder != str(top) or name != passed_over]
        for path in (Path(folder, name) for name in inner):
            if path.is_symlink():
                try:
                    path.unlink()
                except OSError as error:
                    raise StoreError(f"a link is in the way: `{path}` can't be removed: {error.strerror}") from error
