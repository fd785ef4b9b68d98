"""What lock file, manifests and features come to for one binary: its own part of cargo's unit graph.

Of a package that only a sibling uses, nothing is in it. What is in it, cargo hashes into the names of the binary's
symbols, or hands to rustc.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ...provenance.errors import ToolError
from ...provenance.sbom.cargo import parse_package_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...provenance.sbom.cargo import Locked, PackageId
    from .units import UnitGraph


class Resolutions:
    """Digests of parts of one unit graph; what binaries share is digested once."""

    def __init__(self, graph: UnitGraph, lock: Mapping[PackageId, Locked]) -> None:
        self._graph = graph
        self._lock = lock
        self._packages: dict[str, str] = {}
        self._digests: dict[int, str] = {}

    def digest(self, root: int) -> str:
        """Return the sha256 of all that the unit at `root` is made of: units, how they are used, locked packages.

        Without recursion, as graphs can be deep. It does not depend on the rest of the graph.

        Raises:
            ToolError: a unit uses itself.
        """
        pending = [(root, False)]
        open_units: set[int] = set()
        while pending:
            index, is_done = pending.pop()
            if index in self._digests:
                continue
            uses = self._graph.units[index].uses
            if is_done:
                self._digests[index] = self._combine(index)
                open_units.discard(index)
                continue
            if index in open_units:
                raise ToolError(f"cargo's unit graph goes round in a circle at `{self._graph.units[index].key.target}`")
            open_units.add(index)
            pending.append((index, True))
            pending += [(used, False) for _, used in uses if used not in self._digests]
        return self._digests[root]

    def _combine(self, index: int) -> str:
        unit = self._graph.units[index]
        used = sorted(f"{name} {self._digests[other]}" for name, other in unit.uses)
        text = "\n".join((unit.identity, self._locked(unit.key.package), *used))
        return hashlib.sha256(text.encode()).hexdigest()

    def _locked(self, package: str) -> str:
        if package not in self._packages:
            locked = self._lock.get(parse_package_id(package))
            self._packages[package] = f"{locked.checksum} {locked.commit}" if locked else ""
        return self._packages[package]
