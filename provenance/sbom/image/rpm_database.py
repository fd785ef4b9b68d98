"""RPM package headers, and the three database formats that hold them: SQLite, Berkeley DB (hash) and SUSE's ndb.

A header is an index of tags and their data (RPM file format, "Header"). Each function takes the bytes of a whole
database and returns the headers in it; nothing is written to disk.
"""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..package import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST = 100_000
"""Packages of one database that are read."""

_STEPS = 100_000
"""SQLite virtual machine instructions between two calls of the progress handler; a package takes a dozen."""
_CALLS = 100
_SHORTEST_LIMIT = 1 << 16
"""Minimum of the limit for one value, in bytes: it applies to SQLite's internal strings, too."""

_BDB_MAGIC = 0x061561
_BDB_META = struct.Struct("8xIIII")  # after the log's number: page, magic, version, size of a page
_BDB_PAGE = struct.Struct("8xIIIHHBB")  # likewise: page, previous, next, entries, offset of free space, level, type
_BDB_OFF_PAGE = struct.Struct("B3xII")  # type, first page, length
_BDB_HASH_PAGES, _BDB_OVERFLOW = frozenset({2, 13}), 7
_BDB_INLINE, _BDB_OVERFLOWN = 1, 3
_BDB_SIZES = frozenset(1 << power for power in range(9, 17))

_NDB_HEADER = struct.Struct("<4sII I 16x")  # magic, version, generation, pages of slots
_NDB_SLOT = struct.Struct("<4sIII")  # magic, number of the package, first block, blocks
_NDB_BLOB = struct.Struct("<4sIII")  # magic, number of the package, generation, length
_NDB_PAGE, _NDB_BLOCK = 4096, 16

_HEADER_LENGTHS = struct.Struct(">II")
_HEADER_ENTRY = struct.Struct(">IIII")
_MOST_TAGS = 1 << 16
_INT32, _STRING, _STRING_ARRAY, _I18N_STRING = 4, 6, 8, 9
_LARGEST_COUNT = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The values of a package: tag to type, offset into the data and count."""

    _index: dict[int, tuple[int, int, int]]
    _data: bytes

    @classmethod
    def parse(cls, blob: bytes) -> Header:
        """Read a header.

        Raises:
            ValueError: it is malformed or truncated.
        """
        if len(blob) < _HEADER_LENGTHS.size:
            raise ValueError("a header is cut off")
        tags, size = _HEADER_LENGTHS.unpack_from(blob)
        start = _HEADER_LENGTHS.size + tags * _HEADER_ENTRY.size
        if tags > _MOST_TAGS or start + size > len(blob):
            raise ValueError("a header is cut off")
        index = {}
        for number in range(tags):
            tag, kind, offset, count = _HEADER_ENTRY.unpack_from(
                blob, _HEADER_LENGTHS.size + number * _HEADER_ENTRY.size
            )
            index[tag] = kind, offset, count
        return cls(_index=index, _data=blob[start : start + size])

    def text(self, tag: int) -> str | None:
        """Return a string; of a translated one the first, which is the untranslated.

        Raises:
            ValueError: the tag has another type.
        """
        texts = self.texts(tag)
        return shown(texts[0]) if texts else None

    def texts(self, tag: int) -> list[str]:
        """Return an array of strings; empty if the tag is missing.

        Raises:
            ValueError: the tag has another type.
        """
        if tag not in self._index:
            return []
        kind, offset, count = self._index[tag]
        if kind not in {_STRING, _STRING_ARRAY, _I18N_STRING} or count > _LARGEST_COUNT:
            raise ValueError(f"tag {tag} is no text")
        texts, start = [], offset
        for _ in range(1 if kind == _STRING else count):
            end = self._data.find(b"\0", start)
            if end < 0:
                raise ValueError(f"tag {tag} is cut off")
            texts.append(self._data[start:end].decode("utf-8", "surrogateescape"))
            start = end + 1
        return texts

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return an array of 32-bit numbers; empty if the tag is missing.

        Raises:
            ValueError: the tag has another type.
        """
        if tag not in self._index:
            return ()
        kind, offset, count = self._index[tag]
        if kind != _INT32 or offset + 4 * count > len(self._data):
            raise ValueError(f"tag {tag} holds no numbers")
        numbers: tuple[int, ...] = struct.unpack_from(f">{count}I", self._data, offset)
        return numbers


def of_sqlite(data: bytes) -> list[bytes]:
    """Return the headers of an `rpmdb.sqlite`.

    Raises:
        ValueError: it is malformed or truncated, or the query takes longer than any such database needs.
    """
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            # Bytes 18 and 19 select a write-ahead log, which a database in memory can't have
            # (SQLite file format, 1.3.3).
            connection.deserialize(data[:18] + b"\1\1" + data[20:])
            connection.execute("PRAGMA trusted_schema = OFF")
            # A view instead of the table, or a generated column, could run forever or expand without bound.
            connection.set_progress_handler(_CallLimit(), _STEPS)
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(len(data), _SHORTEST_LIMIT))
            connection.set_authorizer(_allowed)
            rows = connection.execute("SELECT hnum, blob FROM Packages LIMIT ?", (MOST + 1,))
            return [blob for _, blob in sorted(_bounded(rows, len(data)))]
    except sqlite3.Error as error:
        raise ValueError(f"no whole SQLite database: {error}") from error


