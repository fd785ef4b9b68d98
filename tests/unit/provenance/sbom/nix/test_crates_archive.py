"""Single files out of archives, none of which is unpacked."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from typing import TYPE_CHECKING

import pytest
import zstandard

from doit_provenance.provenance.sbom.nix.crates import packed_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOCK = re.compile(r"[^/]+/Cargo\.lock")


def pack(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def found(folder: Path, data: bytes, limit: int = 100) -> bytes | None:
    path = folder / "crates.tar.gz"
    path.write_bytes(data)
    return packed_file(path, LOCK, limit)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
def test_file_is_found_at_its_depth(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    files = {"Cargo.lock": b"no", "a/b/Cargo.lock": b"no", "tea-vendor/x": b"x" * 9000, "tea-vendor/Cargo.lock": b"yes"}
    assert found(tmp_path, compress(pack(files))) == b"yes"


def test_there_may_be_none(tmp_path: Path) -> None:
    """Also of a link of that name, and of a file that is larger than is read."""
    assert found(tmp_path, pack({"tea/Cargo.toml": b""})) is None
    assert found(tmp_path, pack({"tea/Cargo.lock": b"long"}), limit=3) is None
    link = tarfile.TarInfo("tea/Cargo.lock")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(link)
    assert found(tmp_path, buffer.getvalue()) is None


@pytest.mark.parametrize("data", [b"", b"no archive" * 100, gzip.compress(pack({"a": b"x" * 9000}), mtime=0)[:40]])
def test_other_files_have_none(tmp_path: Path, data: bytes) -> None:
    assert found(tmp_path, data) is None


def test_archive_may_be_gone(tmp_path: Path) -> None:
    assert packed_file(tmp_path / "none.tar", LOCK, 1) is None
