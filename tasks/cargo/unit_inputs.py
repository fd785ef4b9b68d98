"""The files, folders and environment variables that went into a binary and that each of its units read.

Cargo's own dependency file names the sources of every path package that a binary declares. Of these, rustc loads only
what the code names (`observe.py`): the sources of the others can't change a byte of it. A build script counts wherever
it belongs to, as it may tell the linker where to look.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.digest import sha256_file
from ...provenance.errors import InputChangedError, ToolError
from ...provenance.fs import store
from ...provenance.sbom.cargo import local_folder
from .fingerprint import MANIFEST
from .observe import base, prerequisites

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from .discover import Group
    from .invoke import Compiled, Messages, ScriptRun
    from .observe import Loaded
    from .units import Unit, UnitGraph, UnitKey


CHECKSUMS = ".cargo-checksum.json"
"""In a vendored package: the digests of its files, by which cargo accepts them."""
_SETTINGS = (".cargo/config.toml", ".cargo/config", "rust-toolchain.toml", "rust-toolchain")
_SAYS_WHAT_IT_READS = re.compile(rb"^cargo::?rerun-if-(?:env-)?changed=", re.MULTILINE)


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


def input_files(
    executable: Path, further: Iterable[Path], *, workspace: Path, build_dirs: Collection[Path], repository: Path
) -> tuple[Path, ...]:
    """Return the files that went into the binary that cargo left at `executable`, sorted.

    Cargo's dependency file beside it names the sources of all path packages, with what their build scripts asked to be
    watched and what macros included (The Cargo Book, Build cache, dep-info files). Files that the build itself made are
    left out: they follow from the others. So are packages from registries: the lock file has their checksums.

    Args:
        executable: as cargo's message names it.
        further: what counts besides, as manifests (`further_files`).
        workspace: the cargo workspace's folder.
        build_dirs: folders; what lies in them was made by a build, ours or cargo's.
        repository: up to where settings are looked for.
    """
    found = {workspace / MANIFEST, workspace / "Cargo.lock", *further, *_settings(workspace, repository)}
    for path in named(executable):
        found |= set(files_of(path, build_dirs))
    return tuple(sorted(outside_build_dirs(found, build_dirs)))


def outside_build_dirs(paths: Iterable[Path], build_dirs: Collection[Path]) -> Iterator[Path]:
    """Yield the paths that are neither one of the folders `made` nor lie in one."""
    folders = frozenset(map(str, build_dirs))
    beginnings = tuple(f"{folder}{os.sep}" for folder in folders)
    for path in paths:
        if not (text := str(path)).startswith(beginnings) and text not in folders:
            yield path


def named(executable: Path) -> tuple[Path, ...]:
    """Return what the dependency file of a binary names: files, and folders that build scripts watch; none without."""
    depinfo = dependency_file(executable)
    if not depinfo.is_file():
        return ()
    text = depinfo.read_text(encoding="utf-8", errors="surrogateescape")
    paths = (path if path.is_absolute() else base(text, executable) / path for path in prerequisites(text))
    return tuple(Path(os.path.normpath(path)) for path in paths)


def dependency_file(executable: Path) -> Path:
    """Return where cargo leaves the dependency file of a binary (The Cargo Book, Build Cache, dep-info files)."""
    return executable.with_suffix(".d")


def further_files(
    graph: UnitGraph, root: int, messages: Messages, *, workspace: Path, build_dirs: Collection[Path]
) -> Iterator[Path]:
    """Yield the files that count for the binary at `root` of the graph, though its dependency file may not name them.

    - The manifests of all path packages of the graph, as cargo unifies features over them, and those above, in one of
      which stands what a manifest inherits (The Cargo Book, Workspaces).
    - The package of a build script that does not say what it reads: cargo then watches all of it (The Cargo Book, Build
      Scripts, Change Detection).
    - For a vendored package the digests of its files, by which cargo accepts them (The Cargo Book, Source Replacement).
    """
    reached = graph.packages(graph.reached(root))
    for package in sorted({unit.key.package for unit in graph.units}):
        folder = local_folder(package)
        if folder is None:
            continue
        yield from _manifests(folder, workspace)
        if package in reached and declares_no_inputs(messages, package):
            yield from package_files(folder, build_dirs)
    for one in messages.compiled:
        digests = one.manifest.with_name(CHECKSUMS)
        if one.key.package in reached and digests.is_file():
            yield digests


def declares_no_inputs(messages: Messages, package: str) -> bool:
    """Tell whether a build script of a package does not say what it reads."""
    return any(_watches_its_package(run) for run in messages.scripts.get(package, ()))


def package_files(folder: Path, build_dirs: Collection[Path]) -> Iterator[Path]:
    """Yield the files of a package, without those of packages below it."""
    return _walk(folder, lambda inner: inner in build_dirs or (inner / MANIFEST).is_file())


def _manifests(package: Path, workspace: Path) -> Iterator[Path]:
    yield package / MANIFEST
    for folder in package.parents if package != workspace else ():
        if folder == workspace:
            return
        if (manifest := folder / MANIFEST).is_file():
            yield manifest


def _watches_its_package(run: ScriptRun) -> bool:
    output = script_output(run)
    return output is None or _SAYS_WHAT_IT_READS.search(output) is None


def script_output(run: ScriptRun) -> bytes | None:
    """Return what a build script wrote, where cargo keeps it (The Cargo Book, Build Scripts, Outputs)."""
    try:
        return (run.out_dir.parent / "output").read_bytes()
    except OSError:
        return None


def files_of(path: Path, build_dirs: Collection[Path]) -> Iterator[Path]:
    """Yield `path`, or the files of a folder that a build script watches, without what was made."""
    if path.is_dir():
        yield from _walk(path, lambda inner: inner in build_dirs)
    else:
        yield path


def _walk(top: Path, skipped: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield the files of a folder, without git's and Python's own, which change by being looked at.

    Links to folders are followed, as cargo follows them when it watches a folder; one that was walked is not again.
    """
    walked = {os.path.realpath(top)}
    for folder, inner, names in os.walk(top, followlinks=True):
        inner[:] = [n for n in inner if n not in {".git", "__pycache__"} and not skipped(Path(folder, n))]
        for link in [n for n in inner if Path(folder, n).is_symlink()]:
            if (target := os.path.realpath(Path(folder, link))) in walked or Path(folder).is_relative_to(target):
                inner.remove(link)
            walked.add(target)
        yield from (Path(folder, name) for name in names if name != ".git")


