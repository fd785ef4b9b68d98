"""Cargo's unit graph of a group, and what it comes to for each binary: asked for once, then remembered."""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..freshness.inputs import ABSENT, Known, measure_file
from .ground import MANIFEST, Subject, subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...provenance.json import JSONValue
    from ...provenance.sbom.cargo import Locked, PackageId
    from ..context import Memory
    from .discover import Binary, Group
    from .ground import Ground
    from .units import UnitGraph

_LOCK_FILE = "Cargo.lock"
UNKNOWN = "unknown"
"""Instead of a resolution's digest: cargo can't resolve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What one binary is made of, before it is built.

    Attributes:
        digest: of its part of the unit graph, with the checksums of locked packages.
        manifests: of the path packages that it reaches, by name: sha256 of what else their manifests say.
    """

    digest: str
    manifests: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """All that the unit graph of a group rests on, at one moment."""

    ground: Ground
    lock: Known | None
    request: str

    @property
    def digest(self) -> str:
        """One sha256 of it."""
        text = "\0".join((self.ground.digest, self.lock.sha256 if self.lock else ABSENT, self.request))
        return hashlib.sha256(text.encode()).hexdigest()

    def moved(self, since: Basis, lock: Path) -> str | None:
        """Return the path of what is different; `None`: nothing."""
        if (self.lock and self.lock.sha256) != (since.lock and since.lock.sha256):
            return str(lock)
        return self.ground.moved(since.ground)


def lock_file(group: Group) -> Path:
    """Return where a group's lock file lies."""
    return group.root / _LOCK_FILE


def request(group: Group) -> list[str]:
    """Return cargo's arguments for all of a group: it unifies features over them, whichever binaries are built."""
    plain = ["--target", group.platform] if group.triple else []
    return [*group.selection(), *plain, *(word for b in group.binaries for word in ("--bin", b.target))]


