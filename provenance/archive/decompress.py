"""Streaming decompression of untrusted data: formats are recognised by their first bytes, and the output is bounded."""

from __future__ import annotations

import bz2
import hashlib
import lzma
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from ..errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Iterator

GZIP, XZ, BZIP2, ZSTD = b"\x1f\x8b", b"\xfd7zXZ\x00", b"BZh", b"\x28\xb5\x2f\xfd"
"""Magic numbers (RFC 1952, the .xz file format, bzip2's, RFC 8878)."""
LAYER_FORMATS = frozenset({GZIP, ZSTD})
"""Compression of image layers (image-spec v1.1, layer.md)."""
ALL_FORMATS = frozenset({GZIP, XZ, BZIP2, ZSTD})
_READ = 128 << 10
_PIECE = 1 << 20
_WITH_GZIP_HEADER = 31
"""`wbits` of zlib for gzip with a window of any size."""
_XZ_MEMORY = 80 << 20
"""The highest level of xz needs 65 MiB to decompress."""
_ZSTD_WINDOW = 128 << 20
"""The largest window that the zstd command accepts without `--long`."""
_ZSTD_READ = 1 << 10
"""A block of four bytes may expand to 128 KiB (RFC 8878, 3.1.1.2): short reads bound the output of one call."""


@dataclass(slots=True, kw_only=True)
class Budget:
    """What several streams may expand to together, in bytes."""

    total: int
    used: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one stream may expand to, in bytes.

    Attributes:
        unsuspicious: the size from which `ratio` counts.
        ratio: times its compressed size.
        size: the largest output; `None`: as `ratio` allows.
        budget: shared with the streams before it.
    """

    unsuspicious: int = 1 << 30
    ratio: int
    size: int | None = None
    budget: Budget | None = None


class Source(Protocol):
    """Compressed data, read once from the beginning."""

    @property
    def size(self) -> int:
        """Bytes that `Bounds.ratio` multiplies: the whole size if it is known, else what was read so far."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes; none at the end."""


class FileSource:
    """A file, whose size is known beforehand."""

    def __init__(self, file: BinaryIO) -> None:
        self.size = file.seek(0, 2)
        file.seek(0)
        self.read = file.read


class DigestedSource:
    """A blob that is digested as it is read; its size is what has been read so far."""

    def __init__(self, blob: BinaryIO) -> None:
        self._blob = blob
        self._sha256 = hashlib.sha256()
        self.size = 0

    def read(self, size: int, /) -> bytes:
        """Return the next bytes; none at the end."""
        data = self._blob.read(size)
        self._sha256.update(data)
        self.size += len(data)
        return data

    def sha256(self) -> str:
        """Read the rest, which no archive needed, and return the sha256 of the whole blob in hex."""
        while self.read(_PIECE):
            pass
        return self._sha256.hexdigest()


def decompressed(
    source: Source, name: str, bounds: Bounds, formats: Collection[bytes] = LAYER_FORMATS
) -> Generator[bytes]:
    """Yield decompressed data in pieces of at most 1 MiB; a thread prepares the next one.

    Data in none of the formats is yielded as it is. Close the generator before anything else reads from `source`.

    Args:
        source: the compressed data.
        name: of it in messages, as "the archive".
        bounds: of the output.
        formats: magic numbers of those that are recognised.

    Raises:
        UnreadableError: it is damaged, truncated, can't be read, or expands beyond `bounds`.
    """
    return _prefetched(_bounded(source, name, bounds, _recognised(source, name, formats)))


def too_large(name: str, what: str) -> UnreadableError:
    """Return the error for an archive that holds more than is read of one."""
    return UnreadableError(f"{name} {what}", hint="see whether it is what you take it for: list it with `tar -tv`")