def _allowed(action: int, first: str | None, _second: str | None, _database: str | None, view: str | None) -> int:
    """Permit reading columns of the table `Packages` only: no view, no function, no recursion."""
    is_plain = action == sqlite3.SQLITE_READ and view is None and first == "Packages"
    return sqlite3.SQLITE_OK if action == sqlite3.SQLITE_SELECT or is_plain else sqlite3.SQLITE_DENY


def _bounded(rows: Iterable[tuple[object, object]], remaining: int) -> Iterator[tuple[int, bytes]]:
    """Yield number and header of each row while their total size is at most that of the file."""
    for number, blob in rows:
        if isinstance(blob, bytes):
            remaining -= len(blob)
            if remaining < 0:
                raise ValueError("its values are larger than it is")
            yield number if isinstance(number, int) else 0, blob


class _CallLimit:
    """A progress handler that aborts the query after `_CALLS` calls."""

    def __init__(self) -> None:
        self._remaining = _CALLS

    def __call__(self) -> int:
        self._remaining -= 1
        return self._remaining < 0


def of_berkeley(data: bytes) -> list[bytes]:
    """Return the headers of a `Packages` (Berkeley DB, `dbinc/db_page.h`), of either byte order.

    Raises:
        ValueError: it is malformed or truncated.
    """
    for order in "<>":
        meta = struct.Struct(order + _BDB_META.format)
        if len(data) >= meta.size:
            _, magic, _, size = meta.unpack_from(data)
            if magic == _BDB_MAGIC and size in _BDB_SIZES:
                return list(_berkeley_values(data, order, size))
    raise ValueError("no hash of Berkeley DB")


def _berkeley_values(data: bytes, order: str, size: int) -> Iterator[bytes]:
    page = struct.Struct(order + _BDB_PAGE.format)
    budget = 2 * len(data)  # each overflow page belongs to a single value
    for start in range(size, len(data) - size + 1, size):
        _, _, _, entries, _, _, kind = page.unpack_from(data, start)
        if kind not in _BDB_HASH_PAGES:
            continue
        if entries % 2 or page.size + 2 * entries > size:
            raise ValueError("a page of the hash is damaged")
        offsets = struct.unpack_from(f"{order}{entries}H", data, start + page.size)
        for number in range(1, entries, 2):
            offset = offsets[number]
            if not page.size <= offset < size:
                raise ValueError("a page of the hash is damaged")
            if data[start + offset] == _BDB_OVERFLOWN and offset + _BDB_OFF_PAGE.size <= size:
                _, first, length = struct.unpack_from(order + _BDB_OFF_PAGE.format, data, start + offset)
                budget -= length
                if budget < 0:
                    raise ValueError("its values are larger than it is")
                yield _berkeley_overflow(data, page, size, first, length)
            elif data[start + offset] == _BDB_INLINE and offsets[number - 1] - offset > struct.calcsize("x2I"):
                yield data[start + offset + 1 : start + offsets[number - 1]]  # stored from the end of the page


def _berkeley_overflow(data: bytes, page: struct.Struct, size: int, number: int, length: int) -> bytes:
    parts, remaining = list[bytes](), length
    while remaining > 0:
        start = number * size
        if not number or start + size > len(data):
            raise ValueError("a value leads to a page that is not there")
        _, _, following, _, used, _, kind = page.unpack_from(data, start)
        part = data[start + page.size : start + (page.size + used if not following else size)]
        if kind != _BDB_OVERFLOW or not part:
            raise ValueError("a value leads to a page of another kind")
        parts.append(part)
        remaining -= len(part)
        number = following
    return b"".join(parts)[:length]


def of_ndb(data: bytes) -> list[bytes]:
    """Return the headers of a `Packages.db` (rpm, `lib/backend/ndb/rpmpkg.c`).

    Raises:
        ValueError: it is malformed or truncated.
    """
    if len(data) < _NDB_PAGE:
        raise ValueError("no database of RPM's own kind")
    magic, version, _, pages = _NDB_HEADER.unpack_from(data)
    if magic != b"RpmP" or version or pages * _NDB_PAGE > len(data):
        raise ValueError("no database of RPM's own kind")
    headers, budget = list[bytes](), len(data)  # no two packages share blocks
    for offset in range(_NDB_HEADER.size, pages * _NDB_PAGE, _NDB_SLOT.size):
        slot, package, block, _ = _NDB_SLOT.unpack_from(data, offset)
        if slot != b"Slot":
            raise ValueError("a slot is damaged")
        if package:
            headers.append(_ndb_blob(data, package, block * _NDB_BLOCK))
            budget -= len(headers[-1])
            if budget < 0:
                raise ValueError("its values are larger than it is")
    return headers


def _ndb_blob(data: bytes, package: int, start: int) -> bytes:
    if start + _NDB_BLOB.size > len(data):
        raise ValueError("a slot leads out of it")
    magic, number, _, length = _NDB_BLOB.unpack_from(data, start)
    first = start + _NDB_BLOB.size
    if (magic, number) != (b"BlbS", package) or first + length > len(data):
        raise ValueError("a slot leads to something else")
    return data[first : first + length]
