"""What an ELF file asks of the machine that runs it: its shared libraries and the symbol versions it needs of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UnreadableError

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC = b"\x7fELF"
_BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError)
"""What pyelftools lets through, beside its own errors, for offsets and sizes that lead nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """One shared library (ELF specification, DT_NEEDED).

    Attributes:
        name: its SONAME, as `libc.so.6`.
        versions: symbol versions that are asked of it (LSB, section .gnu.version_r), as `GLIBC_2.34`; sorted.
    """

    name: str
    versions: tuple[str, ...]


def needed_libraries(path: Path) -> tuple[Needed, ...] | None:
    """Return the shared libraries that the file at `path` needs, sorted by name, its interpreter among them.

    `None`: it is not an ELF file, so this is not known.

    Raises:
        UnreadableError: it starts as an ELF file and is not a whole one.
    """
    from elftools.common.exceptions import ELFError
    from elftools.elf.dynamic import DynamicSection
    from elftools.elf.elffile import ELFFile
    from elftools.elf.gnuversions import GNUVerNeedSection
    from elftools.elf.segments import InterpSegment

    with path.open("rb") as stream:
        if stream.read(4) != _MAGIC:
            return None
        stream.seek(0)
        found: dict[str, set[str]] = {}
        try:
            file = ELFFile(stream)
            for segment in file.iter_segments():
                if isinstance(segment, InterpSegment):
                    found.setdefault(segment.get_interp_name().rsplit("/", 1)[-1], set())
            for section in file.iter_sections():
                if isinstance(section, DynamicSection):
                    for tag in section.iter_tags("DT_NEEDED"):
                        found.setdefault(str(tag.needed), set())  # type: ignore[attr-defined] # set for DT_NEEDED
                elif isinstance(section, GNUVerNeedSection):
                    for entry, versions in section.iter_versions():
                        found.setdefault(str(entry.name), set()).update(str(v.name) for v in versions)
        except (ELFError, *_BROKEN) as error:
            raise UnreadableError(f"`{path.name}` is no whole ELF file: {error}") from error
    return tuple(Needed(name=name, versions=tuple(sorted(found[name]))) for name in sorted(found))
