"""One layer, read once: each file's digest and what of its bytes is wanted, and what the layer takes away.

Whiteouts are those of image-spec v1.1, layer.md, "Representing Changes".
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, cast

from ...archive.decompress import Bounds, Budget, DigestedSource, decompressed
from ...archive.tar import Member, NameLimits, TarReader, Type
from ...errors import UnreadableError, quoted
from ..program.elf import MAGIC as ELF_MAGIC
from ..program.embedded import SIGNS, Embedded, embedded
from .limits import exceeded
from .nix import STORE, References

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .limits import Limits

WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_BOOKKEEPING = ".wh..wh."
"""What AUFS kept for itself; engines pass over it."""
_WASM_MAGIC = b"\0asm"
_EXECUTABLE = 0o111
_IN_MEMORY = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A regular file of an image.

    Attributes:
        sha256: in hex.
        layer: the index of the layer that has it, from 0, the lowest.
        program: it may be executed by its mode, or is ELF or WebAssembly by its first bytes.
        weak: its md5 and sha1 in hex, of programs: what package databases know files by.
        data: its bytes, where a reader wants them. unread: it wants them, but it is larger than is read of one.
        embedded: what a linker wrote into it about what it is made of.
        names: hashes of the paths of a Nix store that stand in it, of a file of such a store.
    """

    size: int
    mode: int
    sha256: str
    layer: int
    program: bool
    weak: tuple[str, str] | None = None
    data: bytes | None = None
    unread: bool = False
    embedded: Embedded | None = None
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A symbolic link, or, with `hard`, another name of a file of this layer or one below it."""

    target: str
    hard: bool


class Folder:
    """A folder that a layer names itself."""


class Special:
    """A device or a pipe: nothing that could be read."""


Entry: TypeAlias = "File | Link | Folder | Special"


@dataclass(slots=True, kw_only=True)
class Layer:
    """What one layer changes.

    Attributes:
        entries: paths and what stands there, in the order of the archive; the last of one path counts.
        whiteouts: paths that are taken away from the layers below. opaque: folders of which they show nothing.
        sha256: of its blob.
    """

    entries: list[tuple[str, Entry]] = field(default_factory=list)
    whiteouts: list[str] = field(default_factory=list)
    opaque: list[str] = field(default_factory=list)
    sha256: str = ""


@dataclass(slots=True, kw_only=True)
class Allowance:
    """What may still be read of one image; its layers draw on it one after another.

    Attributes:
        expanded: bytes that blobs may expand to. entries: members. names: characters of their names.
        kept: bytes of files that readers want.
    """

    limits: Limits
    expanded: Budget
    entries: int
    names: int
    kept: int

    @classmethod
    def of(cls, limits: Limits) -> Allowance:
        """Return all that `limits` allow of an image."""
        return cls(
            limits=limits,
            expanded=Budget(total=limits.image),
            entries=limits.entries,
            names=limits.names,
            kept=limits.kept,
        )


def read_layer(blob: BinaryIO, *, index: int, digest: str, wanted: Callable[[str], int], allowance: Allowance) -> Layer:
    """Read a layer from its blob. `index` is its place among the layers, `digest` names it in messages.

    `wanted` says of a path how many bytes of the file at most are kept for a reader; 0: none.

    Raises:
        UnreadableError: it is no archive, is damaged, or holds more than is read of one.
    """
    source, layer, name, limits = DigestedSource(blob), Layer(), f"layer `{digest}`", allowance.limits
    bounds = Bounds(size=limits.layer, ratio=limits.ratio, unsuspicious=limits.unsuspicious, budget=allowance.expanded)
    with closing(decompressed(source, name, bounds)) as pieces:
        archive = TarReader(pieces, name, NameLimits(path=limits.path, name=limits.name, extension=limits.extension))
        for member in archive.members():
            allowance.entries -= 1
            if allowance.entries < 0:
                exceeded(digest, f"and those below it have more than {allowance.limits.entries:,} members")
            allowance.names -= len(member.path) + len(member.link)
            if allowance.names < 0:
                exceeded(digest, f"and those below it have names of more than {allowance.limits.names:,} characters")
            _add(layer, archive, member, index=index, wanted=wanted, allowance=allowance)
    layer.sha256 = source.sha256()
    return layer


def _add(
    layer: Layer, archive: TarReader, member: Member, *, index: int, wanted: Callable[[str], int], allowance: Allowance
) -> None:
    folder, _, name = member.path.rpartition("/")
    if name.startswith(WHITEOUT):
        _whiteout(layer, folder, name, archive.name)
        return
    entry = _entry(archive, member, index, wanted, allowance)
    if member.path:
        layer.entries.append((member.path, entry))


def _whiteout(layer: Layer, folder: str, name: str, archive: str) -> None:
    if name == _OPAQUE:
        layer.opaque.append(folder)
    elif not name.startswith(_BOOKKEEPING):
        hidden = name.removeprefix(WHITEOUT)
        if hidden in {"", ".", ".."}:
            raise UnreadableError(f"{archive} has a whiteout {quoted(name)}, which names no file")
        layer.whiteouts.append(f"{folder}/{hidden}" if folder else hidden)


def _entry(archive: TarReader, member: Member, index: int, wanted: Callable[[str], int], allowance: Allowance) -> Entry:
    match member.type:
        case Type.FILE:
            return _file(archive.content(), member, index, wanted(member.path), allowance)
        case Type.SYMBOLIC_LINK:
            return Link(target=member.link, hard=False)
        case Type.HARD_LINK:
            return Link(target=member.link, hard=True)
        case Type.FOLDER:
            return Folder()
        case Type.DEVICE | Type.PIPE:
            return Special()


def _file(pieces: Iterator[memoryview], member: Member, index: int, limit: int, allowance: Allowance) -> File:
    first = bytes(next(pieces, b""))
    elf = first.startswith(ELF_MAGIC)
    program = elf or bool(member.mode & _EXECUTABLE and member.size) or first.startswith(_WASM_MAGIC)
    read = limit > 0 and member.size <= min(limit, allowance.kept)
    sha256 = hashlib.sha256(first)
    weak = [hashlib.md5(first, usedforsecurity=False), hashlib.sha1(first, usedforsecurity=False)] if program else []
    kept = [first] if read else []
    look = _Look(first) if elf and member.size <= allowance.limits.program else None
    references = References() if member.path.startswith(STORE) else None
    if references:
        references.add(first)
    for piece in pieces:
        sha256.update(piece)
        for digest in weak:
            digest.update(piece)
        if read:
            kept.append(bytes(piece))
        if look:
            look.add(piece)
        if references:
            references.add(piece)
    allowance.kept -= member.size if read else 0
    return File(
        size=member.size,
        mode=member.mode,
        sha256=sha256.hexdigest(),
        layer=index,
        program=program,
        weak=(weak[0].hexdigest(), weak[1].hexdigest()) if program else None,
        data=b"".join(kept) if read else None,
        unread=limit > 0 and not read,
        embedded=look.found() if look else None,
        names=references.hashes() if references else frozenset(),
    )


class _Look:
    """Keeps an ELF file, on disk if it is large, until it is known whether a linker wrote its parts into it."""

    def __init__(self, first: bytes) -> None:
        self._kept = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by `found`
        self._end = b""
        self._signed = False
        self.add(first)

    def add(self, piece: bytes | memoryview) -> None:
        data = bytes(piece)
        self._kept.write(data)
        if not self._signed:
            window = self._end + data
            self._signed = any(sign in window for sign in SIGNS)
            self._end = window[-_LONGEST_SIGN:]

    def found(self) -> Embedded | None:
        with self._kept as kept:
            return embedded(cast("BinaryIO", kept)) if self._signed else None


_LONGEST_SIGN = max(map(len, SIGNS))
