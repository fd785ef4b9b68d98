from __future__ import annotations

import hashlib
import io
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance.digest import (
    Digest,
    digest_bytes,
    digest_file,
    digest_stream,
    read_limited,
    sha256_file,
)
from doit_provenance.provenance.errors import UnreadableError

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 1 << 20


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_every_way_gives_the_same_digest(tmp_path: Path, size: int) -> None:
    """Sizes around the chunk's, where a loop over chunks would lose or double something."""
    data = bytes(i % 251 for i in range(256)) * (size // 256 + 1)
    data = data[:size]
    path = tmp_path / "data"
    path.write_bytes(data)
    expected = Digest(sha256=hashlib.sha256(data).hexdigest(), sha512=hashlib.sha512(data).hexdigest(), size=size)
    copied = io.BytesIO()
    assert digest_bytes(data) == digest_file(path) == digest_stream(io.BytesIO(data), copied) == expected
    assert copied.getvalue() == data
    assert sha256_file(path) == expected.sha256


@given(first=st.binary(max_size=8), second=st.binary(max_size=8))
def test_digests_are_equal_exactly_for_equal_bytes(first: bytes, second: bytes) -> None:
    assert (digest_bytes(first) == digest_bytes(second)) == (first == second)


def test_stream_is_digested_from_where_it_stands() -> None:
    stream = io.BytesIO(b"head tail")
    stream.seek(5)
    assert digest_stream(stream) == digest_bytes(b"tail")


def test_text_and_digest_set() -> None:
    digest = digest_bytes(b"")
    assert str(digest) == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest.as_digest_set() == {"sha256": digest.sha256, "sha512": digest.sha512}


@pytest.mark.parametrize(
    ("sha256", "sha512", "size"),
    [
        ("a" * 63, "a" * 128, 0),
        ("a" * 64 + "\n", "a" * 128, 0),
        ("A" * 64, "a" * 128, 0),
        ("a" * 64, "a" * 64, 0),
        ("a" * 64, "a" * 128, -1),
    ],
)
def test_refuses_what_is_no_digest(sha256: str, sha512: str, size: int) -> None:
    with pytest.raises(ValueError, match="not a digest"):
        Digest(sha256=sha256, sha512=sha512, size=size)


def test_missing_and_folder_are_unreadable(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        for read in (digest_file, lambda p: read_limited(p, 10)):
            with pytest.raises(UnreadableError, match="can't read") as caught:
                read(path)
            assert str(path) in caught.value.message


def test_limit_is_the_last_size_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"12345")
    assert read_limited(path, 5) == b"12345"
    with pytest.raises(UnreadableError, match="larger than the 4 bytes"):
        read_limited(path, 4)


def test_limit_holds_for_what_says_no_size() -> None:
    """A device or a pipe has the size 0 and never ends."""
    from pathlib import Path

    with pytest.raises(UnreadableError, match="larger than the 1,000 bytes"):
        read_limited(Path(os.devnull).with_name("zero"), 1000)
