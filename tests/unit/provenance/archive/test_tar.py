"""Members of archives: those of the standard library's writer, those by hand, and what is refused."""

from __future__ import annotations

import io
import re
import tarfile
from typing import TYPE_CHECKING, TypeAlias

import pytest

from doit_provenance.provenance.archive.tar import Member, NameLimits, TarReader, Type, opened_tar
from doit_provenance.provenance.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Content: TypeAlias = "bytes | tuple[bytes, int] | str | tarfile.TarInfo | None"
"""A file, a file and its mode, a symbolic link, any member without content, or a folder."""
LONG = "/".join(["folder-with-a-name"] * 12)


def pack(files: Mapping[str, Content], form: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar archive of the standard library, its members in this order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for path, content in files.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo()
            data, info.mode = content if isinstance(content, tuple) else (content, 0o644)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
            elif data is None:
                info.type = tarfile.DIRTYPE
            body = data if isinstance(data, bytes) else b""
            info.name, info.size = path, len(body)
            archive.addfile(info, io.BytesIO(body))
    return buffer.getvalue()


def read(data: bytes, *, limits: NameLimits | None = None, piece: int = 1 << 16) -> list[tuple[Member, bytes]]:
    pieces = (data[start : start + piece] for start in range(0, len(data), piece))
    archive = TarReader(pieces, "the layer", limits)
    return [(member, b"".join(archive.content())) for member in archive.members()]


def header(name: bytes = b"tea", size: bytes = b"00000000003\0", kind: bytes = b"0", **fields: bytes) -> bytes:
    """Return one header with a true checksum."""
    parts = [name.ljust(100, b"\0"), b"0000755\0", b"0000000\0", b"0000000\0", size, b"00000000000\0", b" " * 8, kind]
    parts += [fields.get("link", b"").ljust(100, b"\0"), fields.get("magic", b"ustar\00000"), bytes(80)]
    parts += [fields.get("prefix", b"").ljust(155, b"\0"), bytes(12)]
    block = b"".join(parts)
    checksum = f"{sum(block):06o}\0 ".encode()
    return block[:148] + checksum + block[156:]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("piece", [1, 511, 1 << 16])
def test_members_of_each_format(form: int, piece: int) -> None:
    hard = tarfile.TarInfo()
    hard.type, hard.linkname = tarfile.LNKTYPE, "bin/tea"
    device = tarfile.TarInfo()
    device.type = tarfile.CHRTYPE
    files = {"./": None, "./bin/": None, "bin/tea": (b"tea" * 400, 0o4755), "empty": b"", "a": "bin/tea", "b": hard}
    found = read(pack(files | {"dev/null": device, "last": b"x" * 512}, form), piece=piece)
    assert [(m.path, m.type, m.link) for m, _ in found] == [
        ("", Type.FOLDER, ""),
        ("bin", Type.FOLDER, ""),
        ("bin/tea", Type.FILE, ""),
        ("empty", Type.FILE, ""),
        ("a", Type.SYMBOLIC_LINK, "bin/tea"),
        ("b", Type.HARD_LINK, "bin/tea"),
        ("dev/null", Type.DEVICE, ""),
        ("last", Type.FILE, ""),
    ]
    assert (found[2][0].mode, found[2][1]) == (0o4755, b"tea" * 400)
    assert found[-1][1] == b"x" * 512


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names(form: int) -> None:
    found = read(pack({f"{LONG}/tea": b"x"} | ({} if form == tarfile.USTAR_FORMAT else {"l": LONG}), form))
    assert found[0][0].path == f"{LONG}/tea"
    assert form == tarfile.USTAR_FORMAT or found[1][0].link == LONG


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_that_are_no_text_stay_apart(form: int) -> None:
    """Bytes that are no UTF-8 and the text that escapes them are two files."""
    names = [b"caf\xe9", rb"caf\xe9", "café".encode()]
    if form == tarfile.PAX_FORMAT:
        records = [b"path=" + name + b"\n" for name in names]
        bodies = [f"{len(r) + 3} ".encode() + r for r in records]
        data = b"".join(
            header(b"x", f"{len(b):011o}\0".encode(), b"x") + b.ljust(512, b"\0") + header(b"y", b"0" * 11 + b"\0")
            for b in bodies
        )
    else:
        data = b"".join(header(name, b"0" * 11 + b"\0") for name in names)
    paths = [m.path for m, _ in read(data)]
    assert [path.encode("utf-8", "surrogateescape") for path in paths] == names


def test_prefix_counts_in_ustar_alone() -> None:
    assert read(header(prefix=b"usr/bin", size=b"0" * 12))[0][0].path == "usr/bin/tea"
    gnu = header(prefix=b"00000000000\0", size=b"0" * 12, magic=b"ustar  \0")
    assert read(gnu)[0][0].path == "tea"


def test_sizes_in_binary_and_in_extended_headers() -> None:
    binary = header(size=b"\x80" + (3).to_bytes(11, "big")) + b"tea".ljust(512, b"\0")
    assert read(binary)[0][1] == b"tea"
    record = b"10 size=3\n"
    extended = header(b"x", f"{len(record):011o}\0".encode(), b"x") + record.ljust(512, b"\0")
    assert read(extended + header(size=b"0" * 12) + b"tea".ljust(512, b"\0"))[0][1] == b"tea"


def test_what_is_said_of_all_members_means_nothing() -> None:
    record = b"13 path=evil\n"
    every = header(b"x", f"{len(record):011o}\0".encode(), b"g") + record.ljust(512, b"\0")
    assert read(every + header(size=b"0" * 12))[0][0].path == "tea"


def test_the_end_need_not_be_marked() -> None:
    """As engines have it; what follows the mark is nothing."""
    whole = pack({"tea": b"x"})
    assert [m.path for m, _ in read(whole[:1024])] == ["tea"]
    assert [m.path for m, _ in read(whole + header())] == ["tea"]
    assert read(b"") == []


@pytest.mark.parametrize("length", [1, 511, 513, 1023])
def test_cut_off(length: int) -> None:
    with pytest.raises(UnreadableError, match="the layer is truncated"):
        read((header() + b"tea".ljust(512, b"\0"))[:length])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no archive".ljust(512, b"."), "is not a tar archive"),
        (header()[:200] + b"x" + header()[201:], "wrong checksum"),
        (header(kind=b"S"), "of the type `S` (a sparse file)"),
        (header(b"../etc/passwd", b"0" * 12), "has a member `../etc/passwd`, whose name leads outside"),
        (header(b"a/../../b", b"0" * 12), "leads outside"),
        (header(size=b"\xff" * 12), "negative or too large"),
        (header(size=b"12x        \0"), "has a malformed header"),
        (header(b"x", b"0" * 9 + b"12\0", b"x") + b"10 size=x\n".ljust(512, b"\0") + header(), "extended header"),
        (header(b"x", b"0" * 9 + b"12\0", b"x") + b"99 size=1\n".ljust(512, b"\0") + header(), "extended header"),
        (header(b"x", b"0" * 9 + b"12\0", b"x") + b"0 path=ab\n".ljust(512, b"\0") + header(), "extended header"),
        (header(b"x", b"0" * 9 + b"12\0", b"x") + b"nothing...".ljust(512, b"\0") + header(), "extended header"),
        (
            header(b"x", b"0" * 9 + b"26\0", b"x") + b"22 GNU.sparse.major=1\n".ljust(512, b"\0") + header(),
            "a sparse file",
        ),
        (
            header(b"x", b"0" * 9 + b"12\0", b"x") + b"10 path=a\n".ljust(512, b"\0"),
            "ends where a member should follow",
        ),
    ],
)
def test_refuses(data: bytes, message: str) -> None:
    with pytest.raises(UnreadableError, match=re.escape(message)):
        read(data)


