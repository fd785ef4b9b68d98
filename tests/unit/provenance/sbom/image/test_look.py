from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from typing import Any

import pytest
import zstandard

from doit_provenance.provenance.errors import UnreadableError, VerificationError
from doit_provenance.provenance.sbom.image.layer import Limits
from doit_provenance.provenance.sbom.image.look import look

LAYER = "application/vnd.oci.image.layer.v1.tar"
APK = "lib/apk/db/installed"
INSTALLED = b"P:tea\nV:1\nA:x86_64\nF:bin\nR:tea\n"


def test_layers_of_every_kind(images: Any) -> None:
    plain = images.pack({"a": b"1"})
    packed = gzip.compress(images.pack({"b": b"2"}))
    zstd = zstandard.ZstdCompressor().compress(images.pack({"c": b"3"}))
    docker = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    with images.opened(
        plain, packed, zstd, packed, media_types=[LAYER, f"{LAYER}+gzip", f"{LAYER}+zstd", docker]
    ) as it:
        found = look(*it)
    assert {path: file.layer for path, file in found.files.items()} == {"a": 0, "b": 3, "c": 2}
    assert found.layers[0] == f"sha256:{hashlib.sha256(plain).hexdigest()}"


def test_a_layer_that_is_no_archive_is_a_file(images: Any) -> None:
    """As a WebAssembly component in an artifact."""
    with images.opened(b"\0asm", media_types=["application/wasm"]) as it:
        found = look(*it)
    ((path, file),) = found.files.items()
    assert path == f"sha256:{file.sha256}" == found.layers[0]
    assert (file.size, file.program) == (4, True)


def test_a_layer_that_is_foreign_is_told(images: Any) -> None:
    """As those of Windows: there is nothing to read."""
    with images.opened(images.pack({"a": b"1"}), b"elsewhere") as (layout, manifest):
        kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
        foreign = replace(manifest.layers[1], media_type=kind, rest={"urls": ["https://tea.example/layer"]})
        (layout.path / "blobs/sha256" / foreign.sha256).unlink()
        found = look(layout, replace(manifest, layers=(manifest.layers[0], foreign)))
    assert set(found.files) == {"a"}
    assert [one.path for one in found.unread] == [foreign.digest]


def test_a_layer_that_need_not_be_there_is_read_if_it_is(images: Any) -> None:
    """Else a word in its descriptor would hide what it holds."""
    with images.opened(images.pack({"a": b"1"}), images.pack({"b": b"2"})) as (layout, manifest):
        kind = "application/vnd.oci.image.layer.nondistributable.v1.tar"
        foreign = replace(manifest.layers[1], media_type=kind, rest={"urls": ["https://tea.example/layer"]})
        found = look(layout, replace(manifest, layers=(manifest.layers[0], foreign)))
    assert set(found.files) == {"a", "b"}
    assert found.unread == ()


def test_a_layer_that_is_no_archive_hides_nothing(images: Any) -> None:
    """Engines pass it over, whatever its title."""
    with images.opened(images.pack({"usr/bin/tool": b"1", "b": b"2"}), b"x", b"y") as (layout, manifest):
        single = [
            replace(layer, media_type="application/x-nothing", annotations={"org.opencontainers.image.title": title})
            for layer, title in zip(manifest.layers[1:], ("usr", "b"), strict=True)
        ]
        found = look(layout, replace(manifest, layers=(manifest.layers[0], *single)))
    assert set(found.files) == {"usr/bin/tool", "b", "usr", f"b@{single[1].digest}"}


def test_a_layer_with_other_bytes_is_refused(images: Any) -> None:
    data = images.pack({"a": b"1"})
    with images.opened(data) as (layout, manifest):
        blob = layout.path / "blobs/sha256" / hashlib.sha256(data).hexdigest()
        blob.write_bytes(images.pack({"a": b"2"}))
        with pytest.raises(VerificationError, match="has other bytes"):
            look(layout, manifest)


@pytest.mark.parametrize("data", [b"no archive", gzip.compress(b"no archive".ljust(600), mtime=0)])
def test_a_layer_that_is_none_is_refused(images: Any, data: bytes) -> None:
    with images.opened(data) as it, pytest.raises(UnreadableError, match="layer `sha256:"):
        look(*it)


def test_databases_are_found_behind_links_inside_the_image(images: Any) -> None:
    files = {
        "lib": "usr/lib",
        "etc/os-release": "../usr/lib/os-release",
        "usr/lib/os-release": b"ID=tea\nVERSION_ID=1\n",
    }
    found = images.survey(files | {f"usr/{APK}": INSTALLED, "bin": "usr/bin", "usr/bin/tea": b"x"}).look
    (package,) = found.packages
    assert package.component.purl == "pkg:apk/tea/tea@1?arch=x86_64&distro=tea-1"
    assert found.owned["usr/bin/tea"] == ((package, None),)
    assert found.unread == ()


def test_a_database_elsewhere_is_told(images: Any) -> None:
    found = images.survey({APK: "/opt/db", "opt/db": INSTALLED}).look
    assert found.packages == ()
    assert [one.path for one in found.unread] == [APK]


def test_a_database_that_is_too_large_is_told(images: Any) -> None:
    with images.opened(images.pack({APK: INSTALLED})) as it:
        found = look(*it, Limits(kept=10))
    assert found.packages == ()
    assert [(one.path, one.reason) for one in found.unread] == [(APK, "larger than is read of such a file")]


def test_the_database_that_counts_is_the_last(images: Any) -> None:
    found = images.survey({APK: INSTALLED}, {APK: INSTALLED.replace(b"V:1", b"V:2")}).look
    assert [package.component.version for package in found.packages] == ["2"]


def test_a_package_that_a_later_layer_took_away_is_not_there(images: Any) -> None:
    assert images.survey({APK: INSTALLED}, {"lib/apk/db/.wh.installed": b""}).look.packages == ()


def test_libraries_are_found_by_the_name_that_is_asked_for(images: Any) -> None:
    files = {
        "usr/lib/x86_64-linux-gnu/libtea.so.1": "libtea.so.1.2",
        "usr/lib/x86_64-linux-gnu/libtea.so.1.2": b"x",
        "lib": "usr/lib",
        "opt/libhidden.so": b"x",
        "usr/lib/libgone.so.1": "nowhere",
    }
    assert images.survey(files).look.libraries == {
        "libtea.so.1": "usr/lib/x86_64-linux-gnu/libtea.so.1.2",
        "libtea.so.1.2": "usr/lib/x86_64-linux-gnu/libtea.so.1.2",
    }
