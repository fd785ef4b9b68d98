"""The user's files that went into a binary: sources as rustc and build scripts named them, manifests, settings."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance import store
from ...provenance.digest import sha256_file
from ...provenance.errors import InputChangedError, ToolError
from .depinfo import base, prerequisites

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

_SETTINGS = (".cargo/config.toml", ".cargo/config", "rust-toolchain.toml", "rust-toolchain")


def input_files(
    executable: Path, manifests: Iterable[Path], *, workspace: Path, made: Collection[Path], repository: Path
) -> tuple[Path, ...]:
    """Return the files that went into the binary that cargo left at `executable`, sorted.

    Cargo's dependency file beside it names the sources of all path packages, with what their build scripts asked to be
    watched and what macros included (The Cargo Book, Build cache, dep-info files). Files that the build itself made are
    left out: they follow from the others. So are packages from registries: the lock file has their checksums.

    Args:
        executable: as cargo's message names it.
        manifests: of the path packages of the build.
        workspace: the cargo workspace's folder.
        made: folders; what lies in them was made by a build, ours or cargo's.
        repository: up to where settings are looked for.
    """
    found = {workspace / "Cargo.toml", workspace / "Cargo.lock", *manifests, *_settings(workspace, repository)}
    depinfo = executable.with_suffix(".d")
    if depinfo.is_file():
        text = depinfo.read_text(encoding="utf-8", errors="surrogateescape")
        for path in prerequisites(text):
            whole = path if path.is_absolute() else base(text, executable) / path
            found |= set(_files(Path(os.path.normpath(whole)), made))
    return tuple(sorted(p for p in found if not any(p.is_relative_to(folder) for folder in made)))


def _files(path: Path, made: Collection[Path]) -> Iterator[Path]:
    """Yield `path`, or the files of a folder that a build script watches, without git's own and what was made."""
    if path.is_dir():
        for folder, inner, names in os.walk(path):
            inner[:] = [n for n in inner if n != ".git" and Path(folder, n) not in made]
            yield from (Path(folder, name) for name in names)
    else:
        yield path


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