def _settings(workspace: Path, repository: Path) -> Iterator[Path]:
    folder = workspace
    while True:
        yield from (p for name in _SETTINGS if (p := folder / name).is_file())
        if folder == repository or not folder.is_relative_to(repository) or folder == folder.parent:
            return
        folder = folder.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDigests:
    """The input files of one build as they were at one moment: path to sha256."""

    digests: Mapping[Path, str]

    @classmethod
    def read(cls, files: Iterable[Path], digests: dict[Path, str] | None = None) -> FileDigests:
        """Digest `files`; one that vanished or may not be read is an error of the build.

        `digests` are those of the same moment that are known; it takes up the others.

        Raises:
            ToolError: a file can't be read.
        """
        known = {} if digests is None else digests
        found = {}
        for path in files:
            try:
                found[path] = known[path] = known[path] if path in known else sha256_file(path)
            except OSError as error:
                raise ToolError(f"an input can't be read: `{path}`: {error.strerror}") from error
        return cls(digests=found)

    def refuse_changes_since(self, before: FileDigests) -> None:
        """Compare with the same inputs before the build.

        Raises:
            InputChangedError: one of them differs.
        """
        for path, sha256 in self.digests.items():
            if before.digests.get(path, sha256) != sha256:
                refuse_change(path)

    def unsettled(self, before: FileDigests, since_ns: int) -> tuple[Path, ...]:
        """Return the files that were not known before and that were changed after `since_ns` (a time in nanoseconds).

        What they held when the compiler read them is not known.
        """
        return tuple(p for p in self.digests if p not in before.digests and _changed_ns(p) >= since_ns)

    def relative_to(self, root: Path) -> dict[str, str]:
        """Return path from `root` to sha256; what lies elsewhere has its way there (`../…`), never an absolute path."""
        return {Path(os.path.relpath(path, root)).as_posix(): sha256 for path, sha256 in self.digests.items()}


def refuse_change(path: Path | str | None) -> None:
    """Refuse a build during which the input at `path` changed; `None`: none did.

    Raises:
        InputChangedError: one did.
    """
    if path is not None:
        raise InputChangedError(
            f"an input changed while it was being built: `{path}`", hint="run again when it holds still"
        )


def filesystem_time(folder: Path) -> int:
    """Return the time, in nanoseconds, as a file in `folder` gets it now.

    The clock of files may be some milliseconds coarse, and so behind the system's: by the latter, a file that is
    written just now was written before.

    Raises:
        StoreError: no file can be written there.
    """
    path = folder / f"clock-{secrets.token_hex(6)}"
    store.prepare(folder)
    try:
        store.write(path, b"")
        return path.stat().st_ctime_ns
    finally:
        path.unlink(missing_ok=True)


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_ctime_ns
    except OSError:
        return 0


def contributing_units(graph: UnitGraph, root: int, loaded: Loaded | None) -> frozenset[int]:
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
class UnitReads:
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
            output = (script_output(run) or b"").decode(errors="surrogateescape")
            variables.update(name.strip() for name in _ASKED.findall(output))
            for manifest in manifests:
                watched.update(Path(os.path.normpath(manifest.parent / path)) for path in _WATCHED.findall(output))
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
