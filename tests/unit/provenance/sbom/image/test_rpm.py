"""RPM's database, made by hand after the file format."""

from __future__ import annotations

import random
import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.sbom.image import rpm
from doit_provenance.provenance.sbom.image.rpm_database import Header
from doit_provenance.provenance.sbom.image.scan import read_os_release as read_os
from doit_provenance.provenance.sbom.licence import normalise
from doit_provenance.provenance.sbom.package import Package, Unread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PATH = "usr/lib/sysimage/rpm/rpmdb.sqlite"
RHEL = read_os(b'ID="rhel"\nVERSION_ID="9.4"\nNAME="Red Hat Enterprise Linux"\n')
TEA: Mapping[int, str | list[str] | list[int]] = {
    1000: "tea",
    1001: "2.0",
    1002: "1.el9",
    1003: [1],
    1004: ["Serves tea", "Sert le the"],
    1011: "Tea, Inc.",
    1014: "MIT and (GPLv2+ or Artistic)",
    1020: "https://tea.example/",
    1022: "x86_64",
    1044: "tea-2.0-1.el9.src.rpm",
    1047: ["tea", "libtea.so.1()(64bit)"],
    1049: ["libc.so.6(GLIBC_2.34)(64bit)", "water", "water"],
    1116: [0, 1, 0],
    1117: ["tea", "tea.conf", "pot"],
    1118: ["/usr/bin/", "/etc/"],
    1035: ["ab" * 32, "", "cd" * 32],
    5011: [8],
}


def header(tags: Mapping[int, str | Sequence[str] | Sequence[int]]) -> bytes:
    index, data = b"", b""
    for tag, value in sorted(tags.items()):
        if isinstance(value, str):
            entry, kind, count = value.encode() + b"\0", 6, 1
        elif isinstance(value[0], str):
            entry, kind, count = b"".join(str(v).encode() + b"\0" for v in value), 9 if tag == 1004 else 8, len(value)
        else:
            data += bytes(-len(data) % 4)
            entry, kind, count = struct.pack(f">{len(value)}I", *value), 4, len(value)
        index += struct.pack(">IIII", tag, kind, len(data), count)
        data += entry
    return struct.pack(">II", len(tags), len(data)) + index + data


def database(tmp_path: Path, *blobs: object, schema: str = "TABLE Packages (hnum INTEGER, blob BLOB)") -> bytes:
    path = tmp_path / "rpmdb.sqlite"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # as RPM has it
        connection.execute(f"CREATE {schema}")
        connection.executemany("INSERT INTO Packages VALUES (?, ?)", list(enumerate(blobs)))
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()


def read(data: bytes) -> list[Package | Unread]:
    return list(rpm.read({PATH: data}, RHEL))


def test_a_package(tmp_path: Path) -> None:
    (found,) = read(database(tmp_path, header(TEA)))
    assert isinstance(found, Package)
    component = found.component
    assert component.purl == (
        "pkg:rpm/redhat/tea@2.0-1.el9?arch=x86_64&distro=rhel-9.4&epoch=1&upstream=tea-2.0-1.el9.src.rpm"
    )
    assert (component.name, component.version, component.description) == ("tea", "1:2.0-1.el9", "Serves tea")
    assert component.supplier is not None
    assert component.supplier.name == "Tea, Inc."
    assert component.licence == "MIT AND (GPL-2.0-or-later OR Artistic-1.0-Perl)"
    assert found.files == {
        "usr/bin/tea": f"sha256:{'ab' * 32}",
        "etc/tea.conf": None,
        "usr/bin/pot": f"sha256:{'cd' * 32}",
    }
    assert found.provides == {"rpm:tea", "rpm:libtea.so.1()(64bit)"}
    assert found.requires == (("rpm:libc.so.6(GLIBC_2.34)(64bit)",), ("rpm:water",))


def test_digests_of_old_are_md5(tmp_path: Path) -> None:
    old = {tag: value for tag, value in TEA.items() if tag != 5011}
    (found,) = read(database(tmp_path, header(old)))
    assert isinstance(found, Package)
    assert found.files["usr/bin/tea"] == f"md5:{'ab' * 32}"


