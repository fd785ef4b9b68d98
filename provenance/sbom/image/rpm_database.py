"""Package headers in the three kinds of databases that RPM has had: SQLite, Berkeley DB (a hash), and SUSE's ndb.

Each function takes a whole file and returns the headers in it; none of the files is changed or written to disk.
"""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST = 100_000
"""Packages of one database that are read."""

_STEPS = 100_000
"""Instructions of SQLite's machine between two looks at how many a query took; a package takes a dozen."""
_LOOKS = 100
_SHORTEST_LIMIT = 1 << 16
"""Bytes of one value that are allowed at least: SQLite's own texts are held to the limit, too."""

_BDB_MAGIC = 0x061561
_BDB_META = struct.Struct("8xIIII")  # after the log's number: page, magic, version, size of a page
_BDB_PAGE = struct.Struct(
    "8xIIIHHBB"
)  # likewise: page, the one before, the next, entries, offset of free room, level, type
_BDB_OFF_PAGE = struct.Struct("B3xII")  # type, first page, length
_BDB_HASH_PAGES, _BDB_OVERFLOW = frozenset({2, 13}), 7
_BDB_INLINE, _BDB_ELSEWHERE = 1, 3
_BDB_SIZES = frozenset(1 << power for power in range(9, 17))

_NDB_HEADER = struct.Struct("<4sII I 16x")  # magic, version, generation, pages of slots
_NDB_SLOT = struct.Struct("<4sIII")  # magic, number of the package, first block, blocks
_NDB_BLOB = struct.Struct("<4sIII")  # magic, number of the package, generation, length
_NDB_PAGE, _NDB_BLOCK = 4096, 16


def of_sqlite(data: bytes) -> list[bytes]:
    """Return the headers of an `rpmdb.sqlite`.

    Raises:
        ValueError: it is no whole database of that kind, or a query takes longer than any such database needs.
    """
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            # Bytes 18 and 19 say that there is a log beside the file, which there can't be beside memory (SQLite's file
            # format, 1.3.3).
            connection.deserialize(data[:18] + b"\1\1" + data[20:])
            connection.execute("PRAGMA trusted_schema = OFF")
            # A view in the table's place, or a column that is computed, could go on without end or make much of little.
            connection.set_progress_handler(_Patience(), _STEPS)
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(len(data), _SHORTEST_LIMIT))
            connection.set_authorizer(_allowed)
            rows = connection.execute("SELECT hnum, blob FROM Packages LIMIT ?", (MOST + 1,))
            return [blob for _, blob in sorted(_bounded(rows, len(data)))]
    except sqlite3.Error as error:
        raise ValueError(f"no whole SQLite database: {error}") from error


def _allowed(action: int, first: str | None, _second: str | None, _database: str | None, view: str | None) -> int:
    """Let a query read columns of tables and do nothing else: no view, no function, no recursion."""
    is_plain = action == sqlite3.SQLITE_READ and view is None and first == "Packages"
    return sqlite3.SQLITE_OK if action == sqlite3.SQLITE_SELECT or is_plain else sqlite3.SQLITE_DENY


def _bounded(rows: Iterable[tuple[object, object]], most: int) -> Iterator[tuple[int, bytes]]:
    """Yield number and header of each row, as long as they are not more than the file has."""
    for number, blob in rows:
        if isinstance(blob, bytes):
            most -= len(blob)
            if most < 0:
                raise ValueError("its values are larger than it is")
            yield number if isinstance(number, int) else 0, blob


class _Patience:
    """Stops a query after so many calls."""

    def __init__(self) -> None:
        self._left = _LOOKS

    def __call__(self) -> int:
        self._left -= 1
        return self._left < 0


def of_berkeley(data: bytes) -> list[bytes]:
    """Return the headers of a `Packages` (Berkeley DB, `dbinc/db_page.h`), of either byte order.

    Raises:
        ValueError: it is no whole database of that kind.
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
    budget = 2 * len(data)  # overflow pages belong to one value each
    for start in range(size, len(data) - size + 1, size):
        _, _, _, entries, _, _, kind = page.unpack_from(data, start)
        if kind not in _BDB_HASH_PAGES:
            continue
        if entries % 2 or page.size + 2 * entries > size:
            raise ValueError("a page of the hash is damaged")
        offsets = struct.unpack_from(f"{order}{entries}H", data, start + page.size)
        for number in range(1, entries, 2):
            at = offsets[number]
            if not page.size <= at < size:
                raise ValueError("a page of the hash is damaged")
            if data[start + at] == _BDB_ELSEWHERE and at + _BDB_OFF_PAGE.size <= size:
                _, first, length = struct.unpack_from(order + _BDB_OFF_PAGE.format, data, start + at)
                budget -= length
                if budget < 0:
                    raise ValueError("its values are larger than it is")
                yield _berkeley_overflow(data, page, size, first, length)
            elif data[start + at] == _BDB_INLINE and offsets[number - 1] - at > struct.calcsize("x2I"):
                yield data[start + at + 1 : start + offsets[number - 1]]  # values grow down from the end of a page


def _berkeley_overflow(data: bytes, page: struct.Struct, size: int, number: int, length: int) -> bytes:
    found = []
    left = length
    while left > 0:
        start = number * size
        if not number or start + size > len(data):
            raise ValueError("a value leads to a page that is not there")
        _, _, following, _, used, _, kind = page.unpack_from(data, start)
        part = data[start + page.size : start + (page.size + used if not following else size)]
        if kind != _BDB_OVERFLOW or not part:
            raise ValueError("a value leads to a page of another kind")
        found.append(part)
        left -= len(part)
        number = following
    return b"".join(found)[:length]


def of_ndb(data: bytes) -> list[bytes]:
    """Return the headers of a `Packages.db` (rpm, `lib/backend/ndb/rpmpkg.c`).

    Raises:
        ValueError: it is no whole database of that kind.
    """
    if len(data) < _NDB_PAGE:
        raise ValueError("no database of RPM's own kind")
    magic, version, _, pages = _NDB_HEADER.unpack_from(data)
    if magic != b"RpmP" or version or pages * _NDB_PAGE > len(data):
        raise ValueError("no database of RPM's own kind")
    found, budget = [], len(data)  # no two packages share their blocks
    for at in range(_NDB_HEADER.size, pages * _NDB_PAGE, _NDB_SLOT.size):
        slot, package, block, _ = _NDB_SLOT.unpack_from(data, at)
        if slot != b"Slot":
            raise ValueError("a slot is damaged")
        if package:
            found.append(_ndb_blob(data, package, block * _NDB_BLOCK))
            budget -= len(found[-1])
            if budget < 0:
                raise ValueError("its values are larger than it is")
    return found


def _ndb_blob(data: bytes, package: int, start: int) -> bytes:
    if start + _NDB_BLOB.size > len(data):
        raise ValueError("a slot leads out of it")
    magic, number, _, length = _NDB_BLOB.unpack_from(data, start)
    first = start + _NDB_BLOB.size
    if (magic, number) != (b"BlbS", package) or first + length > len(data):
        raise ValueError("a slot leads to something else")
    return data[first : first + length]
