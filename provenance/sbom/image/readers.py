"""The readers of package databases: a line for each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import apk, dpkg, node, os_release, python, rpm, runtime

if TYPE_CHECKING:
    from .package import Reader

READERS: tuple[Reader, ...] = (apk, dpkg, rpm, node, python, runtime)
"""Those of distributions first: where two packages claim a file, it is the distribution's."""

_WANTED = re.compile(
    "|".join(pattern.pattern for pattern in (os_release.WANTED, *(reader.WANTED for reader in READERS)))
)


def wanted(path: str) -> bool:
    """Tell whether a reader wants the bytes of the file at `path`."""
    return _WANTED.fullmatch(path) is not None
