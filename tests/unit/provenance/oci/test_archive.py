from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import os
import tarfile
import zlib
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doit_provenance.provenance.archive.decompress import Bounds, decompressed
from doit_provenance.provenance.archive.tar import opened_tar
from doit_provenance.provenance.errors import ProvenanceError, UnreadableError, VerificationError
from doit_provenance.provenance.oci import archive as reader
from doit_provenance.provenance.oci.archive import read_archive
from doit_provenance.provenance.oci.layout import opened_layout, verify_layout
from doit_provenance.provenance.oci.model import (
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    Manifest,
    encode,
)
from doit_provenance.provenance.oci.select import name_of, select
from doit_provenance.provenance.oci.writer import LayoutWriter

from .conftest import docker_files, tar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from doit_provenance.provenance.archive.decompress import Source

    from .conftest import Made

LAYER = b"layer" * 1000


def converted(archive: Path, target: Path) -> Manifest:
    """Return the manifest of the one image of an archive, which is a verified layout at `target` afterwards."""
    writer = LayoutWriter(target)
    (root,) = read_archive(archive, writer)
    writer.finish(root)
    verify_layout(target)
    with opened_layout(target) as layout:
        found = layout.manifest(layout.root)
    assert isinstance(found, Manifest)
    return found


def test_docker_archive_becomes_a_layout_of_its_very_bytes(tmp_path: Path) -> None:
    files = docker_files(LAYER, b"second")
    manifest = converted(tar(tmp_path / "a.tar", files), tmp_path / "x")
    config = next(name for name in files if name.endswith(".json") and name != "manifest.json")
    assert manifest.media_type == OCI_MANIFEST
    assert manifest.config.sha256 == config.removesuffix(".json")
    assert [one.media_type for one in manifest.layers] == [OCI_LAYER, OCI_LAYER]
    assert [one.sha256 for one in manifest.layers] == [hashlib.sha256(b).hexdigest() for b in (LAYER, b"second")]


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bz2.compress, zstandard.compress])
def test_compressed_archive_is_the_same_image(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    plain = tar(tmp_path / "a.tar", docker_files(LAYER))
    packed = tmp_path / "packed"
    packed.write_bytes(compress(plain.read_bytes()))
    assert converted(packed, tmp_path / "x") == converted(plain, tmp_path / "y")


@pytest.mark.parametrize(
    ("compress", "media_type"), [(gzip.compress, OCI_LAYER_GZIP), (zstandard.compress, OCI_LAYER_ZSTD)]
)
def test_compressed_layer_keeps_its_bytes(tmp_path: Path, compress: Callable[[bytes], bytes], media_type: str) -> None:
    layer = compress(LAYER) + compress(b"a second part")
    files = docker_files(LAYER + b"a second part") | {"0/layer.tar": layer}
    manifest = converted(tar(tmp_path / "a.tar", files), tmp_path / "x")
    assert (manifest.layers[0].media_type, manifest.layers[0].size) == (media_type, len(layer))


def test_layer_that_expands_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_LAYER", Bounds(ratio=200, unsuspicious=1 << 20))
    files = docker_files(LAYER) | {"0/layer.tar": zstandard.compress(bytes(8 << 20))}
    with pytest.raises(UnreadableError, match="expands to more than 200 times its size"):
        read_archive(tar(tmp_path / "a.tar", files), LayoutWriter(tmp_path / "x"))


def test_each_layer_is_expanded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many images, and places in them, name it."""
    files = docker_files(*[gzip.compress(LAYER)] * 3)
    files["manifest.json"] = json.dumps(json.loads(files["manifest.json"]) * 20).encode()
    names: list[str] = []

    def counted(source: Source, name: str, bounds: Bounds) -> Generator[bytes]:
        names.append(name)
        return decompressed(source, name, bounds)

    monkeypatch.setattr(reader, "decompressed", counted)
    read_archive(tar(tmp_path / "a.tar", files), LayoutWriter(tmp_path / "x"))
    assert len(names) == 1


def test_more_images_and_layers_than_are_read(tmp_path: Path) -> None:
    files = docker_files(LAYER)
    (entry,) = json.loads(files["manifest.json"])
    for number, (document, message) in enumerate(
        [([entry] * 101, "more than 100 images"), ([entry | {"Layers": ["0/layer.tar"] * 1001}], "more than 1,000")]
    ):
        archive = tar(tmp_path / f"{number}.tar", files | {"manifest.json": json.dumps(document).encode()})
        with pytest.raises(UnreadableError, match=message):
            read_archive(archive, LayoutWriter(tmp_path / f"x{number}"))


def test_xz_of_several_streams_with_padding(tmp_path: Path) -> None:
    plain = tar(tmp_path / "a.tar", docker_files(LAYER)).read_bytes()
    packed = tmp_path / "a.tar.xz"
    packed.write_bytes(lzma.compress(plain[:700]) + bytes(8) + lzma.compress(plain[700:], preset=9) + bytes(4))
    assert converted(packed, tmp_path / "x") == converted(tmp_path / "a.tar", tmp_path / "y")
    packed.write_bytes(lzma.compress(plain)[:100])
    with pytest.raises(UnreadableError, match="truncated"):
        read_archive(packed, LayoutWriter(tmp_path / "z"))


def test_xz_that_asks_for_memory(tmp_path: Path) -> None:
    """A dictionary of a gibibyte is asked for with one byte."""
    data = bytearray(lzma.compress(tar(tmp_path / "a.tar", docker_files(LAYER)).read_bytes()))
    size = (data[12] + 1) * 4
    assert data[14] == 0x21  # LZMA2, and behind it the length of its properties
    data[16] = 36
    data[12 + size - 4 : 12 + size] = zlib.crc32(data[12 : 12 + size - 4]).to_bytes(4, "little")
    (tmp_path / "a.tar.xz").write_bytes(data)
    with pytest.raises(UnreadableError, match="Memory usage limit exceeded"):
        read_archive(tmp_path / "a.tar.xz", LayoutWriter(tmp_path / "x"))


def test_link_between_layers_as_old_engines_write_it(tmp_path: Path) -> None:
    files: dict[str, bytes | tarfile.TarInfo] = {**docker_files(LAYER, LAYER)}
    link = tarfile.TarInfo("1/layer.tar")
    link.type, link.linkname = tarfile.SYMTYPE, "../0/layer.tar"
    files["1/layer.tar"] = link
    assert len(converted(tar(tmp_path / "a.tar", files), tmp_path / "x").layers) == 2


def test_oci_index_wins_where_an_engine_writes_both(multi: Made, tmp_path: Path) -> None:
    files = {p.relative_to(multi.path).as_posix(): p.read_bytes() for p in multi.path.rglob("*") if p.is_file()}
    writer = LayoutWriter(tmp_path / "x")
    entries = read_archive(tar(tmp_path / "a.tar", {**docker_files(LAYER), **files}), writer)
    assert entries == (multi.root,)
    writer.finish(multi.root)
    assert verify_layout(tmp_path / "x").files == verify_layout(multi.path).files


def test_image_has_its_name_and_platform(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a.tar", docker_files(LAYER, architecture="arm64", name="it:2"))
    (entry,) = read_archive(archive, LayoutWriter(tmp_path / "x"))
    assert (name_of(entry), str(entry.platform)) == ("it:2", "linux/arm64")


def test_two_images_in_one_archive(tmp_path: Path) -> None:
    one, two = docker_files(b"one", name="it:1"), docker_files(b"two", name="it:2")
    two["2/layer.tar"] = two.pop("0/layer.tar")
    both = [*json.loads(one["manifest.json"]), *json.loads(two["manifest.json"])]
    both[1]["Layers"] = ["2/layer.tar"]
    writer = LayoutWriter(tmp_path / "x")
    entries = read_archive(tar(tmp_path / "a.tar", {**one, **two, "manifest.json": json.dumps(both).encode()}), writer)
    with pytest.raises(UnreadableError, match="more than one image: `it:1`, `it:2`"):
        select(entries, writer)


def _without(name: str) -> Callable[[dict[str, bytes]], None]:
    return lambda files: files.__delitem__(name)


def _manifest(**changes: object) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        (entry,) = json.loads(files["manifest.json"])
        files["manifest.json"] = json.dumps([{**entry, **changes}]).encode()

    return change


def _lying_layer(files: dict[str, bytes]) -> None:
    files["0/layer.tar"] = b"other"


def _lying_compressed_layer(files: dict[str, bytes]) -> None:
    files["0/layer.tar"] = gzip.compress(b"other")


def _damaged_layer(files: dict[str, bytes]) -> None:
    files["0/layer.tar"] = gzip.compress(LAYER)[:-20]


def _lying_zstd_layer(files: dict[str, bytes]) -> None:
    files["0/layer.tar"] = zstandard.compress(b"other")


def _cut_zstd_layer(files: dict[str, bytes]) -> None:
    files["0/layer.tar"] = zstandard.compress(LAYER)[:-1]


def _lying_config(files: dict[str, bytes]) -> None:
    name = next(name for name in files if len(name) == 69)
    files[name] = files[name].replace(b"linux", b"plan9")


def _lying_blob(files: dict[str, bytes]) -> None:
    files["blobs/sha256/" + "a" * 64] = b"x"


def _not_json(files: dict[str, bytes]) -> None:
    files["manifest.json"] = b"[{]"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_without("manifest.json"), "neither `index.json` nor `manifest.json`"),
        (_without("0/layer.tar"), "names `0/layer.tar`, which is not in the archive"),
        (_not_json, "not strict JSON"),
        (_manifest(Layers=[]), "names 1 layers, `manifest.json` 0"),
        (_manifest(Layers="x"), "must be a list of texts"),
        (_manifest(Config="../../etc/passwd"), "not in the archive"),
        (_manifest(Config="0/layer.tar"), "not strict JSON"),
        (_lying_layer, "a layer has the digest"),
        (_lying_compressed_layer, "a layer has the digest"),
        (_damaged_layer, "is truncated"),
        (_lying_zstd_layer, "a layer has the digest"),
        (_cut_zstd_layer, "is truncated"),
        (_lying_config, "has the digest"),
        (_lying_blob, "has the digest"),
    ],
)
def test_what_an_archive_says_of_itself_is_held_against_it(
    tmp_path: Path, damage: Callable[[dict[str, bytes]], None], reason: str
) -> None:
    files = docker_files(LAYER)
    damage(files)
    with pytest.raises(ProvenanceError, match=reason) as caught:
        read_archive(tar(tmp_path / "a.tar", files), LayoutWriter(tmp_path / "x"))
    assert str(caught.value).startswith(f"`{tmp_path}/a.tar`: ")


def _member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, target
    return header


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (_member("../x"), "leads outside the archive"),
        (_member("a/../../x"), "leads outside the archive"),
        (_member("/etc/x"), "leads outside the archive"),
        (_member("x", tarfile.SYMTYPE, "/etc/passwd"), ", outside the archive"),
        (_member("a/x", tarfile.SYMTYPE, "../../passwd"), ", outside the archive"),
        (_member("x", tarfile.LNKTYPE, "0/layer.tar"), "a hard link, not a file"),
        (_member("x", tarfile.CHRTYPE), "a device"),
        (_member("x", tarfile.BLKTYPE), "a device"),
        (_member("x", tarfile.FIFOTYPE), "a pipe"),
        (_member("x", b"Z"), "of the type `Z`, which is not read"),
        (_member("./0//layer.tar"), "`0/layer.tar` is in it twice"),
    ],
)
def test_members_that_no_image_needs(tmp_path: Path, member: tarfile.TarInfo, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        read_archive(tar(tmp_path / "a.tar", {**docker_files(LAYER), "x": member}), LayoutWriter(tmp_path / "x"))


def test_every_truncation_is_told(tmp_path: Path) -> None:
    whole = tar(tmp_path / "a.tar", docker_files(LAYER)).read_bytes()
    end = len(whole.rstrip(b"\0"))
    for length in [*range(0, end, 256), end]:
        cut = tmp_path / f"{length}.tar"
        cut.write_bytes(whole[:length])
        with pytest.raises(UnreadableError, match="truncated"):
            read_archive(cut, LayoutWriter(tmp_path / f"{length}"))


def test_truncated_compressed_archive(tmp_path: Path) -> None:
    packed = gzip.compress(tar(tmp_path / "a.tar", docker_files(os.urandom(50_000))).read_bytes())
    (tmp_path / "b.tar").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(UnreadableError, match="is truncated"):
        read_archive(tmp_path / "b.tar", LayoutWriter(tmp_path / "x"))


@pytest.mark.parametrize("content", [b"", b"no tar" * 200, b"\x28\xb5\x2f\xfd" + bytes(600), b"\x1f\x8b" + bytes(600)])
def test_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(UnreadableError, match=r"not a (tar archive|valid (zstd|gzip) stream)|truncated"):
        read_archive(tmp_path / "a.tar", LayoutWriter(tmp_path / "x"))
    with pytest.raises(UnreadableError, match="can't read"):
        read_archive(tmp_path / "nothing.tar", LayoutWriter(tmp_path / "y"))


def test_compressed_archive_that_expands_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doit_provenance.provenance.archive.tar._ARCHIVE", Bounds(ratio=200, unsuspicious=1 << 20))
    packed = gzip.compress(tar(tmp_path / "a.tar", docker_files(bytes(8 << 20))).read_bytes())
    (tmp_path / "b.tar").write_bytes(packed)
    with pytest.raises(UnreadableError, match="expands to more than 200 times its size"):
        read_archive(tmp_path / "b.tar", LayoutWriter(tmp_path / "x"))


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_MEMBERS", 10)
    with pytest.raises(UnreadableError, match="more than 10 members"):
        read_archive(tar(tmp_path / "a.tar", {str(n): b"" for n in range(20)}), LayoutWriter(tmp_path / "x"))


def _header(name: str, size: int, kind: bytes) -> bytes:
    header = tarfile.TarInfo(name)
    header.size, header.type = size, kind
    return header.tobuf(tarfile.GNU_FORMAT)


def _pax(*records: bytes) -> bytes:
    data = b"".join(records)
    return _header("x", len(data), tarfile.XHDTYPE) + data + bytes(-len(data) % 512) + _header("y", 0, tarfile.REGTYPE)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_header("x", 1 << 40, tarfile.XHDTYPE), "an extended header longer than 1,048,576 bytes"),
        (_header("x", 1 << 40, tarfile.GNUTYPE_LONGNAME), "an extended header longer than"),
        (_header("x", 1 << 62, tarfile.REGTYPE), "truncated"),
        (_header("x", -1, tarfile.REGTYPE), "a negative or too large number"),
        (_pax(b"22 GNU.sparse.major=1\n"), "a sparse file"),
        (_pax(b"99 path=x\n"), "a malformed extended header"),
        (_pax(b"0 path=x\n"), "a malformed extended header"),
        (_pax(b"path\n"), "a malformed extended header"),
        (_pax(b"11 size=-1\n"), "a malformed extended header"),
        (_pax(b"13 path=../x\n"), "leads outside the archive"),
        (_header("x", 0, tarfile.GNUTYPE_SPARSE), "a sparse file"),
    ],
)
def test_absurd_headers(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.tar").write_bytes(data + bytes(1024))
    with pytest.raises(UnreadableError, match=reason):
        read_archive(tmp_path / "a.tar", LayoutWriter(tmp_path / "x"))


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_are_read(tmp_path: Path, form: int) -> None:
    name = "/".join(["folder" * 10] * 5)
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as archive:
        archive.addfile(_member(name))
    with opened_tar(tmp_path / "a.tar") as archive:
        assert [member.path for member in archive.members()] == [name]


def test_git_comment_in_a_global_header(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "x"}) as archive:
        archive.addfile(_member("y"))
    with opened_tar(tmp_path / "a.tar") as archive:
        assert [(member.path, member.size) for member in archive.members()] == [("y", 0)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 1 << 14), st.integers(0, 255)), min_size=1, max_size=8),
    st.sampled_from(["plain", "gzip", "xz", "zstd"]),
)
def test_damage_is_an_error_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], packing: str
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    data = bytearray(tar(folder / "a.tar", docker_files(gzip.compress(LAYER, mtime=0))).read_bytes())
    if packing != "plain":
        compress = {"gzip": gzip.compress, "xz": lzma.compress, "zstd": zstandard.compress}[packing]
        data = bytearray(compress(bytes(data)))
    for at, value in changes:
        data[at % len(data)] = value
    (folder / "a.tar").write_bytes(data)
    writer = LayoutWriter(folder / "x")
    try:
        entries = read_archive(folder / "a.tar", writer)
        writer.finish(*select(entries, writer).images.values())
        verify_layout(folder / "x")
    except (UnreadableError, VerificationError):
        pass


def test_encode_is_used_for_what_is_made(tmp_path: Path) -> None:
    manifest = converted(tar(tmp_path / "a.tar", docker_files(LAYER)), tmp_path / "x")
    assert encode(manifest.document) == manifest.raw
