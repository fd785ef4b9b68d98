"""Which files, present or absent, cargo reads to tell what a workspace consists of: configuration and manifests.

Cargo is asked once; its answer holds while all of these are unchanged (`fingerprint.py`). Manifests are followed as
cargo follows them (The Cargo Book, Workspaces; Specifying Dependencies, path dependencies; Overriding Dependencies),
rather too far than not far enough. Anything not understood makes the scan uncertain, and cargo is asked each time.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...provenance.digest import read_limited
from ...provenance.errors import ToolError, UnreadableError
from .fingerprint import MANIFEST, Probe, is_pattern, members, probe_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


_LIMIT = 8 << 20
BROKEN = (ValueError, RecursionError)
"""What tomllib and decoding raise for what is no TOML, or is nested too deeply."""
_LEADING = re.compile(rb"\b(?:include|patch|paths)\b")
"""What in a configuration leads to further files."""


Table = dict[str, Any]
_DEPENDENCIES = ("dependencies", "dev-dependencies", "dev_dependencies", "build-dependencies", "build_dependencies")
READMES = ("README.md", "README.txt", "README")
"""The files that cargo takes for a package's readme by themselves (The Cargo Book, the `readme` field)."""
SCRIPT = "build.rs"
"""The file that is a package's build script by itself."""
_TARGETS = (SCRIPT, "src/lib.rs", "src/main.rs")
_RESOLVED = frozenset(
    {*_DEPENDENCIES, "target", "features", "profile", "patch", "replace", "workspace", "lints", "badges"}
    | {"lib", "bin", "test", "bench", "example"}
)
"""Tables of a manifest whose whole effect on a binary cargo's unit graph shows, or that have none."""


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


@dataclass(slots=True)
class ManifestScan:
    """What cargo reads for some manifests.

    Attributes:
        probes: what cargo's answers depend on, for `fingerprint.measure`.
        manifests: the tables of each manifest that there is.
        certain: everything was understood; otherwise an answer may depend on more.
    """

    probes: set[str] = field(default_factory=set)
    manifests: dict[Path, Table] = field(default_factory=dict)
    certain: bool = True


def scan_manifests(manifests: Iterable[Path]) -> ManifestScan:
    """Survey the workspaces that `manifests`, absolute paths, belong to.

    Raises:
        ToolError: cargo's configuration can't be read.
    """
    found = ManifestScan()
    pending = list(manifests)
    for cwd in {path.parent for path in pending}:
        pending += _settings(cwd, found)
    home = rustup_home()
    found.probes.add(probe_key(Probe.LINKS, home / "toolchains"))
    found.probes |= {probe_key(Probe.FILE, path) for path in (home / "settings.toml", "/etc/rustup/settings.toml")}
    known: set[Path] = set()
    while pending:
        path = pending.pop()
        if path not in known:
            known.add(path)
            pending += _manifest(path, found)
    return found


def _settings(cwd: Path, found: ManifestScan) -> Iterator[Path]:
    """Note what configures cargo in `cwd`; yield the manifests that it names."""
    for path in (*configuration_files(cwd), *toolchain_files(cwd)):
        found.probes.add(probe_key(Probe.FILE, path))
        if path.parent.name != ".cargo" and path.name.startswith("rust-toolchain"):
            continue
        tables = read_configuration(path)
        base = path.parent.parent
        yield from _dependencies(_tables(tables.get("patch")), base)
        overrides = tables.get("paths")
        if isinstance(overrides, list):
            yield from (Path(os.path.normpath(base / str(one)), MANIFEST) for one in overrides)


def _manifest(path: Path, found: ManifestScan) -> Iterator[Path]:
    """Note a manifest and what lies around it; yield those that it leads to."""
    found.probes.add(probe_key(Probe.FILE, path))
    try:
        tables = tomllib.loads(read_limited(path, _LIMIT).decode("utf-8-sig"))
    except UnreadableError:
        found.certain &= not os.path.lexists(path)
        return
    except BROKEN:
        found.certain = False
        return
    found.manifests[path] = tables
    folder = path.parent
    # Cargo goes up until it finds the root of the workspace: what may come to lie on that way counts.
    yield from (above / MANIFEST for above in folder.parents)
    if isinstance(package := tables.get("package"), dict):
        found.probes |= {probe_key(Probe.PRESENCE, folder / name) for name in (*_TARGETS, *READMES)}
        found.probes.add(probe_key(Probe.PROGRAMS, folder / "src" / "bin"))
        if isinstance(root := package.get("workspace"), str):
            yield Path(os.path.normpath(folder / root), MANIFEST)
    for owner in (tables, *_tables(tables.get("target")), _table(tables.get("workspace"))):
        yield from _dependencies((_table(owner.get(name)) for name in _DEPENDENCIES), folder)
    yield from _dependencies((*_tables(tables.get("patch")), _table(tables.get("replace"))), folder)
    yield from _members(_table(tables.get("workspace")), folder, found)


def _members(workspace: Table, folder: Path, found: ManifestScan) -> Iterator[Path]:
    for key in ("members", "default-members"):
        patterns = workspace.get(key)
        for one in patterns if isinstance(patterns, list) else []:
            pattern = os.path.normpath(folder / str(one))
            if "**" in pattern or (is_pattern(str(folder)) and is_pattern(str(one))):
                found.certain = False  # a whole tree, or a folder whose own name looks like a pattern
            elif is_pattern(str(one)):
                found.probes.add(probe_key(Probe.MEMBERS, pattern))
                yield from (Path(member, MANIFEST) for member in members(pattern))
            else:
                yield Path(pattern, MANIFEST)


def _dependencies(tables: Iterable[Table], base: Path) -> Iterator[Path]:
    for table in tables:
        for dependency in table.values():
            if isinstance(dependency, dict) and isinstance(path := dependency.get("path"), str):
                yield Path(os.path.normpath(base / path), MANIFEST)


def _table(value: object) -> Table:
    return value if isinstance(value, dict) else {}


def _tables(value: object) -> list[Table]:
    return [one for one in _table(value).values() if isinstance(one, dict)]


def package_settings(path: Path, manifests: Mapping[Path, Table]) -> Table:
    """Return what a manifest says that reaches a binary by another way than the unit graph.

    That is its package's metadata (as `CARGO_PKG_*` variables, or read by a build script or a macro), with what it
    inherits (The Cargo Book, Workspaces, the `package` table) and the readme that cargo finds by itself.
    """
    tables = manifests.get(path, {})
    found = {name: value for name, value in tables.items() if name not in _RESOLVED}
    package = _table(tables.get("package"))
    pointer = package.get("workspace")
    above = [path.parent / pointer] if isinstance(pointer, str) else [path.parent, *path.parent.parents]
    roots = (manifests.get(Path(os.path.normpath(folder), MANIFEST), {}) for folder in above)
    inherited = next((_table(_table(r["workspace"]).get("package")) for r in roots if "workspace" in r), {})
    own = {
        name: inherited.get(name) if isinstance(value, dict) and value.get("workspace") is True else value
        for name, value in package.items()
    }
    readmes = [name for name in READMES if (path.parent / name).is_file()]
    return {**found, "package": own, "readmes": readmes[:1]}
