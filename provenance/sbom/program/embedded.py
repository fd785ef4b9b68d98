"""Read what linkers embed in an ELF file about its contents: Go build information, and the list of cargo-auditable.

`embedded` extracts the raw text, `linked_contents` has it parsed by `go` and `auditable`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from . import auditable, go
from .elf import BROKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .linked import Linked

_GO_MAGIC = b"\xff Go buildinf:"
_AUDITABLE = ".dep-v0"
SIGNS = (_GO_MAGIC, _AUDITABLE.encode())
"""An ELF file without any of these has no embedded texts."""

_LIMIT = 8 << 20
"""Bytes of either text, as by default in cargo-auditable's own readers."""
_SEGMENT = 64 << 20
_GO_ALIGNMENT, _GO_HEADER = 16, 32
_GO_INLINE = 2
_SENTINEL = 16
_LONGEST_SHIFT = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """Texts found in one program.

    Attributes:
        go_version: of the toolchain, as `go1.26.1`. go_modules: as `go version -m` prints them, a line each.
        crates: the JSON of cargo-auditable.
        damaged: a sign is present, but the text that should follow it can't be read.
    """

    go_version: str | None = None
    go_modules: str | None = None
    crates: bytes | None = None
    damaged: bool = False


def embedded(stream: BinaryIO) -> Embedded | None:
    """Return what linkers embedded in the ELF file in `stream`, which is untrusted; `None` if there is nothing."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        file = ELFFile(stream)
        build_info = next(filter(None, (_build_info(data) for data in _go_data(file))), None)
        crates = _section(file, _AUDITABLE)
        if build_info is None and crates is None:
            return None  # the signs are constants of a program that reads such files itself
        text = _inflated(crates) if crates is not None else None
    except (ELFError, zlib.error, *BROKEN):
        return Embedded(damaged=True)
    version, modules = build_info or (None, None)
    return Embedded(go_version=version, go_modules=modules, crates=text)


def linked_contents(embedded: Embedded) -> tuple[tuple[Linked, ...], tuple[str, ...]]:
    """Return the contents of a program from its embedded texts, and the reasons why some can't be read."""
    contents: list[Linked] = []
    reasons: list[str] = []
    try:
        if embedded.go_version is not None and embedded.go_modules is not None:
            contents.append(go.linked(embedded.go_version, embedded.go_modules))
        if embedded.crates is not None:
            contents.append(auditable.linked(embedded.crates))
    except ValueError as error:
        reasons.append(f"what its linker wrote into it: {error}")
    if embedded.damaged:
        reasons.append("what its linker wrote into it is damaged, or of an old kind")
    return tuple(contents), tuple(reasons)


def _section(file: Any, name: str) -> bytes | None:
    section = file.get_section_by_name(name)
    if section is None:
        return None
    if section["sh_size"] > _LIMIT:
        raise ValueError("larger than is read")
    data: bytes = section.data()
    return data


def _go_data(file: Any) -> Iterator[bytes]:
    """Yield where Go's linker puts build information: its section or, without section headers, writable segments."""
    section = file.get_section_by_name(".go.buildinfo")
    if section is not None and section["sh_type"] != "SHT_NOBITS":
        if section["sh_size"] > _LIMIT:
            raise ValueError("larger than is read")
        yield section.data()
        return
    writable = 2
    for segment in file.iter_segments():
        if segment["p_type"] == "PT_LOAD" and segment["p_flags"] & writable:
            file.stream.seek(segment["p_offset"])
            yield file.stream.read(min(segment["p_filesz"], _SEGMENT))


def _build_info(data: bytes) -> tuple[str, str] | None:
    """Return the version and the modules from Go's build information (go: src/debug/buildinfo, since Go 1.18)."""
    start = data.find(_GO_MAGIC)
    while start >= 0 and start % _GO_ALIGNMENT:
        start = data.find(_GO_MAGIC, start + 1)
    if start < 0:
        return None
    if not data[start + 15] & _GO_INLINE:
        raise ValueError("written by Go before 1.18")
    version, offset = _string(data, start + _GO_HEADER)
    modules, _ = _string(data, offset)
    # The linker surrounds the modules with sentinels of 16 bytes each.
    return version.decode(), modules[_SENTINEL:-_SENTINEL].decode()


def _string(data: bytes, offset: int) -> tuple[bytes, int]:
    """Read a string prefixed by its length, an unsigned varint (encoding/binary)."""
    size = shift = 0
    while True:
        byte = data[offset]
        offset += 1
        size |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the high bit is set if another byte follows
            break
        shift += 7
        if shift > _LONGEST_SHIFT:
            raise ValueError("a length of more than 64 bits")
    if size > min(_LIMIT, len(data) - offset):
        raise ValueError("a text longer than its section")
    return data[offset : offset + size], offset + size


def _inflated(data: bytes) -> bytes:
    decompressor = zlib.decompressobj()
    text = decompressor.decompress(data, _LIMIT)
    if not decompressor.eof:
        raise ValueError("cut off, or larger than is read")
    return text
