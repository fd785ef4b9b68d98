"""What went into one binary of a build, and what each of its units read: files, folders and environment variables.

Cargo's own dependency file names the sources of every path package that a binary declares. Of these, rustc loads only
what the code names (`observe.py`): the sources of the others can't change a byte of it. A build script counts wherever
it belongs to, as it may tell the linker where to look.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.sbom.cargo import local_folder
from .depinfo import prerequisites
from .inputs import script_output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .discover import Group
    from .messages import Compiled, Messages, UnitKey
    from .observe import Loaded
    from .units import Unit, UnitGraph

_PROC_MACRO = "proc-macro"
_MARK = "# env-dep:"
_VARIABLE = re.compile(rf"^{_MARK}([^=\n]+)", re.MULTILINE)
_ASKED = re.compile(r"^cargo::?rerun-if-env-changed=(.+)$", re.MULTILINE)
_WATCHED = re.compile(r"^cargo::?rerun-if-changed=(.+)$", re.MULTILINE)
_SET_FOR_ALL = {
    *("CARGO_PKG_NAME", "CARGO_PKG_VERSION", "CARGO_PKG_VERSION_MAJOR", "CARGO_PKG_VERSION_MINOR"),
    *("CARGO_PKG_VERSION_PATCH", "CARGO_PKG_VERSION_PRE", "CARGO_PKG_AUTHORS", "CARGO_PKG_DESCRIPTION"),
    *("CARGO_PKG_HOMEPAGE", "CARGO_PKG_REPOSITORY", "CARGO_PKG_LICENSE", "CARGO_PKG_LICENSE_FILE"),
    *("CARGO_PKG_RUST_VERSION", "CARGO_PKG_README", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH"),
    *("CARGO_MANIFEST_LINKS", "CARGO_BIN_NAME"),
}
_SET_FOR_CRATES = {"CARGO", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "CARGO_TARGET_TMPDIR", "OUT_DIR"}
_SET_FOR_SCRIPTS = {
    *("CARGO", "CARGO_ENCODED_RUSTFLAGS", "CARGO_MAKEFLAGS", "DEBUG", "HOST", "NUM_JOBS", "OPT_LEVEL", "OUT_DIR"),
    *("PROFILE", "RUSTC", "RUSTC_LINKER", "RUSTC_WORKSPACE_WRAPPER", "RUSTC_WRAPPER", "RUSTDOC", "TARGET"),
}
"""What cargo sets itself (The Cargo Book, Environment Variables): it follows from other inputs.

Only whole names: any other that begins alike is the user's, and cargo passes it on. What cargo sets for some packages
alone, as `DEP_…`, is not set around it as a rule, and so is an input that never changes.
"""


def counting(graph: UnitGraph, root: int, loaded: Loaded | None) -> frozenset[int]:
    """Return the units whose sources can change the binary at `root`; where nothing was observed, all that it reaches.

    They are the crates that rustc loaded, the proc-macros and build scripts of these with all that they use, and every
    other build script on the way.
    """
    every = graph.reached(root)
    if loaded is None:
        return every
    units = graph.units
    linked = {i for i in every if i == root or (units[i].key in loaded.units and not _is_helper(units[i]))}
    helpers = {used for i in linked for _, used in units[i].uses if _is_helper(units[used])}
    scripts = {i for i in every if units[i].is_script}
    return frozenset(linked) | graph.reached(*helpers, *scripts)


def _is_helper(unit: Unit) -> bool:
    return unit.is_script or unit.key.kind == _PROC_MACRO


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What units read.

    Attributes:
        sources: of path packages.
        watched: by build scripts: files and folders, which need not exist.
        variables: of the environment, but for those that cargo sets itself.
    """

    sources: frozenset[Path] = frozenset()
    watched: frozenset[Path] = frozenset()
    variables: frozenset[str] = frozenset()


