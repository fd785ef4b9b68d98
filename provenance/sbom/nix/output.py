"""The files of a store path: its programs with what is linked into them, and its Python distributions."""

from __future__ import annotations

import mmap
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ...digest import read_limited
from ...errors import UnreadableError, quoted
from ..image import python
from ..package import Package, Unread, shown
from ..program.elf import MAGIC, needed_libraries
from ..program.embedded import SIGNS, embedded, linked_contents

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ..program.elf import Needed
    from ..program.linked import Linked

_SCRIPT = b"#!"
_WASM = b"\0asm"
_ENTRIES = 200_000
_METADATA_LIMIT = 16 << 20
_PYTHON = re.compile(r"python\d+(?:\.\d+)?")
_METADATA = {".dist-info": "METADATA", ".egg-info": "PKG-INFO"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The contents of one file.

    Attributes:
        linked: its contents as its linkers recorded them in it.
        needed: shared libraries that it needs; `None`: it is not ELF, or damaged.
        mentions: those of the given store path hashes that occur in it.
        executable: it is ELF, WebAssembly or a script. script: it is a script, so nothing is linked into it.
        unread: the parts of it that could not be read.
    """

    linked: tuple[Linked, ...] = ()
    needed: tuple[Needed, ...] | None = None
    mentions: frozenset[str] = frozenset()
    executable: bool = False
    script: bool = False
    unread: tuple[Unread, ...] = ()


def read_program(path: Path, hashes: Collection[str] = (), *, name: str) -> Program:
    """Read a file of any kind; `name` is its name in messages.

    A file refers to a store path if the path's hash occurs in its bytes, as for Nix itself (Nix manual, "Complete Store
    Derivation"). In compressed data neither Nix nor this finds it.

    Raises:
        UnreadableError: it can't be read.
    """
    try:
        with path.open("rb") as stream:
            if not path.stat().st_size:
                return Program()
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                first = data[:4]
                mentions = frozenset(hash_ for hash_ in hashes if data.find(hash_.encode()) >= 0)
                signed = first == MAGIC and any(data.find(sign) >= 0 for sign in SIGNS)
    except OSError as error:
        raise UnreadableError(f"can't read {quoted(str(path))}: {error.strerror}") from error
    linked: tuple[Linked, ...] = ()
    needed: tuple[Needed, ...] | None = None
    unread: list[Unread] = []
    if signed:
        with path.open("rb") as stream:
            texts = embedded(stream)
        if texts is not None:
            linked, reasons = linked_contents(texts)
            unread += [Unread(path=name, reason=reason) for reason in reasons]
    if first == MAGIC:
        try:
            needed = needed_libraries(path)
        except UnreadableError as error:
            unread.append(Unread(path=name, reason=error.message))
    script = first.startswith(_SCRIPT)
    return Program(
        linked=linked,
        needed=needed,
        mentions=mentions,
        executable=script or first in {MAGIC, _WASM},
        script=script,
        unread=tuple(unread),
    )


def is_store_file(path: Path, store: Path) -> bool:
    """Tell whether a path is a file that, links resolved, lies in the store (they may lead to other store paths)."""
    try:
        # `Path.resolve` raises another exception for circular links.
        real, root = (os.path.realpath(each, strict=True) for each in (path, store))
        return os.path.isfile(real) and real.startswith(root + os.sep)  # noqa: PTH113 - a text is at hand
    except OSError:  # missing (substituted, garbage-collected), or a dangling or circular link
        return False


def files_below(folder: Path) -> Iterator[str]:
    """Yield the regular files below a store path, as paths relative to it, sorted by folder. Links are not followed.

    Raises:
        UnreadableError: there are too many, or a folder can't be read.
    """
    count = 0
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        folders.sort()
        for name in sorted(files):
            count += 1
            if count > _ENTRIES:
                raise UnreadableError(
                    f"`{folder.name}` holds more than the {_ENTRIES:,} files that are looked at in one store path"
                )
            path = f"{parent}{os.sep}{name}"
            if _is_regular(path):
                yield Path(path).relative_to(folder).as_posix()


def distributions(folder: Path) -> Iterator[Package | Unread]:
    """Yield the Python distributions of a store path.

    Only `lib/python3.X/site-packages` is read: nixpkgs installs all of them there.
    """
    pythons = (entry for entry in sorted(_entries(folder / "lib")) if _PYTHON.fullmatch(entry.name))
    for site in (entry / "site-packages" for entry in pythons):
        texts: dict[str, bytes] = {}
        for entry in sorted(_entries(site)):
            name = _METADATA.get(entry.suffix)
            if name is None:
                continue
            metadata = entry / name if os.path.isdir(entry) else entry  # noqa: PTH112 - `Path.is_dir` may raise
            place = shown(metadata.relative_to(folder).as_posix())
            if not is_store_file(metadata, folder.parent):
                yield Unread(path=place, reason="no file of the store")
                continue
            try:
                texts[place] = read_limited(metadata, _METADATA_LIMIT)
            except UnreadableError as error:
                yield Unread(path=place, reason=error.message)
        yield from python.read(texts, None)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        _refuse(error)


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _refuse(error: OSError) -> NoReturn:
    raise UnreadableError(f"can't read `{error.filename}`: {error.strerror}") from error