def _bounded(source: Source, name: str, bounds: Bounds, pieces: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in filter(None, pieces):
        size += len(piece)
        if bounds.size is not None and size > bounds.size:
            raise too_large(name, f"expands to more than {bounds.size:,} bytes, the limit for one")
        if budget := bounds.budget:
            budget.used += len(piece)
            if budget.used > budget.total:
                raise too_large(name, f"and those before it expand to more than {budget.total:,} bytes, their limit")
        if size > bounds.unsuspicious and size > bounds.ratio * source.size:
            raise too_large(name, f"expands to more than {bounds.ratio:,} times its size")
        yield piece


def _recognised(source: Source, name: str, formats: Collection[bytes]) -> Iterator[bytes]:
    try:
        first = source.read(_READ)
        magic = next((magic for magic in formats if first.startswith(magic)), None)
        yield from _plain(source, first) if magic is None else _DECOMPRESSORS[magic](source, first, name)
    except OSError as error:
        raise UnreadableError(f"{name} can't be read: {error.strerror or error}") from error


def _plain(source: Source, data: bytes) -> Iterator[bytes]:
    while data:
        yield data
        data = source.read(_PIECE)


def _gunzip(source: Source, data: bytes, name: str) -> Iterator[bytes]:
    """Decompress gzip members; a file may have several, whose contents belong together (RFC 1952, 2.2)."""
    try:
        while data:
            member = zlib.decompressobj(_WITH_GZIP_HEADER)
            while not member.eof:
                if piece := member.decompress(data, _PIECE):
                    yield piece
                data = member.unconsumed_tail or (b"" if member.eof else source.read(_READ))
                if not data and not member.eof and not piece:
                    raise _truncated(name)
            data = _behind(source, member.unused_data)
    except zlib.error as error:
        raise _damaged(name, "gzip", error) from error


def _unxz(source: Source, data: bytes, name: str) -> Iterator[bytes]:
    """Decompress xz streams, of which a file may have several."""
    try:
        yield from _streams(source, data, name, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY))
    except lzma.LZMAError as error:
        raise _damaged(name, "xz", error) from error


def _bunzip2(source: Source, data: bytes, name: str) -> Iterator[bytes]:
    try:
        yield from _streams(source, data, name, bz2.BZ2Decompressor)
    except OSError as error:
        raise _damaged(name, "bzip2", error) from error


def _streams(
    source: Source, data: bytes, name: str, new: Callable[[], lzma.LZMADecompressor | bz2.BZ2Decompressor]
) -> Iterator[bytes]:
    while data:
        stream = new()
        while not stream.eof:
            yield stream.decompress(data, _PIECE)
            data = source.read(_READ) if stream.needs_input else b""
            if not data and stream.needs_input:
                raise _truncated(name)
        data = _behind(source, stream.unused_data)


def _unzstd(source: Source, data: bytes, name: str) -> Iterator[bytes]:
    """Decompress zstd frames, of which a file may have several (RFC 8878, 3.1)."""
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    frame = None
    try:
        while data:
            for start in range(0, len(data), _ZSTD_READ):
                rest = data[start : start + _ZSTD_READ]
                while rest:
                    frame = frame or decompressor.decompressobj()
                    yield frame.decompress(rest)
                    rest, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
            data = source.read(_READ)
    except zstandard.ZstdError as error:
        raise _damaged(name, "zstd", error) from error
    if frame is not None:
        raise _truncated(name)


def _behind(source: Source, data: bytes) -> bytes:
    """Return the beginning of the next member or stream; zeros may pad the one before, as on tapes."""
    while not (data := data.lstrip(b"\0")):
        if not (data := source.read(_READ)):
            return b""
    return data


def _prefetched(pieces: Iterable[bytes]) -> Generator[bytes]:
    """Yield `pieces`, each made in another thread while the caller works on the one before: zlib releases the GIL."""
    from concurrent.futures import ThreadPoolExecutor

    iterator = iter(pieces)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="decompress") as thread:
        upcoming = thread.submit(next, iterator, b"")
        while piece := upcoming.result():
            upcoming = thread.submit(next, iterator, b"")
            yield piece


def _truncated(name: str) -> UnreadableError:
    return UnreadableError(f"{name} is truncated")


def _damaged(name: str, kind: str, error: Exception) -> UnreadableError:
    return UnreadableError(f"{name} is not a valid {kind} stream: {error}")


_DECOMPRESSORS = {GZIP: _gunzip, XZ: _unxz, BZIP2: _bunzip2, ZSTD: _unzstd}
