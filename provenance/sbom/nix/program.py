"""One file of an output: what it says of what it is made of, and which store paths it names."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import UnreadableError, quoted
from ..package import Unread
from ..program.elf import MAGIC, needed_libraries
from ..program.embedded import SIGNS, embedded, linked_contents

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from ..program.elf import Needed
    from ..program.linked import Linked

_SCRIPT = b"#!"
_WASM = b"\0asm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What one file says of itself.

    Attributes:
        linked: what its linkers wrote into it of what it is made of.
        needed: the shared libraries that it asks for; `None`: it is not ELF, or damaged.
        mentions: the hashes of store paths that stand in it, of those that were asked for.
        executable: it is ELF, WebAssembly or a script. script: it is a script, so that nothing is linked into it.
        unread: what of it could not be read.
    """

    linked: tuple[Linked, ...] = ()
    needed: tuple[Needed, ...] | None = None
    mentions: frozenset[str] = frozenset()
    executable: bool = False
    script: bool = False
    unread: tuple[Unread, ...] = ()


def read_program(path: Path, hashes: Collection[str] = (), *, name: str) -> Program:
    """Look into the file at `path`, which may be anything; `name` names it in what is said of it.

    That a file refers to a store path is told as Nix tells it (Nix manual, "Complete Store Derivation"): the hash
    stands in its bytes. What is compressed hides them, from Nix as well.

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
    unread: list[Unread] = []
    script = first.startswith(_SCRIPT)
    return Program(
        linked=_linked(path, name, unread) if signed else (),
        needed=_needed(path, name, unread) if first == MAGIC else None,
        mentions=mentions,
        executable=script or first in {MAGIC, _WASM},
        script=script,
        unread=tuple(unread),
    )


def _linked(path: Path, name: str, unread: list[Unread]) -> tuple[Linked, ...]:
    with path.open("rb") as stream:
        texts = embedded(stream)
    if texts is None:
        return ()
    contents, reasons = linked_contents(texts)
    unread.extend(Unread(path=name, reason=reason) for reason in reasons)
    return contents


def _needed(path: Path, name: str, unread: list[Unread]) -> tuple[Needed, ...] | None:
    try:
        return needed_libraries(path)
    except UnreadableError as error:
        unread.append(Unread(path=name, reason=error.message))
        return None
