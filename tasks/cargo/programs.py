"""Cargo, the compiler and what they are started by: where they lie."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

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