def test_keys_are_no_packages(tmp_path: Path) -> None:
    assert read(database(tmp_path, header({1000: "gpg-pubkey", 1001: "1"}))) == []


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\0" * 7,
        header(TEA)[:-1],
        header({1000: "tea"}),
        header({1000: "a/b", 1001: "1"}),
        header({1000: [1], 1001: "1"}),
        header({**TEA, 1116: [0, 2, 0]}),
        header({**TEA, 1117: ["tea"]}),
        header({**TEA, 1116: ["a", "b", "c"]}),
        struct.pack(">II", 1 << 31, 0),
    ],
)
def test_a_broken_header_hides_no_other(tmp_path: Path, blob: bytes) -> None:
    found = read(database(tmp_path, blob, header(TEA)))
    assert [type(one) for one in found] == [Unread, Package]


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"SQLite format 3\0" + b"\0" * 4096])
def test_what_is_no_database_is_told(data: bytes) -> None:
    (found,) = read(data)
    assert isinstance(found, Unread)
    assert "no whole SQLite database" in found.reason


def test_a_view_without_end_is_left(tmp_path: Path) -> None:
    path = tmp_path / "evil"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE VIEW Packages AS WITH RECURSIVE n(hnum) AS (SELECT 1 UNION ALL SELECT hnum + 1 FROM n) "
            "SELECT hnum, x'00' AS blob FROM n WHERE hnum < 0"
        )
    (found,) = read(path.read_bytes())
    assert isinstance(found, Unread)
    assert "not authorized" in found.reason


@pytest.mark.parametrize("path", ["var/lib/rpm/Packages", "usr/lib/sysimage/rpm/Packages.db"])
def test_a_database_of_another_kind_than_its_name_is_told(path: str) -> None:
    assert rpm.WANTED.fullmatch(path)
    (found,) = rpm.read({path: b"\0" * 9000}, RHEL)
    assert isinstance(found, Unread)
    assert found.path == path


def test_a_list_without_a_database_is_told() -> None:
    (found,) = rpm.read({"var/lib/rpmmanifest/container-manifest-2": b"tea\t1\n"}, RHEL)
    assert isinstance(found, Unread)


def test_changes_beside_the_database_are_told(tmp_path: Path) -> None:
    data = database(tmp_path, header(TEA))
    found = list(rpm.read({PATH: data, f"{PATH}-wal": b"x" * 100}, RHEL))
    assert [type(one) for one in found] == [Package, Unread]
    assert len(list(rpm.read({PATH: data, f"{PATH}-wal": b""}, RHEL))) == 1


def test_any_damage_is_refused_or_read() -> None:
    seed = random.Random(20240517)  # noqa: S311 - no secret: the same damage each time
    whole = header(TEA)
    for _ in range(500):
        data = bytearray(whole)
        data[seed.randrange(len(data))] = seed.randrange(256)
        try:
            found = Header.parse(bytes(data))
            rpm._package(PATH, found, RHEL)
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("declared", "expression"),
    [
        ("GPLv2+", "GPL-2.0-or-later"),
        ("LGPLv2.1", "LGPL-2.1-only"),
        ("AGPLv3", "AGPL-3.0-only"),
        ("GPL+", "GPL-1.0-or-later"),
        ("(LGPLv3+ or GPLv2+) and GPLv3+", "(LGPL-3.0-or-later OR GPL-2.0-or-later) AND GPL-3.0-or-later"),
        ("MIT and (ISC or ASL 2.0)", "MIT AND (ISC OR Apache-2.0)"),
        ("OpenSSL and ASL 2.0", "OpenSSL AND Apache-2.0"),
        ("MIT AND Apache-2.0 WITH LLVM-exception", "MIT AND Apache-2.0 WITH LLVM-exception"),
        ("BSD", "LicenseRef-doit-provenance-BSD"),
        ("zlib and Public Domain", "Zlib AND LicenseRef-doit-provenance-Public-Domain"),
        ("MPLv2.0 and organdy", "MPL-2.0 AND LicenseRef-doit-provenance-organdy"),
    ],
)
def test_licence_names(declared: str, expression: str) -> None:
    assert normalise(rpm.spdx_names(declared)) == expression


def test_exceptions_that_are_not_named_stay_with_their_licence() -> None:
    found = normalise(rpm.spdx_names("GPLv3+ with exceptions and BSD"))
    assert found is not None
    assert found.startswith("LicenseRef-doit-provenance-GPL-3.0-or-later-WITH-exceptions-")


@pytest.mark.parametrize("text", ["", "and", "(((", "x" * 5000, "a or", "( and )"])
def test_any_text_can_be_normalised(text: str) -> None:
    assert normalise(rpm.spdx_names(text)) != ""
