"""The shared libraries that an ELF file needs, and the symbol versions that it needs of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import UnreadableError

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"\x7fELF"
BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError)
"""Raised by pyelftools besides `ELFError` for offsets and sizes outside the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """One shared library (ELF specification, DT_NEEDED).

    Attributes:
        name: its SONAME, as `libc.so.6`.
        versions: required symbol versions (LSB, section .gnu.version_r), as `GLIBC_2.34`; sorted.
    """

    name: str
    versions: tuple[str, ...]


def needed_libraries(path: Path) -> tuple[Needed, ...] | None:
    """Return the shared libraries that the file at `path` needs, sorted by name, its interpreter among them.

    `None`: not an ELF file.

    Raises:
        UnreadableError: it has the ELF magic number but is truncated or malformed.
    """
    from elftools.common.exceptions import ELFError
    from elftools.elf.dynamic import DynamicSection
    from elftools.elf.elffile import ELFFile
    from elftools.elf.gnuversions import GNUVerNeedSection
    from elftools.elf.segments import InterpSegment

    with path.open("rb") as stream:
        if stream.read(4) != MAGIC:
            return None
        stream.seek(0)
        versions_of: dict[str, set[str]] = {}
        try:
            file = ELFFile(stream)
            for segment in file.iter_segments():
                if isinstance(segment, InterpSegment):
                    versions_of.setdefault(segment.get_interp_name().rsplit("/", 1)[-1], set())
            for section in file.iter_sections():
                if isinstance(section, DynamicSection):
                    for tag in section.iter_tags("DT_NEEDED"):
                        versions_of.setdefault(str(tag.needed), set())  # type: ignore[attr-defined] # set for DT_NEEDED
                elif isinstance(section, GNUVerNeedSection):
                    for entry, versions in section.iter_versions():
                        versions_of.setdefault(str(entry.name), set()).update(str(v.name) for v in versions)
        except (ELFError, *BROKEN) as error:
            raise UnreadableError(f"`{path.name}` is no whole ELF file: {error}") from error
    return tuple(Needed(name=name, versions=tuple(sorted(versions_of[name]))) for name in sorted(versions_of))
