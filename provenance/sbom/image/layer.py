"""One layer of an image, read in one pass: digests, contents for readers of packages, and whiteouts.

Whiteouts follow image-spec v1.1, layer.md, "Representing Changes". `Limits` bound what is read of an untrusted image.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, BinaryIO, NoReturn, TypeAlias, cast

from ...archive.decompress import Bounds, Budget, DigestedSource, decompressed
from ...archive.tar import Member, NameLimits, TarReader, Type
from ...errors import UnreadableError, quoted
from ..program.elf import MAGIC as ELF_MAGIC
from ..program.embedded import SIGNS, Embedded, embedded
from .nix import STORE, References

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_BOOKKEEPING = ".wh..wh."
"""Metadata of AUFS, which engines ignore."""
_WASM_MAGIC = b"\0asm"
_EXECUTABLE = 0o111
_IN_MEMORY = 16 << 20
_MIB, _GIB = 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what is read of one image; sizes in bytes.

    Attributes:
        layer: expanded size of one layer. image: of all layers together.
        ratio: expanded to compressed size of a layer, checked once it is larger than `unsuspicious`.
        entries: members of the archives of all layers.
        nodes: files and folders of the resulting tree, including the parents that member names imply.
        steps: folders and links followed to resolve paths below links.
        path: of a member's name or a link's target. name: of one part of it. names: of all names and targets together.
        extension: of one record that extends the next header (PAX, GNU long names).
        kept: of all files together that are kept for readers of packages.
        program: of an executable that is searched for what linkers embedded in it.
    """

    layer: int = 64 * _GIB
    image: int = 128 * _GIB
    ratio: int = 400
    unsuspicious: int = _GIB
    entries: int = 1_000_000
    nodes: int = 2_000_000
    steps: int = 20_000_000
    path: int = 4096
    name: int = 255
    names: int = 256 * _MIB
    extension: int = _MIB
    kept: int = 384 * _MIB
    program: int = 2 * _GIB


def exceeded(layer: str, what: str) -> NoReturn:
    """Refuse an image that exceeds a limit."""
    raise UnreadableError(
        f"layer `{layer}` {what}", hint="is this image what it is taken for? see what its layers hold, with `tar -tv`"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A regular file of an image.

    Attributes:
        sha256: in hex.
        layer: the index of the layer that has it, from 0, the lowest.
        program: executable by its mode, or ELF or WebAssembly by its magic number.
        weak: md5 and sha1 in hex, as package databases have them; of programs only.
        data: its bytes, if a reader wants them. unread: a reader wants them, but they exceed a limit.
        embedded: what a linker embedded about its contents.
        names: of a file in a Nix store, the hashes of the store paths that it references.
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
    """A symbolic link or, if `hard`, another name of a file of this layer or a lower one."""

    target: str
    hard: bool


class Folder:
    """A folder with an entry of its own."""


class Special:
    """A device or a pipe, which has no content to read."""


Entry: TypeAlias = "File | Link | Folder | Special"


@dataclass(slots=True, kw_only=True)
class Layer:
    """The changes of one layer.

    Attributes:
        entries: paths and entries in the order of the archive; the last one of a path counts.
        whiteouts: paths removed from lower layers. opaque: folders whose contents in lower layers are hidden.
        sha256: of its blob.
    """

    entries: list[tuple[str, Entry]] = field(default_factory=list)
    whiteouts: list[str] = field(default_factory=list)
    opaque: list[str] = field(default_factory=list)
    sha256: str = ""


@dataclass(slots=True, kw_only=True)
class Allowance:
    """What may still be read of one image; reading its layers reduces it.

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
        """Return the whole allowance for one image."""
        return cls(
            limits=limits,
            expanded=Budget(total=limits.image),
            entries=limits.entries,
            names=limits.names,
            kept=limits.kept,
        )


def read_layer(blob: BinaryIO, *, index: int, digest: str, wanted: Callable[[str], int], allowance: Allowance) -> Layer:
    """Read a layer from its blob. `index` is its position among the layers; `digest` names it in messages.

    `wanted` returns for a path the largest size of a file that is kept for a reader; 0: not kept.

    Raises:
        UnreadableError: it is not an archive, is damaged, or exceeds a limit.
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
    keep = limit > 0 and member.size <= min(limit, allowance.kept)
    sha256 = hashlib.sha256(first)
    weak = [hashlib.md5(first, usedforsecurity=False), hashlib.sha1(first, usedforsecurity=False)] if program else []
    kept = [first] if keep else []
    texts = _EmbeddedTexts(first) if elf and member.size <= allowance.limits.program else None
    references = References() if member.path.startswith(STORE) else None
    if references:
        references.add(first)
    for piece in pieces:
        sha256.update(piece)
        for digest in weak:
            digest.update(piece)
        if keep:
            kept.append(bytes(piece))
        if texts:
            texts.add(piece)
        if references:
            references.add(piece)
    allowance.kept -= member.size if keep else 0
    return File(
        size=member.size,
        mode=member.mode,
        sha256=sha256.hexdigest(),
        layer=index,
        program=program,
        weak=(weak[0].hexdigest(), weak[1].hexdigest()) if program else None,
        data=b"".join(kept) if keep else None,
        unread=limit > 0 and not keep,
        embedded=texts.read() if texts else None,
        names=references.hashes() if references else frozenset(),
    )


class _EmbeddedTexts:
    """Buffers an ELF file, on disk if it is large, to read what linkers embedded in it if one of the signs occurs."""

    def __init__(self, first: bytes) -> None:
        self._buffer = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by `read`
        self._end = b""
        self._signed = False
        self.add(first)

    def add(self, piece: bytes | memoryview) -> None:
        data = bytes(piece)
        self._buffer.write(data)
        if not self._signed:
            window = self._end + data
            self._signed = any(sign in window for sign in SIGNS)
            self._end = window[-_LONGEST_SIGN:]

    def read(self) -> Embedded | None:
        with self._buffer as buffer:
            return embedded(cast("BinaryIO", buffer)) if self._signed else None


_LONGEST_SIGN = max(map(len, SIGNS))
