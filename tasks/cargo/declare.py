"""What is known of a binary's inputs without building it: settings, tools, and what its lock file comes to."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from typing import TYPE_CHECKING

from ...provenance.config import CargoTool
from ...provenance.errors import ToolError, UnreadableError
from ..builder import Declared
from ..freshness.inputs import Kind, Meter, key
from .configuration import cargo_home, configuration_files, toolchain_files
from .programs import compiler_files, which
from .resolve import Basis, Resolved, Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ...provenance.json import JSONValue
    from ...provenance.sbom.cargo import Locked, PackageId
    from ..context import Context
    from ..programs import Programs
    from .discover import Binary, Group
    from .ground import Ground
    from .toolchain import Toolchain
    from .units import UnitGraph

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


class Declarations:
    """Tells what is known without building, once per group and state of its workspace."""

    def __init__(self, context: Context) -> None:
        self.programs = context.programs
        self._tool = context.workspace.config.cargo.tool
        self._meter = Meter(context.workspace.root, context.build_dirs)
        self._look: Callable[[Group], Ground] = lambda group: group.asked.look_again(
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
                self._bases[group.id] = self._resolver.basis(group, group.asked.ground)
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
        basis = self._resolver.basis(group, self._look(group))
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


def _common(group: Group, tool: CargoTool, programs: Programs, meter: Meter) -> Declared:
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
    """Return the wrapper in force; a variable that is set and empty means that there is none."""
    for variable in variables:
        if (value := os.environ.get(variable)) is not None:
            return value or None
    return toolchain.build_setting(name)


def _program(name: str, root: Path, programs: Programs) -> str:
    """Return a program by how it is called and its digest; a path in the configuration may start further up."""
    found = next((path for base in (root, *root.parents) if (path := which(name, base))), None)
    return f"{_digest(name)} sha256:{programs.digest(found)}" if found else "absent"


def _digest(value: JSONValue | Mapping[str, JSONValue]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode("ascii")).hexdigest()
