"""The inputs of a binary that are known without building it: settings, tools, and its part of the unit graph.

The unit graph of a group is asked for once, then remembered.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...provenance.config import CargoTool
from ...provenance.errors import ToolError, UnreadableError
from ..freshness.inputs import ABSENT, Declared, FileStamp, InputHasher, Kind, key, measure_file
from ..programs import find_program
from .fingerprint import MANIFEST, Probe, probe_key
from .manifest_scan import cargo_home, configuration_files, toolchain_files
from .toolchain import compiler_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ...provenance.json import JSONValue
    from ...provenance.sbom.cargo import Locked, PackageId
    from ..context import Context
    from ..memory import Memory
    from ..programs import Programs
    from .discover import Binary, Group
    from .fingerprint import Fingerprint
    from .toolchain import Toolchain
    from .units import UnitGraph


_LOCK_FILE = "Cargo.lock"
UNKNOWN = "unknown"
"""Instead of a resolution's digest: cargo can't resolve."""


_WRAPPERS = {
    "rustc-wrapper": ("RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"),
    "rustc-workspace-wrapper": ("RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER"),
}
"""Key in cargo's `build` table to the variables that go before it (The Cargo Book, Configuration)."""
_UNSTABLE = ("CARGO_UNSTABLE_", "__CARGO_")
_LINKING = ("COMPILER_PATH", "GCC_EXEC_PREFIX", "LD_RUN_PATH", "LIBRARY_PATH")
"""What the linker of a Unix looks at (GCC manual, Environment Variables Affecting GCC; ld manual)."""
_APPLE = ("DEVELOPER_DIR", "MACOSX_DEPLOYMENT_TARGET", "IPHONEOS_DEPLOYMENT_TARGET", "SDKROOT")
_ZIG = ("CARGO_ZIGBUILD_ZIG_PATH", "CARGO_ZIGBUILD_PYTHON_PATH")
_CROSS = ("CROSS_CONFIG", "CROSS_CONTAINER_ENGINE", "CROSS_BUILD_OPTS")


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
    """Everything that the unit graph of a group depends on, at one moment."""

    fingerprint: Fingerprint
    lock: FileStamp | None
    request: str

    @property
    def digest(self) -> str:
        """One sha256 of it."""
        text = "\0".join((self.fingerprint.digest, self.lock.sha256 if self.lock else ABSENT, self.request))
        return hashlib.sha256(text.encode()).hexdigest()

    def changed_since(self, since: Basis, lock: Path) -> str | None:
        """Return the path of what is different; `None`: nothing."""
        if (self.lock and self.lock.sha256) != (since.lock and since.lock.sha256):
            return str(lock)
        return self.fingerprint.changed_since(since.fingerprint)


def lock_file(group: Group) -> Path:
    """Return where a group's lock file lies."""
    return group.root / _LOCK_FILE


def request(group: Group) -> list[str]:
    """Return cargo's arguments for all of a group: it unifies features over them, whichever binaries are built."""
    plain = ["--target", group.platform] if group.triple else []
    return [*group.selection(), *plain, *(word for b in group.binaries for word in ("--bin", b.target))]


