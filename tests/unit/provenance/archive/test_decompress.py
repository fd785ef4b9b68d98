"""Blobs of layers: plain, gzip and zstd, damaged ones, and those that expand without end."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import random
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
import zstandard

from doit_provenance.provenance.archive.decompress import (
    ALL_FORMATS,
    Bounds,
    Budget,
    DigestedSource,
    FileSource,
    decompressed,
)
from doit_provenance.provenance.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable

NOISE = random.Random(20240517).randbytes(300_000)  # noqa: S311 - no secret: the same bytes each time
SKIPPED = b"\x50\x2a\x4d\x18\x04\x00\x00\x00tail"
"""A frame that readers pass over, as zstd:chunked layers end with."""


BOUNDS = Bounds(ratio=400)


def expand(data: bytes, bounds: Bounds = BOUNDS) -> bytes:
    return b"".join(decompressed(DigestedSource(io.BytesIO(data)), "the layer", bounds))


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def test_plain_bytes_stay() -> None:
    assert expand(NOISE * 8) == NOISE * 8
    assert expand(b"") == b""


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
def test_compressed_bytes_come_out(compress: object) -> None:
    assert callable(compress)
    assert expand(compress(NOISE + bytes(5_000_000))) == NOISE + bytes(5_000_000)


def test_several_members_and_frames_belong_together() -> None:
    assert expand(gzip.compress(NOISE) + gzip.compress(b"tea") + bytes(100)) == NOISE + b"tea"
    assert expand(zstd(NOISE) + SKIPPED + zstd(b"tea") + SKIPPED) == NOISE + b"tea"


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_cut_off(compress: object, part: float) -> None:
    assert callable(compress)
    whole = compress(NOISE)
    with pytest.raises(UnreadableError, match="the layer is truncated"):
        expand(whole[: int(len(whole) * part)])


def test_damaged() -> None:
    packed = bytearray(gzip.compress(NOISE))
    packed[-6] ^= 1
    with pytest.raises(UnreadableError, match="not a valid gzip stream"):
        expand(bytes(packed))
    with pytest.raises(UnreadableError, match="not a valid gzip stream"):
        expand(gzip.compress(b"tea") + b"something else")
    with pytest.raises(UnreadableError, match="not a valid zstd stream"):
        expand(zstd(b"tea") + b"something else")


def bomb(size: int) -> bytes:
    """Return a gzip member of this many mebibytes of zeros."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(size)), packer.flush()])


@pytest.mark.parametrize("data", [bomb(64), zstd(bytes(64 << 20))], ids=["gzip", "zstd"])
def test_a_layer_that_expands_without_end(data: bytes) -> None:
    with pytest.raises(UnreadableError, match="expands to more than 100 times its size") as caught:
        expand(data, Bounds(ratio=100, unsuspicious=16 << 20))
    assert caught.value.hint
    with pytest.raises(UnreadableError, match="expands to more than 33,554,432 bytes"):
        expand(data, Bounds(ratio=400, size=32 << 20))


def test_layers_draw_on_one_budget() -> None:
    bounds = Bounds(ratio=400, budget=Budget(total=10 << 20))
    expand(bytes(6 << 20), bounds)
    with pytest.raises(UnreadableError, match="and those before it expand to more than"):
        expand(bytes(6 << 20), bounds)


def test_memory_does_not_grow_with_the_layer() -> None:
    data = bomb(48)
    tracemalloc.start()
    try:
        for _ in decompressed(DigestedSource(io.BytesIO(data)), "the layer", BOUNDS):
            pass
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 16 << 20


def test_the_digest_is_that_of_the_whole_blob() -> None:
    """Also of what is never expanded."""
    data = gzip.compress(NOISE * 4)
    source = DigestedSource(io.BytesIO(data))
    pieces = decompressed(source, "the layer", BOUNDS)
    next(pieces)
    pieces.close()
    assert source.sha256() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("compress", [lzma.compress, bz2.compress])
def test_xz_and_bzip2_where_they_are_asked_for(compress: Callable[[bytes], bytes]) -> None:
    def read(data: bytes) -> bytes:
        return b"".join(decompressed(FileSource(io.BytesIO(data)), "the archive", BOUNDS, ALL_FORMATS))

    packed = compress(NOISE)
    assert read(packed + bytes(8) + compress(b"tea")) == NOISE + b"tea"
    assert expand(packed) == packed
    with pytest.raises(UnreadableError, match="the archive is truncated"):
        read(packed[:-20])
    with pytest.raises(UnreadableError, match=r"not a valid (xz|bzip2) stream"):
        read(packed + b"something else")


def test_a_source_that_fails() -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(UnreadableError, match="the layer can't be read: Input/output error"):
        b"".join(decompressed(DigestedSource(Broken()), "the layer", BOUNDS))


def test_the_ratio_is_that_of_the_whole_file_if_its_size_is_known() -> None:
    """An archive may begin with zeros."""
    data = zstd(bytes(32 << 20)) + zstd(NOISE)
    bounds = Bounds(ratio=200, unsuspicious=1 << 20)
    assert len(b"".join(decompressed(FileSource(io.BytesIO(data)), "the archive", bounds))) == (32 << 20) + len(NOISE)
