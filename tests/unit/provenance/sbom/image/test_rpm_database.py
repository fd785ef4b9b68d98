"""The older kinds of RPM's databases, made by hand after their formats, and damaged."""

from __future__ import annotations

import random
import sqlite3
import struct
import tracemalloc
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.sbom.image.rpm_database import of_berkeley, of_ndb, of_sqlite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = 512
LARGE = bytes(range(256)) * 5
SMALL = b"small header"


def page(order: str, number: int, kind: int, body: bytes, **rest: int) -> bytes:
    head = struct.pack(
        f"{order}8xIIIHHBB", number, 0, *(rest.get(n, 0) for n in ("following", "entries", "used")), 0, kind
    )
    return (head + body).ljust(SIZE, b"\0")


def berkeley(order: str = "<", *, inline: bytes = SMALL, loop: bool = False) -> bytes:
    """Return a hash with the largest number, a value of its page and one on overflow pages."""
    items = [
        b"\x01" + struct.pack(f"{order}I", 0),
        b"\x01" + struct.pack(f"{order}I", 9),
        b"\x01" + struct.pack(f"{order}I", 1),
        b"\x01" + inline,
        b"\x01" + struct.pack(f"{order}I", 2),
        struct.pack(f"{order}B3xII", 3, 2, len(LARGE)),
    ]
    offsets, end, body = [], SIZE, bytearray(SIZE)
    for item in items:
        end -= len(item)
        offsets.append(end)
        body[end : end + len(item)] = item
    head = struct.pack(f"{order}{len(items)}H", *offsets)
    hashed = page(order, 1, 13, head + bytes(body[26 + len(head) :]), entries=len(items))
    room = SIZE - 26
    parts = [LARGE[start : start + room] for start in range(0, len(LARGE), room)]
    overflow = [
        page(order, 2 + n, 7, part, following=(3 + n if n + 1 < len(parts) else 2 if loop else 0), used=len(part))
        for n, part in enumerate(parts)
    ]
    meta = struct.pack(f"{order}8xIIII", 0, 0x061561, 9, SIZE).ljust(SIZE, b"\0")
    return b"".join([meta, hashed, *overflow])


def ndb(*blobs: bytes) -> bytes:
    slots = struct.pack("<4sIII16x", b"RpmP", 0, 1, 1)
    data, block = b"", 256
    for number, blob in enumerate(blobs, 1):
        body = struct.pack("<4sIII", b"BlbS", number, 1, len(blob)) + blob
        body += bytes(-len(body) % 16)
        slots += struct.pack("<4sIII", b"Slot", number, block, len(body) // 16)
        data += body
        block += len(body) // 16
    slots += struct.pack("<4sIII", b"Slot", 0, 0, 0) * ((4096 - len(slots)) // 16)
    return slots + data


@pytest.mark.parametrize("order", ["<", ">"])
def test_berkeley_db_of_either_byte_order(order: str) -> None:
    """The first value is no header, but the largest number; it is shorter than any."""
    assert of_berkeley(berkeley(order)) == [SMALL, LARGE]


def test_ndb() -> None:
    assert of_ndb(ndb(SMALL, LARGE)) == [SMALL, LARGE]
    assert of_ndb(ndb()) == []


def test_a_value_in_a_ring_of_pages_ends() -> None:
    assert of_berkeley(berkeley(loop=True)) == [SMALL, LARGE]


@pytest.mark.parametrize("data", [b"", b"x" * 10, b"x" * 9000, berkeley()[:20], ndb()[:4095]])
@pytest.mark.parametrize("read", [of_berkeley, of_ndb])
def test_other_files_are_refused(read: Callable[[bytes], list[bytes]], data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no hash of Berkeley DB|no database of RPM's own kind"):
        read(data)


@pytest.mark.parametrize("data", [berkeley()[: 3 * SIZE], berkeley()[:-1]])
def test_a_value_whose_pages_are_missing_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="a page that is not there"):
        of_berkeley(data)


def test_slots_that_lead_astray_are_refused() -> None:
    whole = ndb(SMALL, LARGE)
    for wrong in (whole[:-100], whole.replace(b"BlbS", b"blbs", 1), whole.replace(b"Slot", b"slot", 1)):
        with pytest.raises(ValueError, match="slot"):
            of_ndb(wrong)
    twice = bytearray(whole)
    for at in range(64, 4096, 16):
        twice[at : at + 16] = whole[48:64]
    with pytest.raises(ValueError, match="its values are larger than it is"):
        of_ndb(bytes(twice))


def test_one_value_for_many_slots_takes_no_memory() -> None:
    """The first that is too much ends it, and not the sum of all."""
    whole = bytearray(ndb(bytes(1 << 20)))
    for at in range(32, 4096, 16):
        whole[at : at + 16] = whole[32:48]
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="its values are larger than it is"):
            of_ndb(bytes(whole))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "schema",
    [
        "TABLE Packages (hnum INTEGER, blob AS (zeroblob(100000000)))",
        "TABLE Packages (hnum INTEGER, a BLOB, blob AS (a || a || a || a || a || a || a || a))",
        "VIEW Packages AS SELECT 1 AS hnum, zeroblob(100000000) AS blob",
        "VIEW Packages AS SELECT name AS hnum, sql AS blob FROM sqlite_schema ORDER BY random()",
    ],
)
def test_a_database_that_computes_is_refused(tmp_path: Path, schema: str) -> None:
    path = tmp_path / "rpmdb.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE {schema}")
        if " a BLOB" in schema:
            connection.execute("INSERT INTO Packages (hnum, a) VALUES (1, ?)", (bytes(20_000),))
        elif schema.startswith("TABLE"):
            connection.execute("INSERT INTO Packages (hnum) VALUES (1)")
        connection.commit()
    with pytest.raises(ValueError, match=r"no whole SQLite database|its values are larger than it is"):
        of_sqlite(path.read_bytes())


@pytest.mark.parametrize(("read", "whole"), [(of_berkeley, berkeley()), (of_ndb, ndb(SMALL, LARGE))])
def test_any_damage_is_refused_or_read(read: Callable[[bytes], list[bytes]], whole: bytes) -> None:
    seed = random.Random(20240517)  # noqa: S311 - no secret: the same damage each time
    refused = 0
    for _ in range(600):
        data = bytearray(whole)
        for _ in range(seed.choice([1, 1, 4])):
            data[seed.randrange(len(data))] = seed.randrange(256)
        try:
            assert sum(map(len, read(bytes(data)))) <= 2 * len(data)
        except ValueError:
            refused += 1
    assert 0 < refused < 600
