"""What is compressed, read as what it stands for: recognised by its first bytes, never without a bound."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, BinaryIO, cast

from ..errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from _typeshed import WriteableBuffer

GZIP, XZ, BZIP2, ZSTD = b"\x1f\x8b", b"\xfd7zXZ\x00", b"BZh", b"\x28\xb5\x2f\xfd"
"""How files begin that are compressed (RFC 1952, the .xz file format, bzip2's own, RFC 8878)."""
_CHUNK = 1 << 20
_FREE = 1 << 30
_RATIO = 200
"""What is compressed may grow to `_FREE` bytes, and beyond that to this many times its size."""
_ZSTD_WINDOW = 128 << 20
"""What zstd itself reads without being asked to (its option `--long` goes beyond)."""
_XZ_MEMORY = 80 << 20
"""What the highest level of xz needs to be read again is 65 MiB."""


class Stream:
    """What is read once, from the beginning, with one kind of error for all that can be wrong with it."""

    def __init__(self, raw: BinaryIO, most: int, damage: tuple[type[Exception], ...]) -> None:
        self._raw = raw
        self._left = most
        self._damage = damage

    def read(self, size: int) -> bytes:
        """Return the next bytes, fewer than `size` only at the end.

        Raises:
            UnreadableError: they are damaged, truncated, or far more than could be expected.
        """
        try:
            data = self._raw.read(size)
        except self._damage as error:
            raise UnreadableError(f"truncated or damaged: {error}") from error
        self._left -= len(data)
        if self._left < 0:
            raise UnreadableError(f"decompressed, it is far larger than the {_RATIO} times its size that are read")
        return data

    def exactly(self, size: int) -> bytes:
        """Return the next `size` bytes.

        Raises:
            UnreadableError: there are fewer, or as `read`.
        """
        data = self.read(size)
        if len(data) != size:
            raise UnreadableError("truncated: it ends in the middle of a file")
        return data

    def skip(self, size: int) -> None:
        """Pass over bytes.

        Raises:
            UnreadableError: there are fewer, or as `read`.
        """
        while size:
            size -= len(self.exactly(min(size, _CHUNK)))


def expanded(file: BinaryIO) -> Stream:
    """Return what a file stands for: its own bytes, unless the first ones say that it is compressed.

    A stream that is cut off may end early without an error: zstd's does.
    """
    first = file.read(len(XZ))
    size = file.seek(0, 2)
    file.seek(0)
    for magic, opened in _FORMATS.items():
        if first.startswith(magic):
            return opened(file, max(_FREE, _RATIO * size))
    return Stream(file, size, (OSError,))


def _gzip(file: BinaryIO, most: int) -> Stream:
    return Stream(cast("BinaryIO", gzip.GzipFile(fileobj=file, mode="rb")), most, (OSError, EOFError, zlib.error))


def _xz(file: BinaryIO, most: int) -> Stream:
    return Stream(cast("BinaryIO", BufferedReader(_Unxz(file), _CHUNK)), most, (OSError, EOFError, lzma.LZMAError))


class _Unxz(RawIOBase):
    """What an .xz file of one or several streams stands for; the library's reader takes what memory it asks for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._stream = _xz_stream()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        while True:
            data = b""
            if self._stream.eof:
                data = self._stream.unused_data.lstrip(b"\0")  # zeros may pad a stream
                while not data:
                    if not (piece := self._file.read(_CHUNK)):
                        return 0
                    data = piece.lstrip(b"\0")
                self._stream = _xz_stream()
            elif self._stream.needs_input and not (data := self._file.read(_CHUNK)):
                raise EOFError("it ends in the middle")
            if found := self._stream.decompress(data, len(view)):
                view[: len(found)] = found
                return len(found)


def _xz_stream() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _bzip2(file: BinaryIO, most: int) -> Stream:
    return Stream(cast("BinaryIO", bz2.BZ2File(file)), most, (OSError, EOFError))


def _zstd(file: BinaryIO, most: int) -> Stream:
    import zstandard

    frames = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    reader = frames.stream_reader(file, read_across_frames=True, closefd=False)
    return Stream(cast("BinaryIO", reader), most, (OSError, zstandard.ZstdError))


_FORMATS: Mapping[bytes, Callable[[BinaryIO, int], Stream]] = {GZIP: _gzip, XZ: _xz, BZIP2: _bzip2, ZSTD: _zstd}
