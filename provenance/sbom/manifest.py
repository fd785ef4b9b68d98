"""Package tables of `Cargo.toml` (The Cargo Book, The Manifest Format)."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..digest import read_limited
from ..errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LIMIT = 8 << 20
_ANCESTORS = 8
_BROKEN = (ValueError, RecursionError)
"""Raised by tomllib and decoding for malformed or too deeply nested TOML."""
_TABLE = re.compile(r"^\[", re.MULTILINE)
_PACKAGE = re.compile(r"^\[package\]\s*(?:#.*)?$", re.MULTILINE)


@dataclass(slots=True)
class Manifests:
    """Package tables of the `Cargo.toml`s of one build, each read once."""

    _packages: dict[Path, Mapping[str, object]] = field(default_factory=dict)
    _workspaces: dict[Path, Mapping[str, object]] = field(default_factory=dict)

    def package(self, manifest: Path) -> Mapping[str, object]:
        """Return the `[package]` table of `manifest`, values inherited from its workspace filled in.

        Raises:
            UnreadableError: it can't be read.
        """
        if manifest not in self._packages:
            table = dict(_package_table(manifest))
            for key, value in table.items():
                if isinstance(value, dict) and value.get("workspace") is True:
                    table[key] = self._inherited(manifest, table).get(key)
            self._packages[manifest] = table
        return self._packages[manifest]

    def _inherited(self, manifest: Path, table: Mapping[str, object]) -> Mapping[str, object]:
        explicit = table.get("workspace")
        folders = [manifest.parent, *manifest.parents[1:_ANCESTORS]]
        candidates = [manifest.parent / explicit] if isinstance(explicit, str) else folders
        for folder in candidates:
            path = folder / "Cargo.toml"
            if path not in self._workspaces:
                self._workspaces[path] = _workspace_package(path)
            if found := self._workspaces[path]:
                return found
        return {}


def _package_table(manifest: Path) -> Mapping[str, object]:
    text = read_limited(manifest, _LIMIT).decode("utf-8-sig", errors="replace")
    header = _PACKAGE.search(text)
    if header is not None:
        # Parsing only this table is five times faster than parsing the file; if the cut is inside a value, the part is
        # not valid TOML and the whole file is parsed.
        end = _TABLE.search(text, header.end())
        try:
            return tomllib.loads(text[header.end() : end.start() if end else len(text)])
        except _BROKEN:
            pass
    try:
        table = tomllib.loads(text).get("package", {})
    except _BROKEN as error:
        raise UnreadableError(f"`{manifest.parent.name}/{manifest.name}` is no manifest: {error}") from error
    return table if isinstance(table, dict) else {}


def _workspace_package(path: Path) -> Mapping[str, object]:
    if not path.is_file():
        return {}
    try:
        text = read_limited(path, _LIMIT).decode("utf-8-sig", errors="replace")
        workspace = tomllib.loads(text).get("workspace", {})
    except _BROKEN:
        return {}  # a parent folder that is not part of this build
    package = workspace.get("package", {}) if isinstance(workspace, dict) else {}
    return package if isinstance(package, dict) else {}