class Resolver:
    """Resolves the binaries of one workspace; an earlier result is valid while its basis is the same.

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

    def basis(self, group: Group, fingerprint: Fingerprint) -> Basis:
        """Return what a group's graph rests on now, with what was looked at just before.

        Raises:
            ToolError: a file can't be read.
        """
        entry = self._memory.get(_key("resolved", group))
        known = FileStamp.from_json(entry.get("lock")) if isinstance(entry, dict) else None
        lock = measure_file(str(lock_file(group)), known)
        return Basis(fingerprint=fingerprint, lock=lock, request="\0".join(request(group)))

    def graph(self, group: Group, basis: Basis, scratch: Path | None) -> UnitGraph:
        """Return the unit graph of all of a group.

        Args:
            group: whose units.
            basis: what it depends on now.
            scratch: cargo's target folder meanwhile, so that its caches in the user's own are not touched; `None`: one
                that is thrown away, outside the workspace.

        Raises:
            ToolError: cargo refuses, or answers in a shape that is not known.
        """
        with self._lock:
            digest, graph = self._graphs.get(group.id, ("", None))
            if graph is None or digest != basis.digest:
                graph = self._recalled_graph(group, basis) or _query_graph(group, scratch)
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
        """Return the placeholder for a binary whose dependencies can't be resolved, with its last known manifests."""
        _, found = self._recalled(group)
        last = found.get(_name(binary))
        return Resolved(digest=UNKNOWN, manifests=last.manifests if last else {})

    def _resolve(self, group: Group, graph: UnitGraph, lock: Mapping[PackageId, Locked] | None) -> dict[str, Resolved]:
        # Where nothing has changed, none of this is needed, and so not even imported.
        from ...provenance.sbom.cargo import local_folder, read_lock
        from .manifest_scan import package_settings, scan_manifests
        from .units import Resolutions

        resolutions = Resolutions(graph, read_lock(lock_file(group)) if lock is None else lock)
        settings: dict[Path, str] = {}
        folders = {p: f for p in graph.packages(range(len(graph.units))) if (f := local_folder(p)) is not None}
        documents = scan_manifests(
            [group.root / MANIFEST, *(folder / MANIFEST for folder in folders.values())]
        ).manifests
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
        watched = basis.fingerprint.values
        if not (group.info.certain and all(probe_key(Probe.FILE, p / MANIFEST) in watched for p in packages)):
            return  # it depends on more than is measured
        binaries: dict[str, JSONValue] = {
            name: {"digest": one.digest, "manifests": dict(one.manifests)} for name, one in found.items()
        }
        lock = basis.lock.to_json() if basis.lock else None
        self._memory.put(_key("resolved", group), {"basis": basis.digest, "lock": lock, "binaries": binaries})
        self._memory.put(_key("graph", group), {"basis": basis.digest, "graph": graph.to_json()})

    def _recalled(self, group: Group) -> tuple[str, Mapping[str, Resolved]]:
        entry: Any = self._memory.get(_key("resolved", group)) if group.info.certain else None
        try:
            binaries = entry["binaries"].items()
            found = {n: Resolved(digest=one["digest"], manifests=one["manifests"]) for n, one in binaries}
            return str(entry["basis"]), found
        except (KeyError, TypeError, AttributeError):
            return "", {}

    def _recalled_graph(self, group: Group, basis: Basis) -> UnitGraph | None:
        from .units import UnitGraph

        entry: Any = self._memory.get(_key("graph", group)) if group.info.certain else None
        try:
            return UnitGraph.from_json(entry["graph"]) if entry["basis"] == basis.digest else None
        except (KeyError, TypeError, ValueError):
            return None


def _query_graph(group: Group, scratch: Path | None) -> UnitGraph:
    from .units import read_units

    if scratch is not None:
        return read_units(group.toolchain, request(group), scratch)
    with tempfile.TemporaryDirectory(prefix="doit-provenance-") as folder:
        return read_units(group.toolchain, request(group), Path(folder))


def _key(what: str, group: Group) -> str:
    return f"cargo.{what}:{group.id}"


def _name(binary: Binary) -> str:
    return f"{binary.package.id} {binary.target}"


class Declarations:
    """Tells what is known without building, once per group and state of its workspace."""

    def __init__(self, context: Context) -> None:
        self.programs = context.programs
        self._tool = context.workspace.config.cargo.tool
        self._meter = InputHasher(context.workspace.root, context.build_dirs)
        self._measure: Callable[[Group], Fingerprint] = lambda group: group.info.remeasure(
            context.workspace.root, context.workspace.config.cargo.manifests
        )
        self._resolver = Resolver(context.memory, self._meter.name)
        self._lock = threading.RLock()
        self._bases: dict[str, Basis] = {}
        self._unresolved: set[str] = set()
        self._groups: dict[str, tuple[str, Declared]] = {}

    def of(self, group: Group, binary: Binary) -> Declared:
        """Return what is known of a binary, by what discovery has just looked at.

        Where cargo can't resolve its dependencies, as the lock file is broken or out of date, that they are unknown is
        what is known: then the binary is no longer fresh, and cargo says itself what is wrong when it is to build.

        Raises:
            ToolError: rustc can't be asked, or a file can't be read.
        """
        with self._lock:
            if group.id not in self._bases:
                self._bases[group.id] = self._resolver.basis(group, group.info.fingerprint)
            basis = self._bases[group.id]
            if group.id not in self._unresolved:
                try:
                    return self.declare(group, binary, basis)
                except (ToolError, UnreadableError):
                    self._unresolved.add(group.id)  # the group's other binaries need not hear it again
            return _with(self._common_of(group, basis), self._resolver.unresolved(group, binary))

    def basis(self, group: Group) -> Basis:
        """Return what all of it rests on, looked at now.

        Raises:
            ToolError: a file can't be read.
        """
        basis = self._resolver.basis(group, self._measure(group))
        with self._lock:
            self._bases[group.id] = basis
            self._unresolved.discard(group.id)
        return basis

    def graph(self, group: Group, basis: Basis, scratch: Path) -> UnitGraph:
        """Return the unit graph of all of a group; `scratch` is cargo's target folder meanwhile.

        Raises:
            ToolError: cargo refuses, or answers in a shape that is not known.
        """
        return self._resolver.graph(group, basis, scratch)

    def declare(
        self, group: Group, binary: Binary, basis: Basis, lock: Mapping[PackageId, Locked] | None = None
    ) -> Declared:
        """Return what is known of a binary on that basis; `lock`, if the lock file was just read.

        Raises:
            ToolError: cargo or rustc can't be asked, or a program can't be read.
            UnreadableError: there is no lock file, or it can't be understood.
        """
        return _with(self._common_of(group, basis), self._resolver.resolved(group, binary, basis, lock))

    def _common_of(self, group: Group, basis: Basis) -> Declared:
        with self._lock:
            digest, common = self._groups.get(group.id, ("", Declared()))
            if digest != basis.digest:
                common = _common(group, self._tool, self.programs, self._meter)
                self._groups[group.id] = basis.digest, common
            return common


