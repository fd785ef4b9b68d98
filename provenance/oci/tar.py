"""Reading a tar that nobody vouches for, from its beginning to its end: nothing is unpacked, every length is bounded.

POSIX.1-2017 pax(1), "ustar Interchange Format" and "pax Interchange Format"; GNU's long names. Compressed archives are
recognised by their first bytes.
"""

from __future__ import annotations

import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from io import RawIOBase
from typing import TYPE_CHECKING, BinaryIO, cast

from ..errors import UnreadableError, quoted
from .expand import Stream, expanded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = 512
_HEADER_LIMIT = 1 << 20
"""Bytes of a pax header or a long name."""
_MOST = 50_000
"""Members of one archive."""

_REGULAR = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE})
_LONG = frozenset({tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK})
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A regular file of an archive, or a symbolic link.

    Attributes:
        name: its path, with `/`; it never leads out of the archive.
        content: its bytes, to be read before the next member is asked for; `None`: it is a link.
        target: where a link leads, likewise from the archive's root.
    """

    name: str
    size: int
    content: BinaryIO | None
    target: str | None = None


@contextmanager
def opened_tar(path: Path) -> Iterator[Iterator[Member]]:
    """Open an archive; yield its files and links in their order. Folders are passed over.

    Raises:
        UnreadableError: it is missing, no tar, truncated or damaged, holds something else than files, folders and
            links, two files of one name, a name that leads out of it, or too much.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise UnreadableError(f"can't read {quoted(str(path))}: {error.strerror}") from error
    with file:
        yield _members(expanded(file))


class _Content(RawIOBase):
    """The bytes of one member, as a stream."""

    def __init__(self, stream: Stream, size: int) -> None:
        self._stream = stream
        self.left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        wanted = self.left if size < 0 else min(size, self.left)
        self.left -= wanted
        return self._stream.exactly(wanted) if wanted else b""


def _members(stream: Stream) -> Iterator[Member]:
    seen: set[str] = set()
    for header in _headers(stream):
        name = _inside(header.name)
        if header.type == tarfile.DIRTYPE:
            stream.skip(_padded(header.size))
            continue
        if header.type == tarfile.SYMTYPE:
            target = _inside(header.linkname, at=name)
            stream.skip(_padded(header.size))
            content = None
        elif header.type in _REGULAR:
            target, content = None, _Content(stream, header.size)
        else:
            raise UnreadableError(f"{quoted(name)} is {_KINDS.get(header.type, 'of an unknown kind')}, not a file")
        if name in seen:
            raise UnreadableError(f"{quoted(name)} is in it twice")
        seen.add(name)
        yield Member(name=name, size=header.size, content=cast("BinaryIO | None", content), target=target)
        if content is not None:
            stream.skip(content.left + _padded(header.size) - header.size)


def _headers(stream: Stream) -> Iterator[tarfile.TarInfo]:
    """Yield the header of each member, with what the headers before it say of it."""
    said: dict[str, str] = {}
    for _ in range(_MOST):
        block = stream.read(BLOCK)
        if not block.strip(b"\0") and len(block) == BLOCK:
            return
        if len(block) != BLOCK:
            raise UnreadableError("truncated: the mark at the end of a tar is missing")
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise UnreadableError("no tar, or damaged") from error
        if header.size < 0:
            raise UnreadableError(f"{quoted(header.name)} has a size below nothing")
        if header.type in _LONG:
            key = "path" if header.type == tarfile.GNUTYPE_LONGNAME else "linkpath"
            said[key] = _extension(stream, header).rstrip(b"\0").decode("utf-8", "surrogateescape")
        elif header.type in {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE}:
            said |= _pax(_extension(stream, header))
        elif header.type == tarfile.XGLTYPE:
            _extension(stream, header)  # comments, as git's
        else:
            yield _with(header, said)
            said = {}
    raise UnreadableError(f"more than {_MOST:,} members")


def _extension(stream: Stream, header: tarfile.TarInfo) -> bytes:
    if header.size > _HEADER_LIMIT:
        raise UnreadableError(f"a header of {header.size:,} bytes")
    return stream.exactly(_padded(header.size))[: header.size]


def _pax(data: bytes) -> dict[str, str]:
    """Read the records of a pax header: a length, a key and a value, and the end of a line."""
    found = {}
    while data:
        length, _, _ = data.partition(b" ")
        size = int(length) if length.isdigit() and len(length) <= len(str(_HEADER_LIMIT)) else 0
        record = data[len(length) + 1 : size]
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n") or len(data) < size:
            raise UnreadableError("a pax header that is damaged")
        found[key.decode("utf-8", "surrogateescape")] = value[:-1].decode("utf-8", "surrogateescape")
        data = data[size:]
    return found


def _with(header: tarfile.TarInfo, said: dict[str, str]) -> tarfile.TarInfo:
    if any(key.startswith("GNU.sparse.") for key in said):
        raise UnreadableError(f"{quoted(header.name)} is a sparse file, not a plain one")
    header.name = said.get("path", header.name)
    header.linkname = said.get("linkpath", header.linkname)
    if (size := said.get("size")) is not None:
        if not (size.isascii() and size.isdigit() and len(size) < len(str(1 << 63))):
            raise UnreadableError(f"{quoted(header.name)} has the size {quoted(size)}")
        header.size = int(size)
    return header


def _inside(name: str, *, at: str | None = None) -> str:
    """Return a path without `.` and empty parts.

    Args:
        name: as the archive has it.
        at: the link whose target it is, from whose folder it is meant.

    Raises:
        UnreadableError: it leads out of the archive.
    """
    parts = at.split("/")[:-1] if at else []
    for part in name.split("/"):
        if part == ".." and at and parts:
            parts.pop()
        elif part == ".." or "\0" in part:
            break
        elif part not in {"", "."}:
            parts.append(part)
    else:
        if not name.startswith("/") and (parts or at is None):
            return "/".join(parts)
    what = f"the link {quoted(at)} leads to {quoted(name)}," if at else f"the name {quoted(name)}"
    raise UnreadableError(f"{what} {'which lies' if at else 'leads'} outside the archive")


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
