"""The programs that build: where they lie, and their digests."""

from __future__ import annotations

import hashlib
import os
import threading
from typing import TYPE_CHECKING

from ..freshness.inputs import Known, measure_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ...provenance.json import JSONValue
    from ..builder import Memory

_KEY = "cargo.programs"
_COMPILER = "librustc_driver-*"
"""The compiler proper, which `rustc` only starts."""
_RUSTUP = "rustup"


def which(name: str, base: Path) -> Path | None:
    """Return the program that is started by a name; one with a `/` is a path from `base`."""
    if os.sep in name:
        path = base / name
        return path if os.access(path, os.X_OK) else None
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = base / folder / name
        if os.access(path, os.X_OK) and path.is_file():
            return path
    return None


def is_understood(program: Path, sysroot: Path) -> bool:
    """Tell whether a `cargo` or `rustc` is the one below `sysroot`, or rustup's proxy, which leads there.

    Of anything else, as a script or the shim of a version manager, nobody knows what it looks at before it answers.
    """
    try:
        if program.resolve() == (sysroot / "bin" / program.name).resolve():
            return True
        return program.resolve().name == _RUSTUP or program.samefile(program.with_name(_RUSTUP))
    except OSError:
        return False


def compiler_files(sysroot: Path, targets: Iterable[str]) -> list[Path]:
    """Return the files of a toolchain that decide what it makes: rustc, and the standard libraries of `targets`."""
    folders = (sysroot / "lib" / "rustlib" / target / "lib" for target in sorted(set(targets)))
    libraries = sorted(path for folder in folders for path in folder.glob("*.rlib"))
    return [sysroot / "bin" / "rustc", *sorted((sysroot / "lib").glob(_COMPILER)), *libraries]


class Programs:
    """Digests of programs. They are large: each is read once, until its signature is another."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._known: dict[str, Known] | None = None
        self._seen: dict[str, str] = {}

    def digest(self, path: Path) -> str:
        """Return the sha256 of a program in hex; empty: there is none.

        Raises:
            ToolError: it can't be read.
        """
        return self.digests([path])[0]

    def digests(self, paths: Iterable[Path]) -> list[str]:
        """Return that of each of several; large ones are read side by side.

        Raises:
            ToolError: one can't be read.
        """
        wanted = [os.fspath(path) for path in paths]
        with self._lock:
            known = self._read()
            if missing := [path for path in wanted if path not in self._seen]:
                found = _measure(missing, known)
                self._seen |= {path: one.sha256 if one else "" for path, one in found.items()}
                fresh = {path: one for path, one in found.items() if one}
                if any(known.get(path) != one for path, one in fresh.items()):
                    known |= fresh
                    self._memory.put(_KEY, {path: write_known(one) for path, one in known.items()})
            return [self._seen[path] for path in wanted]

    def together(self, paths: Iterable[Path]) -> str:
        """Return one sha256 of several programs and their names.

        Raises:
            ToolError: one can't be read.
        """
        every = list(paths)
        pairs = zip((path.name for path in every), self.digests(every), strict=True)
        return hashlib.sha256("\0".join(f"{name}\0{sha256}" for name, sha256 in pairs).encode()).hexdigest()

    def forget(self) -> None:
        """Look at every program again from now on."""
        with self._lock:
            self._seen.clear()

    def _read(self) -> dict[str, Known]:
        if self._known is None:
            found = self._memory.get(_KEY)
            entries = found.items() if isinstance(found, dict) else ()
            self._known = {path: known for path, entry in entries if (known := read_known(entry))}
        return self._known


def _measure(paths: list[str], known: Mapping[str, Known]) -> dict[str, Known | None]:
    if paths == [path for path in paths if path in known]:
        return {path: measure_file(path, known[path]) for path in paths}
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="programs") as pool:
        return dict(zip(paths, pool.map(measure_file, paths, map(known.get, paths)), strict=True))


def write_known(known: Known) -> JSONValue:
    """Return what is remembered of a file that was measured."""
    return [known.sha256, *(known.signature or ())]


def read_known(entry: JSONValue) -> Known | None:
    """Read what `write_known` returned; `None`: nothing that tells whether the file is the same."""
    match entry:
        case [str(sha256), int(size), int(mtime), int(ctime), int(inode)]:
            return Known(sha256, (size, mtime, ctime, inode))
    return None
