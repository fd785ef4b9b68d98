"""The readers of package databases: a line for each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import apk, dpkg, node, os_release, python, rpm, runtime

if TYPE_CHECKING:
    from ..package import Reader

READERS: tuple[Reader, ...] = (apk, dpkg, rpm, node, python, runtime)
"""Those of distributions first: where two packages claim a file, it is the distribution's."""

FILE_LIMIT = 16 << 20
"""Bytes of what tells of one package."""
TEXT_LIMIT = 48 << 20
"""Bytes of a text that lists all of a system's packages: that of a desktop has five megabytes."""
DATABASE_LIMIT = 192 << 20
"""Bytes of RPM's database, which has some hundred megabytes on the largest systems."""

_TEXT = re.compile(r".*/(?:installed|status)")
_DATABASE = re.compile(r".*/(?:rpmdb\.sqlite|Packages(?:\.db)?)")
_WANTED = re.compile(
    "|".join(pattern.pattern for pattern in (os_release.WANTED, *(reader.WANTED for reader in READERS)))
)


def wanted(path: str) -> int:
    """Return how many bytes at most a reader wants of the file at `path`; 0: none."""
    if _WANTED.fullmatch(path) is None:
        return 0
    if _DATABASE.fullmatch(path):
        return DATABASE_LIMIT
    return TEXT_LIMIT if _TEXT.fullmatch(path) else FILE_LIMIT