def test_an_absolute_name_is_one_below_the_root() -> None:
    found = read(pack({"/etc//./tea": b"x"}))
    assert [m.path for m, _ in found] == ["etc/tea"]


def test_bounds() -> None:
    with pytest.raises(UnreadableError, match="a part longer than the 255 characters of a file's name"):
        read(pack({"a/" + "b" * 256: b""}))
    small = NameLimits(path=20, extension=100)
    with pytest.raises(UnreadableError, match="a name longer than 20 characters"):
        read(pack({"a" * 21: b""}), limits=small)
    with pytest.raises(UnreadableError, match="a name longer than 20 characters"):
        read(pack({"a": "b" * 21}), limits=small)
    with pytest.raises(UnreadableError, match="an extended header longer than 100 bytes"):
        read(pack({"a" * 101: b""}), limits=small)


def test_reads_what_the_standard_library_reads() -> None:
    """Any damage to a header is refused, or what is read is what it says to others, too."""
    data = bytearray(header() + b"tea".ljust(512, b"\0"))
    for place in range(512):
        damaged = bytes(data[:place]) + bytes([data[place] ^ 1]) + bytes(data[place + 1 :])
        try:
            ours = [m.path for m, _ in read(damaged)]
        except UnreadableError:
            continue
        with tarfile.open(fileobj=io.BytesIO(damaged)) as archive:
            assert ours == archive.getnames()


