"""The archive in a layer's blob: plain, gzip or zstd, told by its first bytes as engines do; never without a bound."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from ...errors import UnreadableError
from .limits import exceeded

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from .limits import Limits

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_READ = 128 << 10
_PIECE = 1 << 20
_WITH_GZIP_HEADER = 31
"""`wbits` of zlib for gzip with a window of any size."""
_ZSTD_WINDOW = 128 << 20
"""What zstd itself reads without being asked to (its option `--long` goes beyond)."""
_ZSTD_READ = 1 << 10
"""A block of four bytes may stand for 128 KiB (RFC 8878, 3.1.1.2): short reads bound what comes out at once."""


@dataclass(slots=True, kw_only=True)
class Budget:
    """What may still be expanded of one image: its layers draw on it one after another."""

    left: int


class Source:
    """A blob that is read once: how much of it was read, and its digest."""

    def __init__(self, blob: BinaryIO) -> None:
        self._blob = blob
        self._sha256 = hashlib.sha256()
        self.size = 0

    def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end."""
        data = self._blob.read(size)
        self._sha256.update(data)
        self.size += len(data)
        return data

    def sha256(self) -> str:
        """Return the sha256 of the whole blob in hex; what an archive's end leaves of it is read for that."""
        while self.read(_PIECE):
            pass
        return self._sha256.hexdigest()


def inflated(blob: Source, layer: str, limits: Limits, budget: Budget) -> Generator[bytes]:
    """Yield the bytes of the archive in `blob`, in pieces of up to a mebibyte; the next one is made beside the caller.

    Close it before anything else is read from `blob`.

    `layer` is its digest, for messages.

    Raises:
        UnreadableError: it is damaged or cut off, or expands beyond `limits` or what is left of `budget`.
    """
    return _ahead(_bounded(blob, layer, limits, budget))


def _bounded(source: Source, layer: str, limits: Limits, budget: Budget) -> Iterator[bytes]:
    size = 0
    for piece in filter(None, _expanded(source, layer)):
        size += len(piece)
        budget.left -= len(piece)
        if size > limits.layer:
            exceeded(layer, f"expands to more than the {limits.layer:,} bytes that are read of one")
        if budget.left < 0:
            exceeded(
                layer, f"and those below it expand to more than the {limits.image:,} bytes that are read of an image"
            )
        if size > limits.unsuspicious and size > limits.ratio * source.size:
            exceeded(layer, f"expands to more than {limits.ratio:,} times its size")
        yield piece


def _expanded(source: Source, layer: str) -> Iterator[bytes]:
    first = source.read(_READ)
    if first.startswith(_GZIP):
        return _gunzipped(source, first, layer)
    if first.startswith(_ZSTD):
        return _unzstd(source, first, layer)
    return _plain(source, first)


def _plain(source: Source, data: bytes) -> Iterator[bytes]:
    while data:
        yield data
        data = source.read(_PIECE)


def _gunzipped(source: Source, data: bytes, layer: str) -> Iterator[bytes]:
    """Expand gzip members, of which a blob may have several (RFC 1952, 2.2: their contents belong together)."""
    try:
        while data:
            member = zlib.decompressobj(_WITH_GZIP_HEADER)
            while not member.eof:
                if piece := member.decompress(data, _PIECE):
                    yield piece
                data = member.unconsumed_tail or (b"" if member.eof else source.read(_READ))
                if not data and not member.eof and not piece:
                    raise UnreadableError(f"layer `{layer}` is cut off")
            data = (member.unused_data or source.read(_READ)).lstrip(b"\0")  # zeros may pad a member, as tapes do
    except zlib.error as error:
        raise UnreadableError(f"layer `{layer}` is no whole gzip stream: {error}") from error


def _unzstd(source: Source, data: bytes, layer: str) -> Iterator[bytes]:
    """Expand zstd frames, of which a blob may have several (RFC 8878, 3.1)."""
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
        raise UnreadableError(f"layer `{layer}` is no whole zstd stream: {error}") from error
    if frame is not None:
        raise UnreadableError(f"layer `{layer}` is cut off")


def _ahead(pieces: Iterable[bytes]) -> Generator[bytes]:
    """Yield `pieces`, each made by another thread while the one before is worked on: zlib lets others run."""
    from concurrent.futures import ThreadPoolExecutor

    iterator = iter(pieces)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="inflate") as beside:
        coming = beside.submit(next, iterator, b"")
        while piece := coming.result():
            coming = beside.submit(next, iterator, b"")
            yield piece