def _with(common: Declared, resolved: Resolved) -> Declared:
    own = {key(Kind.RESOLUTION, "cargo"): resolved.digest}
    own |= {key(Kind.SETTING, name): sha256 for name, sha256 in resolved.manifests.items()}
    return Declared(values={**common.values, **own}, measured=common.measured)


def _common(group: Group, tool: CargoTool, programs: Programs, meter: InputHasher) -> Declared:
    """Return the inputs that all binaries of a group have alike.

    What the user sets for cargo is given as what it comes to, so that what has no effect here makes nothing stale:
    profiles, features and packages are in each binary's resolution; flags, wrappers and the rest stand for the
    variables and tables that they come from.
    """
    files = [*configuration_files(group.root), *toolchain_files(group.root)]
    variables = {"RUSTC_BOOTSTRAP", *(name for name in os.environ if name.startswith(_UNSTABLE))}
    variables |= {*(_APPLE if "apple" in group.platform else ()), *(() if "windows" in group.platform else _LINKING)}
    if tool is CargoTool.CROSS:
        variables |= {*_CROSS, *(name for name in os.environ if name.startswith("CROSS_"))}
        files.append(group.root / os.environ.get("CROSS_CONFIG", "Cross.toml"))
    elif tool is CargoTool.CARGO_ZIGBUILD:
        variables |= set(_ZIG)
    measured = {key(Kind.FILE, meter.name(path)) for path in files} | {key(Kind.VARIABLE, name) for name in variables}
    values = dict(_settings(group, tool)) | dict(_tools(group, tool, programs))
    return Declared(values=values, measured=frozenset(measured))


def _settings(group: Group, tool: CargoTool) -> Iterator[tuple[str, str]]:
    toolchain = group.toolchain
    # Paths go into binaries: as those of sources, of what build scripts made, and of registries' packages.
    places = (group.root, group.target_directory, group.build_directory, cargo_home())
    yield key(Kind.SETTING, "folders"), _digest([str(place) for place in places])
    yield key(Kind.SETTING, "profile"), group.profile
    yield key(Kind.SETTING, "rustflags"), _digest(list(toolchain.rustflags(group.platform)))
    yield key(Kind.SETTING, "target"), group.triple or "host"
    yield key(Kind.SETTING, "tool"), tool.value


def _tools(group: Group, tool: CargoTool, programs: Programs) -> Iterator[tuple[str, str]]:
    toolchain = group.toolchain
    compiler = programs.together(compiler_files(toolchain.sysroot, (toolchain.host, group.platform)))
    version = toolchain.version
    release = f"{version['release']} {version.get('commit-hash', 'unknown')}"
    yield key(Kind.TOOL, "rustc"), f"{release} sha256:{compiler}"
    cargo = programs.digest(toolchain.sysroot / "bin" / "cargo")
    yield key(Kind.TOOL, "cargo"), f"{toolchain.cargo_version} sha256:{cargo}"
    for name, variables in _WRAPPERS.items():
        if program := _wrapper(toolchain, name, variables):
            yield key(Kind.TOOL, name), _program(program, group.root, programs)
    for target in dict.fromkeys((group.platform, toolchain.host)):
        if program := toolchain.linker(target):
            yield key(Kind.TOOL, f"linker {target}"), _program(program, group.root, programs)
    further = {CargoTool.CROSS: ("cross",), CargoTool.CARGO_ZIGBUILD: ("cargo-zigbuild", "zig"), CargoTool.CARGO: ()}
    for name in further[tool]:
        yield key(Kind.TOOL, name), _program(name, group.root, programs)


def _wrapper(toolchain: Toolchain, name: str, variables: tuple[str, ...]) -> str | None:
    """Return the wrapper in force; an empty variable disables it."""
    for variable in variables:
        if (value := os.environ.get(variable)) is not None:
            return value or None
    return toolchain.build_setting(name)


def _program(name: str, root: Path, programs: Programs) -> str:
    """Return a program by how it is called and its digest; a path in the configuration may start further up."""
    found = next((path for base in (root, *root.parents) if (path := find_program(name, base))), None)
    return f"{_digest(name)} sha256:{programs.digest(found)}" if found else "absent"


def _digest(value: JSONValue | Mapping[str, JSONValue]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode("ascii")).hexdigest()