def extended(data: bytes, kind: bytes = b"x") -> bytes:
    """Return an extended header."""
    return header(b"said", f"{len(data):011o}\0".encode(), kind) + data.ljust(-(-len(data) // 512) * 512, b"\0")


EMPTY = b"0" * 12


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (extended(b"8 path=\n") + header(size=EMPTY), "an empty name"),
        (extended(b"13 linkpath=\n") + header(size=EMPTY), "an empty name"),
        (extended(b"\0", b"L") + header(size=EMPTY), "an empty name"),
        (extended(b"10 path=a\n") + extended(b"11 mtime=1\n") + header(size=EMPTY), "names a member twice"),
        (extended(b"a\0", b"L") + extended(b"10 path=b\n") + header(size=EMPTY), "names a member twice"),
        (extended(b"10 path=b\n") + extended(b"a\0", b"L") + header(size=EMPTY), "names a member twice"),
        (extended(b"a\0", b"L") + extended(b"b\0", b"L") + header(size=EMPTY), "names a member twice"),
        (
            extended(b"10 path=a\n") + extended(b"13 comment=x\n", b"g") + header(size=EMPTY),
            "has a global header between",
        ),
        (header(b"tea/") + header(b"hidden", EMPTY), "both a file and a folder"),
        (header(size=EMPTY, magic=b"ustar  \0", prefix=b"usr/bin"), "has a malformed header"),
    ],
)
def test_refuses_what_two_readers_would_name_differently(data: bytes, message: str) -> None:
    """Go's reader, which engines have, would unpack these under other names than some other reader lists."""
    with pytest.raises(UnreadableError, match=message):
        read(data)


def test_a_long_name_and_other_records_go_together() -> None:
    data = extended(b"usr/bin/tea\0", b"L") + extended(b"bin/tea\0", b"K") + extended(b"11 mtime=1\n")
    found = read(data + header(size=EMPTY, kind=b"2"))
    assert [(m.path, m.link) for m, _ in found] == [("usr/bin/tea", "bin/tea")]


def test_the_prefix_of_star_is_shorter() -> None:
    block = bytearray(header(size=EMPTY, prefix=b"p" * 131 + b"00000000001\0" * 2))
    block[508:512] = b"tar\0"
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    assert read(bytes(block))[0][0].path == "p" * 131 + "/tea"


def test_content_that_is_not_read_is_skipped() -> None:
    data = pack({"a": b"a" * 1500, "b": b"b" * 600, "c": b"c"})
    archive = TarReader(iter([data]), "the layer")
    taken = [(member.path, archive.read(2)) for member in archive.members()]
    assert taken == [("a", b"aa"), ("b", b"bb"), ("c", b"c")]


def test_the_end_mark_may_be_needed(tmp_path: Path) -> None:
    whole = pack({"tea": b"x"})
    for data in (whole, whole[: 3 * 512]):
        (tmp_path / "a.tar").write_bytes(data)
        with opened_tar(tmp_path / "a.tar") as archive:
            assert [member.path for member in archive.members()] == ["tea"]
    (tmp_path / "a.tar").write_bytes(whole[:1024])
    with opened_tar(tmp_path / "a.tar") as archive, pytest.raises(UnreadableError, match="the archive is truncated"):
        list(archive.members())
