"""Where cargo and rustup look for what the user configured, whether there is something or not."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...provenance.digest import read_limited
from ...provenance.errors import ToolError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIMIT = 8 << 20
BROKEN = (ValueError, RecursionError)
"""What tomllib and decoding raise for what is no TOML, or is nested too deeply."""
_LEADING = re.compile(rb"\b(?:include|patch|paths)\b")
"""What in a configuration leads to further files."""


def cargo_home() -> Path:
    """Return cargo's own folder (The Cargo Book, Cargo Home)."""
    return Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo").absolute()


def rustup_home() -> Path:
    """Return rustup's own folder (The rustup Book, Environment variables)."""
    return Path(os.environ.get("RUSTUP_HOME") or Path.home() / ".rustup").absolute()


def configuration_files(cwd: Path) -> tuple[Path, ...]:
    """Return every file that may configure a cargo that runs in `cwd`, with those that existing ones include.

    The Cargo Book, Configuration, Hierarchical structure: the folder, all above it, and cargo's own.

    Raises:
        ToolError: one that is there can't be understood, so what it includes is not known.
    """
    folders = [*(folder / ".cargo" for folder in (cwd, *cwd.parents)), cargo_home()]
    found = dict.fromkeys(folder / name for folder in folders for name in ("config.toml", "config"))
    pending = list(found)
    while pending:
        path = pending.pop()
        for included in _included(path, read_configuration(path)):
            if included not in found:
                found[included] = None
                pending.append(included)
    return tuple(found)


def toolchain_files(cwd: Path) -> tuple[Path, ...]:
    """Return every file that may choose the toolchain in `cwd` (The rustup Book, Overrides, The toolchain file)."""
    return tuple(folder / name for folder in (cwd, *cwd.parents) for name in ("rust-toolchain", "rust-toolchain.toml"))


def read_configuration(path: Path) -> dict[str, Any]:
    """Return the tables of one file of cargo's configuration; none where there is no file.

    Cargo may understand more of TOML than we do. That matters only where the file could lead to others.

    Raises:
        ToolError: it can't be read, or not be understood although it may lead to other files.
    """
    if not path.is_file():
        return {}
    data = b""
    try:
        data = read_limited(path, _LIMIT)
        return tomllib.loads(data.decode("utf-8-sig"))
    except (*BROKEN, UnreadableError) as error:
        if data and not _LEADING.search(data):
            return {}
        raise ToolError(f"cargo's configuration in `{path}` can't be understood: {error}") from error


def _included(path: Path, tables: dict[str, Any]) -> Iterator[Path]:
    """Yield what a file includes (The Cargo Book, Configuration, Including extra configuration files)."""
    include = tables.get("include")
    for one in include if isinstance(include, list) else [include]:
        name = one.get("path") if isinstance(one, dict) else one
        if isinstance(name, str):
            yield Path(os.path.normpath(path.parent / name))
