"""What an ELF file needs, from a real one of this machine, and from what only begins like one."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

import pytest

from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.provenance.sbom.program.elf import Needed, needed_libraries

SHELL = Path(os.path.realpath("/bin/sh"))
HEADER = struct.Struct("<4sBBBB8xHHIQQQIHHHHHH")


def _is_dynamic_elf(path: Path) -> bool:
    return path.is_file() and path.read_bytes()[:4] == b"\x7fELF" and b"libc.so" in path.read_bytes()


needs_shell = pytest.mark.skipif(not _is_dynamic_elf(SHELL), reason="the shell of this machine is no dynamic ELF file")


@needs_shell
def test_shell_needs_the_c_library() -> None:
    found = needed_libraries(SHELL)
    assert found is not None
    names = [needed.name for needed in found]
    assert names == sorted(set(names))
    (library,) = [needed for needed in found if needed.name.startswith("libc.so")]
    assert list(library.versions) == sorted(set(library.versions))
    assert any(name.startswith("ld-") for name in names), "the interpreter is one of them"


@pytest.mark.parametrize("data", [b"", b"\x7fEL", b"#!/bin/sh\n", b"MZ\x90\0", b"\0asm\1\0\0\0"])
def test_other_files_are_not_known(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "tea"
    path.write_bytes(data)
    assert needed_libraries(path) is None


def test_static_file_needs_nothing(tmp_path: Path) -> None:
    """The smallest ELF file: a header without segments and sections."""
    path = tmp_path / "tea"
    path.write_bytes(HEADER.pack(b"\x7fELF", 2, 1, 1, 0, 2, 62, 1, 0, 0, 0, 0, HEADER.size, 56, 0, 64, 0, 0))
    assert needed_libraries(path) == ()


@pytest.mark.parametrize("length", [4, 5, 16, HEADER.size - 1])
def test_cut_header_is_unreadable(tmp_path: Path, length: int) -> None:
    whole = HEADER.pack(b"\x7fELF", 2, 1, 1, 0, 2, 62, 1, 0, 0, 0, 0, HEADER.size, 56, 0, 64, 0, 0)
    path = tmp_path / "tea"
    path.write_bytes(whole[:length])
    with pytest.raises(UnreadableError, match="`tea` is no whole ELF file"):
        needed_libraries(path)


@pytest.mark.parametrize("offset", [2**63, 2**64 - 1, 1 << 40])
@pytest.mark.parametrize("table", ["segments", "sections"])
def test_table_that_lies_nowhere_is_unreadable(tmp_path: Path, table: str, offset: int) -> None:
    segments, sections = (offset, 0) if table == "segments" else (0, offset)
    counts = (1, 64, 0, 0) if table == "segments" else (0, 64, 1, 0)
    path = tmp_path / "tea"
    path.write_bytes(HEADER.pack(b"\x7fELF", 2, 1, 1, 0, 2, 62, 1, 0, segments, sections, 0, HEADER.size, 56, *counts))
    with pytest.raises(UnreadableError, match="is no whole ELF file"):
        needed_libraries(path)


@needs_shell
def test_damage_is_found_or_does_not_matter(tmp_path: Path) -> None:
    """Bytes of the header and of both tables are changed at random; nothing but a result or a refusal comes of it."""
    whole = SHELL.read_bytes()
    seed = random.Random(20240517)  # noqa: S311 - no secret: the same damage each time
    path = tmp_path / "sh"
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(seed.choice([1, 1, 3])):
            place = seed.choice([seed.randrange(4, 64), seed.randrange(64, 900), len(data) - seed.randrange(1, 2000)])
            data[place] = seed.randrange(256)
        path.write_bytes(data)
        refused += _is_refused(path)
    assert refused > 10


@needs_shell
def test_cut_file_is_found_or_does_not_matter(tmp_path: Path) -> None:
    whole = SHELL.read_bytes()
    path = tmp_path / "sh"
    lengths = [len(whole) * part // 40 for part in range(1, 40)]
    refused = 0
    for length in lengths:
        path.write_bytes(whole[:length])
        refused += _is_refused(path)
    assert refused > len(lengths) // 2, "sections are named at the end of the file"


def _is_refused(path: Path) -> bool:
    try:
        found = needed_libraries(path)
    except UnreadableError:
        return True
    assert found is None or all(isinstance(needed, Needed) for needed in found)
    return False
