"""Texts in ELF files, small ones made by hand: sections that Go's linker and cargo-auditable write."""

from __future__ import annotations

import io
import random
import struct
import zlib

import pytest

from doit_provenance.provenance.sbom.program.embedded import SIGNS, Embedded, embedded

MODULES = "path\ttea.example/pot\nmod\ttea.example/pot\tv1.0.0\th1:x=\n"


def varint(number: int) -> bytes:
    found = b""
    while number >= 0x80:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


def build_info(version: str = "go1.26.1", modules: str = MODULES, flags: int = 2) -> bytes:
    head = b"\xff Go buildinf:" + bytes([8, flags]) + bytes(16)
    framed = b"0" * 16 + modules.encode() + b"1" * 16
    return head + varint(len(version)) + version.encode() + varint(len(framed)) + framed


def elf(sections: dict[str, bytes], *, data: bytes | None = None) -> bytes:
    """Return an ELF file with these sections, or with one writable segment of `data` and no sections."""
    if data is not None:
        program = struct.pack("<IIQQQQQQ", 1, 6, 120, 0, 0, len(data), len(data), 8)
        head = struct.pack("<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
        return head + program + data
    names = b"\0" + b"".join(name.encode() + b"\0" for name in sections) + b".shstrtab\0"
    bodies, table, offset, place = b"", bytes(64), 64, 1
    for name, body in [*sections.items(), (".shstrtab", names)]:
        padding = -offset % 16
        bodies += bytes(padding) + body
        offset += padding
        table += struct.pack("<IIQQQQIIQQ", place, 3 if name == ".shstrtab" else 1, 0, 0, offset, len(body), 0, 0, 1, 0)
        offset += len(body)
        place += len(name) + 1
    count = len(sections) + 2
    head = struct.pack(
        "<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 2, 62, 1, 0, 0, offset, 0, 64, 56, 0, 64, count, count - 1
    )
    return head + bodies + table


def look(data: bytes) -> Embedded | None:
    return embedded(io.BytesIO(data))


def test_go() -> None:
    found = look(elf({".text": b"x" * 5, ".go.buildinfo": build_info()}))
    assert found == Embedded(go_version="go1.26.1", go_modules=MODULES)


def test_go_with_many_modules() -> None:
    modules = MODULES + "dep\ta\tv1\th1:y=\n" * 3000
    found = look(elf({".go.buildinfo": build_info(modules=modules)}))
    assert found is not None
    assert found.go_modules == modules


def test_go_without_sections() -> None:
    """The magic is looked for at multiples of 16; a reader of such files has it elsewhere as a text."""
    found = look(elf({}, data=b"12345678" + b"\xff Go buildinf:" + b"1234567890" + build_info()))
    assert found == Embedded(go_version="go1.26.1", go_modules=MODULES)


def test_rust() -> None:
    found = look(elf({".dep-v0": zlib.compress(b'{"packages": []}')}))
    assert found == Embedded(crates=b'{"packages": []}')


def test_both_of_them() -> None:
    found = look(elf({".dep-v0": zlib.compress(b"{}"), ".go.buildinfo": build_info()}))
    assert found == Embedded(go_version="go1.26.1", go_modules=MODULES, crates=b"{}")


def test_words_of_its_own_are_no_sign() -> None:
    """A program that reads such files has their signs in its data."""
    assert look(elf({".rodata": b"..".join(SIGNS)})) is None


@pytest.mark.parametrize(
    "sections",
    [
        {".dep-v0": b"not packed"},
        {".dep-v0": zlib.compress(b"x" * 1000)[:-8]},
        {".dep-v0": zlib.compress(bytes(9 << 20))},
        {".go.buildinfo": build_info(flags=0)},
        {".go.buildinfo": build_info()[:40]},
        {".go.buildinfo": build_info()[:33] + b"\xff" * 30},
        {".go.buildinfo": build_info()[:32] + varint(1 << 62)},
    ],
)
def test_damage_is_told(sections: dict[str, bytes]) -> None:
    assert look(elf(sections)) == Embedded(damaged=True)


def test_any_damage_is_told_or_does_not_matter() -> None:
    seed = random.Random(20240517)  # noqa: S311 - no secret: the same damage each time
    whole = elf({".dep-v0": zlib.compress(b"{}" * 50), ".go.buildinfo": build_info(modules=MODULES * 20)})
    results = set()
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(seed.choice([1, 2, 8])):
            data[seed.randrange(4, len(data))] = seed.randrange(256)
        found = look(bytes(data))
        results.add(found.damaged if found else None)
    assert results >= {True, False}
