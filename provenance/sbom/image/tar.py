"""Members of a tar archive as layers have them (image-spec v1.1, layer.md; POSIX pax, GNU tar), read once, in order.

The standard library's reader takes several times longer for each member and repairs what is broken. Here a member that
two readers may understand differently is refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from ...errors import UnreadableError, quoted
from .limits import exceeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .limits import Limits

BLOCK = 512
_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12s")
_ZERO = bytes(BLOCK)
_CHECKSUM = slice(148, 156)
_BLANK_CHECKSUM = 8 * ord(" ")
_DIGITS = len(str(1 << 63))
_OLD_FILE = b"\0"
_STAR_PREFIX = 131
_EXTENDED = {b"L": "path", b"K": "linkpath"}
"""GNU's headers for long names, and what they are called in pax."""


class Type(Enum):
    """What a member is."""

    FILE = "file"
    HARD_LINK = "hard link"
    SYMBOLIC_LINK = "symbolic link"
    FOLDER = "folder"
    SPECIAL = "device or pipe"


_TYPES = {
    **dict.fromkeys((b"0", b"\0", b"7"), Type.FILE),
    **dict.fromkeys((b"3", b"4", b"6"), Type.SPECIAL),
    b"1": Type.HARD_LINK,
    b"2": Type.SYMBOLIC_LINK,
    b"5": Type.FOLDER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member. Bytes of names that are no UTF-8 are surrogates, so that two names never become one.

    Attributes:
        path: from the root, without `.` and empty parts; empty for the root itself.
        link: as it stands there, for the two kinds of links.
        size: of the content that follows, in bytes.
    """

    path: str
    type: Type
    link: str
    size: int
    mode: int


@dataclass(slots=True)
class _Said:
    """What extended headers say of the member that follows them.

    Attributes:
        names: `path` and `linkpath`. kinds: of the headers.
    """

    names: dict[str, str] = field(default_factory=dict)
    size: int | None = None
    kinds: set[bytes] = field(default_factory=set)


class Archive:
    """The bytes of an archive as they come. Each member's content has to be taken before the next member."""

    def __init__(self, pieces: Iterator[bytes], layer: str, limits: Limits) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")
        self.layer = layer
        self._limits = limits

    def members(self) -> Iterator[Member]:
        """Yield the members.

        Raises:
            UnreadableError: this is no such archive, it is cut off, or a name is longer than is read.
        """
        said = _Said()
        while header := self._header():
            kind = header[7]
            if kind in b"xLKg":
                text = self._extension(_number(header[4], self._broken))
                if kind != b"g":
                    self._say(said, kind, text)
                elif said.kinds:  # it is a member of its own to some readers, which forget then what was said
                    raise self._broken("says something of all members where one should follow")
                continue  # engines pass over what is said of all members, and so it means nothing
            yield self._member(header, said)
            said = _Said()
        if said.kinds:
            raise self._broken("ends where a member should follow")

    def _say(self, said: _Said, kind: bytes, text: bytes) -> None:
        """Take up what a header says of the member that follows, once: whether the first or the last counts differs."""
        records = self._records(text) if kind == b"x" else {_EXTENDED[kind]: _text(text)}
        names = {name: value for name, value in records.items() if name in _EXTENDED.values()}
        if kind in said.kinds or (said.names.keys() & names.keys()):
            raise self._broken("says twice what a member is called")
        if not all(names.values()):
            raise self._broken("has an extended header with an empty name")
        said.kinds.add(kind)
        said.names.update(names)
        if "size" in records:
            said.size = self._decimal(records["size"])

    def content(self, size: int) -> Iterator[memoryview]:
        """Yield a member's content, in pieces, and pass over what pads it."""
        left = size
        while left:
            piece = self._some(left)
            left -= len(piece)
            yield piece
        self._skip(-size % BLOCK)

    def _header(self) -> tuple[bytes, ...] | None:
        """Return the fields of the next header; `None` at the end, whether it is marked or not, as engines do."""
        block = self._exactly(BLOCK, at_end=True)
        if block is None or (block == _ZERO and self._exactly(BLOCK, at_end=True) in {None, _ZERO}):
            return None
        fields = _HEADER.unpack(block)
        checked = sum(block) - sum(block[_CHECKSUM]) + _BLANK_CHECKSUM
        if _number(fields[6], self._broken) != checked:
            raise self._broken("has a header with a wrong checksum, or is no tar archive")
        return fields

    def _member(self, header: tuple[bytes, ...], said: _Said) -> Member:
        found = _TYPES.get(header[7])
        if found is None:
            raise self._broken(f"has a member of type {quoted(_text(header[7]))}, which is not read")
        prefix = self._prefix(header)
        path = said.names.get("path") or (f"{prefix}/{_text(header[0])}" if prefix else _text(header[0]))
        size = _number(header[4], self._broken) if said.size is None else said.size
        if found is Type.FILE and path.endswith("/"):
            if header[7] != _OLD_FILE and size:
                raise self._broken(f"has a member {quoted(path)} that is both a file and a folder")
            found = Type.FOLDER  # as it was written before there were types
        return Member(
            path=self._clean(path),
            type=found,
            link=self._bounded(said.names.get("linkpath") or _text(header[8])),
            size=size if found is Type.FILE else 0,
            mode=_number(header[1], self._broken) & 0o7777,
        )

    def _prefix(self, header: tuple[bytes, ...]) -> str:
        """Return what stands before the name: in POSIX' format, in star's a shorter one, and in GNU's two times."""
        if header[9] == b"ustar\0":
            return _text(header[15][:_STAR_PREFIX] if header[16].endswith(b"tar\0") else header[15])
        if header[9] == b"ustar ":
            for time in (header[15][:12], header[15][12:24]):  # which Go takes for a prefix where they are none
                _number(time, self._broken)
        return ""

    def _clean(self, path: str) -> str:
        parts = [part for part in self._bounded(path).split("/") if part not in {"", "."}]
        if any(len(part) > self._limits.name for part in parts):
            exceeded(
                self.layer, f"has a name with a part longer than the {self._limits.name} characters of a file's name"
            )
        if ".." in parts or "\0" in path:
            raise self._broken(f"has a member {quoted(path)}, whose name leads out of where it stands")
        return "/".join(parts)

    def _bounded(self, path: str) -> str:
        if len(path) > self._limits.path:
            exceeded(self.layer, f"has a name longer than the {self._limits.path:,} characters that are read of one")
        return path

    def _extension(self, size: int) -> bytes:
        if size > self._limits.extension:
            exceeded(self.layer, f"has a header longer than the {self._limits.extension:,} bytes that are read of one")
        return b"".join(self.content(size))

    def _records(self, data: bytes) -> dict[str, str]:
        r"""Read extended header records, `LENGTH KEY=VALUE\\n` (POSIX pax, Extended Header)."""
        found, start = {}, 0
        while start < len(data):
            blank = data.find(b" ", start, start + _DIGITS + 1)
            end = start + self._decimal(data[start:blank].decode("ascii", "replace") if blank > 0 else "")
            key, equals, value = data[blank + 1 : end].partition(b"=")
            if not equals or not value.endswith(b"\n") or end > len(data):
                raise self._broken("has an extended header that is none")
            name = _text(key)
            if name.startswith("GNU.sparse."):
                raise self._broken("has a member with holes, which is not read")
            found[name] = value[:-1].decode("utf-8", "surrogateescape")
            start = end
        return found

    def _decimal(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
            raise self._broken("has an extended header that is none")
        return int(text)

    def _some(self, limit: int) -> memoryview:
        if not self._piece:
            self._piece = memoryview(next(self._pieces, b""))
            if not self._piece:
                raise self._broken("is cut off")
        taken, self._piece = self._piece[:limit], self._piece[limit:]
        return taken

    def _exactly(self, size: int, *, at_end: bool) -> bytes | None:
        """Return so many bytes; `None` where the archive has ended, if that may be here."""
        if len(self._piece) >= size:
            taken, self._piece = bytes(self._piece[:size]), self._piece[size:]
            return taken
        if not self._piece and at_end:
            self._piece = memoryview(next(self._pieces, b""))
            if not self._piece:
                return None
        found = b""
        while len(found) < size:
            found += self._some(size - len(found))
        return found

    def _skip(self, size: int) -> None:
        while size:
            size -= len(self._some(size))

    def _broken(self, what: str) -> UnreadableError:
        return UnreadableError(f"layer `{self.layer}` {what}", hint="get the image again from where it came")


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _number(field: bytes, broken: Callable[[str], UnreadableError]) -> int:
    """Read a numeric field: octal digits, or a binary number where its first bit is set (GNU tar)."""
    if field[0] & 0x80:
        if field[0] != 0x80:  # noqa: PLR2004 - all other bits of this byte are a sign, or too much
            raise broken("has a header with a negative or too large number")
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise broken("has a header that is none, or is no tar archive")
    return int(digits or b"0", 8)
