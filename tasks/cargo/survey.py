"""Which files, and which absent ones, cargo looks at to tell what a workspace consists of.

Cargo is asked once; afterwards its answer holds while all of these are as they were (`ground.py`). Manifests are
followed as cargo follows them (The Cargo Book, Workspaces; Specifying Dependencies, path dependencies; Overriding
Dependencies), rather further than not far enough. What is not understood here makes the survey uncertain, and cargo is
asked each time.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...provenance.digest import read_limited
from ...provenance.errors import UnreadableError
from .configuration import BROKEN, configuration_files, read_configuration, rustup_home, toolchain_files
from .ground import MANIFEST, Subject, is_pattern, members, subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Table = dict[str, Any]

_LIMIT = 8 << 20
_DEPENDENCIES = ("dependencies", "dev-dependencies", "dev_dependencies", "build-dependencies", "build_dependencies")
READMES = ("README.md", "README.txt", "README")
"""The files that cargo takes for a package's readme by themselves (The Cargo Book, the `readme` field)."""
SCRIPT = "build.rs"
"""The file that is a package's build script by itself."""
_TARGETS = (SCRIPT, "src/lib.rs", "src/main.rs")


@dataclass(slots=True)
class Survey:
    """What was found.

    Attributes:
        subjects: what the answers rest on, for `ground.look`.
        manifests: the tables of each manifest that there is.
        certain: everything was understood; else an answer may rest on more.
    """

    subjects: set[str] = field(default_factory=set)
    manifests: dict[Path, Table] = field(default_factory=dict)
    certain: bool = True


def survey(manifests: Iterable[Path]) -> Survey:
    """Survey the workspaces that `manifests`, absolute paths, belong to.

    Raises:
        ToolError: cargo's configuration can't be read.
    """
    found = Survey()
    pending = list(manifests)
    for cwd in {path.parent for path in pending}:
        pending += _settings(cwd, found)
    home = rustup_home()
    found.subjects.add(subject(Subject.LINKS, home / "toolchains"))
    found.subjects |= {subject(Subject.FILE, path) for path in (home / "settings.toml", "/etc/rustup/settings.toml")}
    known: set[Path] = set()
    while pending:
        path = pending.pop()
        if path not in known:
            known.add(path)
            pending += _manifest(path, found)
    return found


def _settings(cwd: Path, found: Survey) -> Iterator[Path]:
    """Note what configures cargo in `cwd`; yield the manifests that it names."""
    for path in (*configuration_files(cwd), *toolchain_files(cwd)):
        found.subjects.add(subject(Subject.FILE, path))
        if path.parent.name != ".cargo" and path.name.startswith("rust-toolchain"):
            continue
        tables = read_configuration(path)
        base = path.parent.parent
        yield from _dependencies(_tables(tables.get("patch")), base)
        overrides = tables.get("paths")
        if isinstance(overrides, list):
            yield from (Path(os.path.normpath(base / str(one)), MANIFEST) for one in overrides)


def _manifest(path: Path, found: Survey) -> Iterator[Path]:
    """Note a manifest and what lies around it; yield those that it leads to."""
    found.subjects.add(subject(Subject.FILE, path))
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
        found.subjects |= {subject(Subject.PRESENCE, folder / name) for name in (*_TARGETS, *READMES)}
        found.subjects.add(subject(Subject.PROGRAMS, folder / "src" / "bin"))
        if isinstance(root := package.get("workspace"), str):
            yield Path(os.path.normpath(folder / root), MANIFEST)
    for owner in (tables, *_tables(tables.get("target")), _table(tables.get("workspace"))):
        yield from _dependencies((_table(owner.get(name)) for name in _DEPENDENCIES), folder)
    yield from _dependencies((*_tables(tables.get("patch")), _table(tables.get("replace"))), folder)
    yield from _members(_table(tables.get("workspace")), folder, found)


def _members(workspace: Table, folder: Path, found: Survey) -> Iterator[Path]:
    for key in ("members", "default-members"):
        patterns = workspace.get(key)
        for one in patterns if isinstance(patterns, list) else []:
            pattern = os.path.normpath(folder / str(one))
            if "**" in pattern or (is_pattern(str(folder)) and is_pattern(str(one))):
                found.certain = False  # a whole tree, or a folder whose own name looks like a pattern
            elif is_pattern(str(one)):
                found.subjects.add(subject(Subject.MEMBERS, pattern))
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


_RESOLVED = frozenset(
    {*_DEPENDENCIES, "target", "features", "profile", "patch", "replace", "workspace", "lints", "badges"}
    | {"lib", "bin", "test", "bench", "example"}
)
"""Tables of a manifest whose whole effect on a binary cargo's unit graph shows, or that have none."""


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
