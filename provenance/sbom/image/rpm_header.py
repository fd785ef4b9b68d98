"""A package's header as RPM's databases hold it (RPM file format, "Header"): an index of tags and their data."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..package import shown

_LENGTHS = struct.Struct(">II")
_ENTRY = struct.Struct(">IIII")
_MOST_TAGS = 1 << 16
_INT32, _STRING, _STRING_ARRAY, _I18N_STRING = 4, 6, 8, 9
_LARGEST_COUNT = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The values of a header: tag to type, offset into the data and count."""

    _index: dict[int, tuple[int, int, int]]
    _data: bytes

    @classmethod
    def parse(cls, blob: bytes) -> Header:
        """Read a header.

        Raises:
            ValueError: it is none, or is cut off.
        """
        if len(blob) < _LENGTHS.size:
            raise ValueError("a header is cut off")
        tags, size = _LENGTHS.unpack_from(blob)
        start = _LENGTHS.size + tags * _ENTRY.size
        if tags > _MOST_TAGS or start + size > len(blob):
            raise ValueError("a header is cut off")
        index = {}
        for number in range(tags):
            tag, kind, offset, count = _ENTRY.unpack_from(blob, _LENGTHS.size + number * _ENTRY.size)
            index[tag] = kind, offset, count
        return cls(_index=index, _data=blob[start : start + size])

    def text(self, tag: int) -> str | None:
        """Return a text, of a translated one the first, which is the untranslated.

        Raises:
            ValueError: the tag holds something else.
        """
        found = self.texts(tag)
        return shown(found[0]) if found else None

    def texts(self, tag: int) -> list[str]:
        """Return a list of texts; none where there is no such tag.

        Raises:
            ValueError: the tag holds something else.
        """
        if tag not in self._index:
            return []
        kind, offset, count = self._index[tag]
        if kind not in {_STRING, _STRING_ARRAY, _I18N_STRING} or count > _LARGEST_COUNT:
            raise ValueError(f"tag {tag} is no text")
        found, start = [], offset
        for _ in range(1 if kind == _STRING else count):
            end = self._data.find(b"\0", start)
            if end < 0:
                raise ValueError(f"tag {tag} is cut off")
            found.append(self._data[start:end].decode("utf-8", "surrogateescape"))
            start = end + 1
        return found

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return a list of 32-bit numbers; none where there is no such tag.

        Raises:
            ValueError: the tag holds something else.
        """
        if tag not in self._index:
            return ()
        kind, offset, count = self._index[tag]
        if kind != _INT32 or offset + 4 * count > len(self._data):
            raise ValueError(f"tag {tag} holds no numbers")
        found: tuple[int, ...] = struct.unpack_from(f">{count}I", self._data, offset)
        return found