class Resolver:
    """Answers for one workspace; what was answered in an earlier run counts while its basis is the same.

    Args:
        memory: keeps it.
        name: returns the name of a path as an input.
    """

    def __init__(self, memory: Memory, name: Callable[[Path], str]) -> None:
        self._memory = memory
        self._name = name
        self._lock = threading.RLock()
        self._graphs: dict[str, tuple[str, UnitGraph]] = {}
        self._resolved: dict[str, tuple[str, Mapping[str, Resolved]]] = {}

    def basis(self, group: Group, ground: Ground) -> Basis:
        """Return what a group's graph rests on now, with what was looked at just before.

        Raises:
            ToolError: a file can't be read.
        """
        entry = self._memory.get(_key("resolved", group))
        known = Known.from_json(entry.get("lock")) if isinstance(entry, dict) else None
        lock = measure_file(str(lock_file(group)), known)
        return Basis(ground=ground, lock=lock, request="\0".join(request(group)))

    def graph(self, group: Group, basis: Basis, scratch: Path | None) -> UnitGraph:
        """Return the unit graph of all of a group.

        Args:
            group: the one.
            basis: what it rests on now.
            scratch: cargo's target folder meanwhile, so that its caches in the user's own are not touched; `None`: one
                that is thrown away, outside the workspace.

        Raises:
            ToolError: cargo refuses, or answers in a shape that is not known.
        """
        with self._lock:
            digest, graph = self._graphs.get(group.id, ("", None))
            if graph is None or digest != basis.digest:
                graph = self._recalled_graph(group, basis) or _ask(group, scratch)
                self._graphs[group.id] = basis.digest, graph
            return graph

    def resolved(
        self, group: Group, binary: Binary, basis: Basis, lock: Mapping[PackageId, Locked] | None = None
    ) -> Resolved:
        """Return what a binary is made of; `lock`, if the lock file was just read.

        Raises:
            ToolError: as `graph`.
            UnreadableError: there is no lock file, or it can't be understood.
        """
        with self._lock:
            digest, found = self._resolved.get(group.id) or self._recalled(group)
            if digest != basis.digest:
                graph = self.graph(group, basis, None)
                found = self._resolve(group, graph, lock)
                digest = basis.digest
                self._keep(group, basis, graph, found)
            self._resolved[group.id] = digest, found
            return found[_name(binary)]

    def unresolved(self, group: Group, binary: Binary) -> Resolved:
        """Return what stands for a binary whose dependencies can't be resolved; its manifests are as they last were."""
        _, found = self._recalled(group)
        last = found.get(_name(binary))
        return Resolved(digest=UNKNOWN, manifests=last.manifests if last else {})

    def _resolve(self, group: Group, graph: UnitGraph, lock: Mapping[PackageId, Locked] | None) -> dict[str, Resolved]:
        # Where nothing has changed, none of this is needed, and so not even imported.
        from ...provenance.sbom.cargo import local_folder, read_lock
        from .resolution import Resolutions
        from .survey import package_settings, survey

        resolutions = Resolutions(graph, read_lock(lock_file(group)) if lock is None else lock)
        settings: dict[Path, str] = {}
        folders = {p: f for p in graph.packages(range(len(graph.units))) if (f := local_folder(p)) is not None}
        documents = survey([group.root / MANIFEST, *(folder / MANIFEST for folder in folders.values())]).manifests
        for folder in folders.values():
            text = json.dumps(package_settings(folder / MANIFEST, documents), sort_keys=True, default=str)
            settings[folder] = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
        found = {}
        for binary in group.binaries:
            root = graph.binary(binary.package.id, binary.target)
            own = [folders[p] for p in graph.packages(graph.reached(root)) if p in folders]
            found[_name(binary)] = Resolved(
                digest=resolutions.digest(root),
                manifests={self._name(folder / MANIFEST): settings[folder] for folder in own},
            )
        return found

    def _keep(self, group: Group, basis: Basis, graph: UnitGraph, found: Mapping[str, Resolved]) -> None:
        from ...provenance.sbom.cargo import local_folder

        packages = (folder for p in graph.packages(range(len(graph.units))) if (folder := local_folder(p)) is not None)
        watched = basis.ground.values
        if not (group.asked.certain and all(subject(Subject.FILE, p / MANIFEST) in watched for p in packages)):
            return  # it rests on more than is looked at
        binaries: dict[str, JSONValue] = {
            name: {"digest": one.digest, "manifests": dict(one.manifests)} for name, one in found.items()
        }
        lock = basis.lock.to_json() if basis.lock else None
        self._memory.put(_key("resolved", group), {"basis": basis.digest, "lock": lock, "binaries": binaries})
        self._memory.put(_key("graph", group), {"basis": basis.digest, "graph": graph.to_json()})

    def _recalled(self, group: Group) -> tuple[str, Mapping[str, Resolved]]:
        entry: Any = self._memory.get(_key("resolved", group)) if group.asked.certain else None
        try:
            binaries = entry["binaries"].items()
            found = {n: Resolved(digest=one["digest"], manifests=one["manifests"]) for n, one in binaries}
            return str(entry["basis"]), found
        except (KeyError, TypeError, AttributeError):
            return "", {}

    def _recalled_graph(self, group: Group, basis: Basis) -> UnitGraph | None:
        from .units import UnitGraph

        entry: Any = self._memory.get(_key("graph", group)) if group.asked.certain else None
        try:
            return UnitGraph.from_json(entry["graph"]) if entry["basis"] == basis.digest else None
        except (KeyError, TypeError, ValueError):
            return None


def _ask(group: Group, scratch: Path | None) -> UnitGraph:
    from .units import read_units

    if scratch is not None:
        return read_units(group.toolchain, request(group), scratch)
    with tempfile.TemporaryDirectory(prefix="doit-provenance-") as folder:
        return read_units(group.toolchain, request(group), Path(folder))


def _key(what: str, group: Group) -> str:
    return f"cargo.{what}:{group.id}"


def _name(binary: Binary) -> str:
    return f"{binary.package.id} {binary.target}"
