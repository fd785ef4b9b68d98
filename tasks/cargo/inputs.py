"""The user's files that went into a binary: sources as rustc and build scripts named them, manifests, settings."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.digest import sha256_file
from ...provenance.errors import InputChangedError, ToolError
from ...provenance.fs import store
from ...provenance.sbom.cargo import local_folder
from .depinfo import base, prerequisites
from .ground import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from .messages import Messages, ScriptRun
    from .units import UnitGraph

CHECKSUMS = ".cargo-checksum.json"
"""In a vendored package: the digests of its files, by which cargo accepts them."""
_SETTINGS = (".cargo/config.toml", ".cargo/config", "rust-toolchain.toml", "rust-toolchain")
_SAYS_WHAT_IT_READS = re.compile(rb"^cargo::?rerun-if-(?:env-)?changed=", re.MULTILINE)


def input_files(
    executable: Path, further: Iterable[Path], *, workspace: Path, made: Collection[Path], repository: Path
) -> tuple[Path, ...]:
    """Return the files that went into the binary that cargo left at `executable`, sorted.

    Cargo's dependency file beside it names the sources of all path packages, with what their build scripts asked to be
    watched and what macros included (The Cargo Book, Build cache, dep-info files). Files that the build itself made are
    left out: they follow from the others. So are packages from registries: the lock file has their checksums.

    Args:
        executable: as cargo's message names it.
        further: what counts besides, as manifests (`further_files`).
        workspace: the cargo workspace's folder.
        made: folders; what lies in them was made by a build, ours or cargo's.
        repository: up to where settings are looked for.
    """
    found = {workspace / MANIFEST, workspace / "Cargo.lock", *further, *_settings(workspace, repository)}
    for path in named(executable):
        found |= set(files_of(path, made))
    return tuple(sorted(without_made(found, made)))


def without_made(paths: Iterable[Path], made: Collection[Path]) -> Iterator[Path]:
    """Yield the paths that are neither one of the folders `made` nor lie in one."""
    folders = frozenset(map(str, made))
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
    graph: UnitGraph, root: int, messages: Messages, *, workspace: Path, made: Collection[Path]
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
        if package in reached and is_silent(messages, package):
            yield from package_files(folder, made)
    for one in messages.compiled:
        digests = one.manifest.with_name(CHECKSUMS)
        if one.key.package in reached and digests.is_file():
            yield digests


def is_silent(messages: Messages, package: str) -> bool:
    """Tell whether a build script of a package does not say what it reads."""
    return any(_watches_its_package(run) for run in messages.scripts.get(package, ()))


def package_files(folder: Path, made: Collection[Path]) -> Iterator[Path]:
    """Yield the files of a package, without those of packages below it."""
    return _walk(folder, lambda inner: inner in made or (inner / MANIFEST).is_file())


def _manifests(package: Path, workspace: Path) -> Iterator[Path]:
    yield package / MANIFEST
    for folder in package.parents if package != workspace else ():
        if folder == workspace:
            return
        if (manifest := folder / MANIFEST).is_file():
            yield manifest


def _watches_its_package(run: ScriptRun) -> bool:
    said = script_output(run)
    return said is None or _SAYS_WHAT_IT_READS.search(said) is None


def script_output(run: ScriptRun) -> bytes | None:
    """Return what a build script wrote, where cargo keeps it (The Cargo Book, Build Scripts, Outputs)."""
    try:
        return (run.out_dir.parent / "output").read_bytes()
    except OSError:
        return None


def files_of(path: Path, made: Collection[Path]) -> Iterator[Path]:
    """Yield `path`, or the files of a folder that a build script watches, without what was made."""
    if path.is_dir():
        yield from _walk(path, lambda inner: inner in made)
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
class Inputs:
    """The input files of one build as they were at one moment: path to sha256."""

    digests: Mapping[Path, str]

    @classmethod
    def read(cls, files: Iterable[Path], digests: dict[Path, str] | None = None) -> Inputs:
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

    def refuse_changes_since(self, before: Inputs) -> None:
        """Compare with the same inputs before the build.

        Raises:
            InputChangedError: one of them differs.
        """
        for path, sha256 in self.digests.items():
            if before.digests.get(path, sha256) != sha256:
                raise InputChangedError(
                    f"an input changed while it was being built: `{path}`", hint="run again when it holds still"
                )

    def unsettled(self, before: Inputs, since_ns: int) -> tuple[Path, ...]:
        """Return the files that were not known before and that were changed after `since_ns` (a time in nanoseconds).

        What they held when the compiler read them is not known.
        """
        return tuple(p for p in self.digests if p not in before.digests and _changed_ns(p) >= since_ns)

    def relative_to(self, root: Path) -> dict[str, str]:
        """Return path from `root` to sha256; what lies elsewhere has its way there (`../…`), never an absolute path."""
        return {Path(os.path.relpath(path, root)).as_posix(): sha256 for path, sha256 in self.digests.items()}


def moment(folder: Path) -> int:
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
