"""Reading an untrusted tar archive once, in order (POSIX ustar and pax, GNU tar), without unpacking it.

The standard library's reader takes several times as long and repairs what is broken. Here a member that two readers may
interpret differently is refused.
"""

from __future__ import annotations

import struct
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from ..errors import UnreadableError, quoted
from .decompress import ALL_FORMATS, Bounds, FileSource, decompressed, too_large

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = 512
_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12s")
_ZERO = bytes(BLOCK)
_CHECKSUM = slice(148, 156)
_BLANK_CHECKSUM = 8 * ord(" ")
_DIGITS = len(str(1 << 63))
_OLD_FILE = b"\0"
_STAR_PREFIX = 131
_GNU_NAMES = {b"L": "path", b"K": "linkpath"}
"""GNU's headers for long names, and their keywords in pax."""
_ARCHIVE = Bounds(ratio=200)


class Type(Enum):
    """The type of a member."""

    FILE = "file"
    HARD_LINK = "hard link"
    SYMBOLIC_LINK = "symbolic link"
    FOLDER = "folder"
    DEVICE = "device"
    PIPE = "pipe"


_TYPES = {
    **dict.fromkeys((b"0", b"\0", b"7"), Type.FILE),
    **dict.fromkeys((b"3", b"4"), Type.DEVICE),
    b"1": Type.HARD_LINK,
    b"2": Type.SYMBOLIC_LINK,
    b"5": Type.FOLDER,
    b"6": Type.PIPE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NameLimits:
    """Limits of names.

    Attributes:
        path: characters of a member's name or a link's target.
        name: characters of one part of a path.
        extension: bytes of one extended header (pax, GNU long names).
    """

    path: int = 4096
    name: int = 255
    extension: int = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member. Bytes of names that are not UTF-8 are surrogates, so that two names never become one.

    Attributes:
        path: from the root, without `.` and empty parts; empty for the root itself.
        absolute: the name in the archive begins with `/`.
        link: target as written, of the two kinds of links.
        size: of the content, in bytes.
    """

    path: str
    absolute: bool
    type: Type
    link: str
    size: int
    mode: int


@dataclass(slots=True)
class _Extension:
    """Extended headers of the member that follows them.

    Attributes:
        names: `path` and `linkpath`.
        kinds: type flags of the headers.
    """

    names: dict[str, str] = field(default_factory=dict)
    size: int | None = None
    kinds: set[bytes] = field(default_factory=set)


@contextmanager
def opened_tar(path: Path) -> Iterator[TarReader]:
    """Open a tar archive, plain or compressed by gzip, xz, bzip2 or zstd; its end must be marked.

    Raises:
        UnreadableError: it can't be read; reading it may raise that too.
    """
    name = "the archive"
    try:
        file = path.open("rb")
    except OSError as error:
        raise UnreadableError(f"can't read {quoted(str(path))}: {error.strerror}") from error
    with file, closing(decompressed(FileSource(file), name, _ARCHIVE, ALL_FORMATS)) as pieces:
        yield TarReader(pieces, name, needs_end_mark=True)


class TarReader:
    """An archive and, while its members are iterated over, the content of the current one.

    Args:
        pieces: the archive's bytes.
        name: of the archive in messages, as "the archive".
        limits: of names.
        needs_end_mark: whether an archive without a zero block at its end is truncated; engines read on without.
    """

    def __init__(
        self, pieces: Iterator[bytes], name: str, limits: NameLimits | None = None, *, needs_end_mark: bool = False
    ) -> None:
        self.name = name
        self._pieces = pieces
        self._piece = memoryview(b"")
        self._left = 0
        self._limits = limits or NameLimits()
        self._needs_end_mark = needs_end_mark

    def members(self) -> Iterator[Member]:
        """Yield the members; content that was not read is skipped.

        Raises:
            UnreadableError: this is not a tar archive, it is truncated, ambiguous, or a name exceeds the limits.
        """
        extension = _Extension()
        while header := self._header():
            kind = header[7]
            if kind in b"xLKg":
                text = self._extended(self._number(header[4]))
                if kind != b"g":
                    self._extend(extension, kind, text)
                elif extension.kinds:  # some readers take it for a member and forget the extended headers before it
                    raise self._broken("has a global header between an extended header and its member")
                continue  # engines ignore global headers
            member = self._member(header, extension)
            self._left = member.size
            yield member
            self._skip(self._left + -member.size % BLOCK)
            extension = _Extension()
        if extension.kinds:
            raise self._broken("ends where a member should follow")

    def content(self) -> Iterator[memoryview]:
        """Yield the content of the current member, in pieces."""
        while self._left:
            piece = self._some(self._left)
            self._left -= len(piece)
            yield piece

    def read(self, size: int, /) -> bytes:
        """Return the next bytes of the current member's content, `size` at most; none at its end."""
        data = bytes(self._some(min(size, self._left))) if self._left else b""
        self._left -= len(data)
        return data

    def _extend(self, extension: _Extension, kind: bytes, text: bytes) -> None:
        """Add an extended header. Each name may come once: readers differ on whether the first or the last counts."""
        records = self._records(text) if kind == b"x" else {_GNU_NAMES[kind]: _text(text)}
        names = {name: value for name, value in records.items() if name in _GNU_NAMES.values()}
        if kind in extension.kinds or (extension.names.keys() & names.keys()):
            raise self._broken("names a member twice in its extended headers")
        if not all(names.values()):
            raise self._broken("has an extended header with an empty name")
        extension.kinds.add(kind)
        extension.names.update(names)
        if "size" in records:
            extension.size = self._decimal(records["size"])

    def _header(self) -> tuple[bytes, ...] | None:
        """Return the fields of the next header; `None` at the end."""
        block = self._block()
        if block is None and self._needs_end_mark:
            raise self._truncated()
        if block is None or (block == _ZERO and self._block() in {None, _ZERO}):
            return None
        fields = _HEADER.unpack(block)
        checksum = sum(block) - sum(block[_CHECKSUM]) + _BLANK_CHECKSUM
        if self._number(fields[6]) != checksum:
            raise self._broken("has a header with a wrong checksum, or is not a tar archive")
        return fields

    def _member(self, header: tuple[bytes, ...], extension: _Extension) -> Member:
        prefix = self._prefix(header)
        path = extension.names.get("path") or (f"{prefix}/{_text(header[0])}" if prefix else _text(header[0]))
        type_ = _TYPES.get(header[7])
        if type_ is None:
            sparse = " (a sparse file)" if header[7] == b"S" else ""
            raise self._broken(f"has {quoted(path)} of the type {quoted(_text(header[7]))}{sparse}, which is not read")
        size = self._number(header[4]) if extension.size is None else extension.size
        if type_ is Type.FILE and path.endswith("/"):
            if header[7] != _OLD_FILE and size:
                raise self._broken(f"has a member {quoted(path)} that is both a file and a folder")
            type_ = Type.FOLDER  # tar before POSIX had no type for folders
        return Member(
            path=self._clean(path),
            absolute=path.startswith("/"),
            type=type_,
            link=self._bounded(extension.names.get("linkpath") or _text(header[8])),
            size=size if type_ is Type.FILE else 0,
            mode=self._number(header[1]) & 0o7777,
        )

    def _prefix(self, header: tuple[bytes, ...]) -> str:
        """Return the prefix of the name: POSIX has one, star a shorter one, and GNU two times in its place."""
        if header[9] == b"ustar\0":
            return _text(header[15][:_STAR_PREFIX] if header[16].endswith(b"tar\0") else header[15])
        if header[9] == b"ustar ":
            for time in (header[15][:12], header[15][12:24]):  # Go takes what is not a time for a prefix
                self._number(time)
        return ""

    def _clean(self, path: str) -> str:
        parts = [part for part in self._bounded(path).split("/") if part not in {"", "."}]
        if any(len(part) > self._limits.name for part in parts):
            raise too_large(
                self.name, f"has a name with a part longer than the {self._limits.name} characters of a file's name"
            )
        if ".." in parts or "\0" in path:
            raise self._broken(f"has a member {quoted(path)}, whose name leads outside the archive")
        return "/".join(parts)

    def _bounded(self, path: str) -> str:
        if len(path) > self._limits.path:
            raise too_large(self.name, f"has a name longer than {self._limits.path:,} characters")
        return path

    def _extended(self, size: int) -> bytes:
        if size > self._limits.extension:
            raise too_large(self.name, f"has an extended header longer than {self._limits.extension:,} bytes")
        text = self._exactly(size)
        self._skip(-size % BLOCK)
        return text

    def _records(self, data: bytes) -> dict[str, str]:
        r"""Read extended header records, `LENGTH KEY=VALUE\\n` (POSIX pax, Extended Header)."""
        records, start = {}, 0
        while start < len(data):
            blank = data.find(b" ", start, start + _DIGITS + 1)
            end = start + self._decimal(data[start:blank].decode("ascii", "replace") if blank > 0 else "")
            key, equals, value = data[blank + 1 : end].partition(b"=")
            if not equals or not value.endswith(b"\n") or end > len(data):
                raise self._broken("has a malformed extended header")
            name = _text(key)
            if name.startswith("GNU.sparse."):
                raise self._broken("has a sparse file, which is not read")
            records[name] = value[:-1].decode("utf-8", "surrogateescape")
            start = end
        return records

    def _decimal(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
            raise self._broken("has a malformed extended header")
        return int(text)

    def _number(self, field: bytes) -> int:
        """Read a numeric field: octal digits, or a binary number where its first bit is set (GNU tar)."""
        if field[0] & 0x80:
            if field[0] != 0x80:  # noqa: PLR2004 - all other bits of this byte are a sign, or too much
                raise self._broken("has a header with a negative or too large number")
            return int.from_bytes(field[1:], "big")
        digits = field.strip(b" \0")
        if digits.strip(b"01234567"):
            raise self._broken("has a malformed header, or is not a tar archive")
        return int(digits or b"0", 8)

    def _some(self, limit: int) -> memoryview:
        if not self._piece:
            self._piece = memoryview(next(self._pieces, b""))
            if not self._piece:
                raise self._truncated()
        taken, self._piece = self._piece[:limit], self._piece[limit:]
        return taken

    def _block(self) -> bytes | None:
        """Return the next block; `None`: there are no more bytes."""
        if len(self._piece) >= BLOCK:
            taken, self._piece = bytes(self._piece[:BLOCK]), self._piece[BLOCK:]
            return taken
        if not self._piece:
            self._piece = memoryview(next(self._pieces, b""))
            if not self._piece:
                return None
        return self._exactly(BLOCK)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += self._some(size - len(data))
        return data

    def _skip(self, size: int) -> None:
        while size:
            size -= len(self._some(size))

    def _truncated(self) -> UnreadableError:
        return self._broken("is truncated")

    def _broken(self, what: str) -> UnreadableError:
        return UnreadableError(f"{self.name} {what}", hint="get it again from where it came")


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")