@dataclass(slots=True)
class Reads:
    """What each unit of one call of cargo read; each is looked up once."""

    group: Group
    messages: Messages
    _units: dict[int, Read] = field(default_factory=dict)
    _scripts: dict[str, Read] = field(default_factory=dict)

    def of(self, keys: frozenset[UnitKey]) -> Read:
        """Return what the units with these keys read; what is built alike for host and target has one key."""
        compiled = self.messages.compiled
        found = [self._of_unit(index) for index, one in enumerate(compiled) if one.key in keys]
        found += [self._of_script(package) for package in {key.package for key in keys if key.kind == "custom-build"}]
        return Read(
            sources=frozenset().union(*(one.sources for one in found)),
            watched=frozenset().union(*(one.watched for one in found)),
            variables=frozenset().union(*(one.variables for one in found)),
        )

    def _of_unit(self, index: int) -> Read:
        if index not in self._units:
            self._units[index] = self._unit(self.messages.compiled[index])
        return self._units[index]

    def _of_script(self, package: str) -> Read:
        if package not in self._scripts:
            self._scripts[package] = self._script(package)
        return self._scripts[package]

    def _unit(self, one: Compiled) -> Read:
        sources: set[Path] = set()
        variables: set[str] = set()
        folder = local_folder(one.key.package)
        start = self.group.root if one.manifest.is_relative_to(self.group.root) else one.manifest.parent
        for path in _dependency_files(one, self.group):
            text = path.read_text(encoding="utf-8", errors="surrogateescape")
            at = text.find(_MARK)
            variables.update(_VARIABLE.findall(text, at) if at >= 0 else ())
            if folder is not None:
                sources.update(Path(os.path.normpath(start / source)) for source in prerequisites(text))
        if variables:
            runs = self.messages.scripts.get(one.key.package, ())
            variables -= {name for run in runs for name in run.environment}
            variables -= _SET_FOR_CRATES | self.group.toolchain.forced_variables()
        kept = frozenset(variables - _SET_FOR_ALL)
        return Read(sources=frozenset(sources), variables=kept)

    def _script(self, package: str) -> Read:
        watched: set[Path] = set()
        variables: set[str] = set()
        manifests = {one.manifest for one in self.messages.compiled if one.key.package == package}
        for run in self.messages.scripts.get(package, ()):
            said = (script_output(run) or b"").decode(errors="surrogateescape")
            variables.update(name.strip() for name in _ASKED.findall(said))
            for manifest in manifests:
                watched.update(Path(os.path.normpath(manifest.parent / path)) for path in _WATCHED.findall(said))
        variables -= _SET_FOR_SCRIPTS | self.group.toolchain.forced_variables()
        kept = frozenset(variables - _SET_FOR_ALL)
        if local_folder(package) is None:  # what lies in a package of a registry never changes
            watched = {path for path in watched if not any(path.is_relative_to(m.parent) for m in manifests)}
        return Read(watched=frozenset(watched), variables=kept)


def _dependency_files(one: Compiled, group: Group) -> Iterator[Path]:
    """Yield rustc's dependency files of a unit, which lie beside what it left in cargo's build folder.

    A binary is linked from there to its place. Where it can't be told which one it is, as it was copied, the files of
    all builds of that name count: they name more variables, never fewer.
    """
    crate = one.key.target.replace("-", "_")
    if one.executable is not None:
        place = one.executable.parent
        folders = [place / "deps"]
        if place.is_relative_to(group.target_directory):
            folders.append(group.build_directory / place.relative_to(group.target_directory) / "deps")
        found = sorted({path for folder in folders for path in folder.glob(f"{crate}-*.d")})
        own = [path for path in found if _is_same(path.with_suffix(one.executable.suffix), one.executable)]
        yield from own or found
    elif one.key.kind == "custom-build":
        yield from (path for file in one.files for path in sorted(file.parent.glob(f"{crate}-*.d")))
    else:
        names = dict.fromkeys(file.with_name(f"{file.stem.removeprefix('lib')}.d") for file in one.files)
        yield from (path for path in names if path.is_file())


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False
