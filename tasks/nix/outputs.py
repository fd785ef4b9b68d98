"""The file of an output that ships."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.errors import BuildError, quoted
from ...provenance.oci.archive import is_image_archive
from ..freshness import patterns
from .log import name_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .units import Unit

_LISTED = 10


def place_of(unit: Unit, output: str, closure: Collection[str]) -> str:
    """Return the path, in an output, of the file that ships; empty: the output itself is the file.

    Args:
        unit: the artifact.
        output: the store path.
        closure: the store paths that links may lead to.

    Raises:
        BuildError: no file is that of the unit, or several are; or a link leads out of the closure.
        ToolError: a folder can't be read.
    """
    root = Path(output)
    if unit.pattern is None and not root.is_dir():
        _refuse_outside(unit, root, closure)
        _refuse_image(unit, root)
        return ""
    pattern = "bin/*" if unit.pattern is None else unit.pattern
    names = patterns.expand(root, pattern) if root.is_dir() else []
    if unit.pattern is None:  # what wrappers wrap has a name that begins with a dot
        names = [name for name in names if not name.startswith("bin/.")]
    files: dict[Path, str] = {}
    for name in names:
        files.setdefault(_refuse_outside(unit, root / name, closure), name)
    if len(files) != 1:
        raise _not_one(unit, root, pattern, files)
    place = next(iter(files.values()))
    if not place.isprintable():  # as with other builders: lists of files, one a line, would be lies
        raise BuildError(
            f"the file {quoted(place)} of `{unit.artifact.id}` has a name that can't be written on a line",
            hint="let the package rename it",
        )
    return place


def path_of(output: str, place: str) -> Path:
    """Return the absolute path of a file, without links."""
    return Path(os.path.realpath(Path(output) / place))


def file_name(output: str, place: str) -> str:
    """Return what the file is called: an output that is a file itself by its name in the store, without the hash."""
    return place.rpartition("/")[2] or name_of(output)


def inside(unit: Unit, path: Path, closure: Collection[str]) -> Path:
    """Return where a path of an output really is: in the store, whatever a link in the output says.

    Raises:
        BuildError: it leads out of the closure, to a file of this machine that no NAR hash has seen.
    """
    real = os.path.realpath(path)
    if not any(real == one or real.startswith(f"{one}/") for one in closure):
        raise BuildError(
            f"{quoted(path.name)} of `{unit.artifact.id}` leads to {quoted(real)}, which is not in its closure",
            hint="let the package copy the file",
        )
    return Path(real)


def _refuse_outside(unit: Unit, path: Path, closure: Collection[str]) -> Path:
    """Return where a regular file of an output really is."""
    real = inside(unit, path, closure)
    try:
        regular = stat.S_ISREG(os.stat(real).st_mode)  # noqa: PTH116 - a text is at hand
    except OSError as error:
        raise BuildError(f"{quoted(path.name)} of `{unit.artifact.id}` can't be read: {error.strerror}") from error
    if not regular:
        raise BuildError(f"{quoted(path.name)} of `{unit.artifact.id}` is no file")
    return real


def _not_one(unit: Unit, root: Path, pattern: str, files: Mapping[Path, str]) -> BuildError:
    package = unit.package.name
    if files:
        names = list(files.values())
        hint = f"write `files = [{_entries(package, names)}]` into `[nix]`, with those that ship"
        if unit.pattern is not None:
            hint = "make the entry of `files` in `[nix]` narrower"
        found = f"{len(names)} files match {quoted(pattern)} in the output of {quoted(package)}: {_names(names)}"
        return BuildError(f"`{unit.artifact.id}` is one file, but {found}", hint=hint)
    there = patterns.expand(root, "**/*") if root.is_dir() else []
    holds = f"it holds {_names(there)}" if there else "it is empty" if root.is_dir() else "it is a file itself"
    return BuildError(
        f"no file matches {quoted(pattern)} in the output of {quoted(package)}; {holds}",
        hint=f"write `files = [{_entries(package, there)}]` into `[nix]`, with those that ship"
        if there
        else "correct `files` in `[nix]`",
    )


def _refuse_image(unit: Unit, path: Path) -> None:
    """Refuse an archive that is an image: as a file nobody would know what is in it."""
    if is_image_archive(path):
        raise BuildError(
            f"the output of {quoted(unit.package.name)} is an image",
            hint=f'write `images = ["{unit.package.name}"]` into `[nix]`',
        )


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(quoted, names[:_LISTED])) + more


def _entries(package: str, names: Sequence[str]) -> str:
    more = ", …" if len(names) > _LISTED else ""
    return ", ".join(f'"{package}/{name}"' for name in names[:_LISTED] if name.isprintable()) + more
