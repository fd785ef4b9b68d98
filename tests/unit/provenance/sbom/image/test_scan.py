from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from typing import Any

import pytest
import zstandard

from doit_provenance.provenance.errors import UnreadableError, VerificationError
from doit_provenance.provenance.sbom.image.attribution import is_metadata
from doit_provenance.provenance.sbom.image.layer import Limits
from doit_provenance.provenance.sbom.image.scan import (
    DATABASE_LIMIT,
    FILE_LIMIT,
    TEXT_LIMIT,
    read_os_release,
    scan,
    wanted_size,
)
from doit_provenance.provenance.sbom.inventory import Kind, Role

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
        found = scan(*it)
    assert {path: file.layer for path, file in found.files.items()} == {"a": 0, "b": 3, "c": 2}
    assert found.layers[0] == f"sha256:{hashlib.sha256(plain).hexdigest()}"


def test_a_layer_that_is_no_archive_is_a_file(images: Any) -> None:
    """As a WebAssembly component in an artifact."""
    with images.opened(b"\0asm", media_types=["application/wasm"]) as it:
        found = scan(*it)
    ((path, file),) = found.files.items()
    assert path == f"sha256:{file.sha256}" == found.layers[0]
    assert (file.size, file.program) == (4, True)


def test_a_layer_that_is_foreign_is_told(images: Any) -> None:
    """As those of Windows: there is nothing to read."""
    with images.opened(images.pack({"a": b"1"}), b"elsewhere") as (layout, manifest):
        kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
        foreign = replace(manifest.layers[1], media_type=kind, rest={"urls": ["https://tea.example/layer"]})
        (layout.path / "blobs/sha256" / foreign.sha256).unlink()
        found = scan(layout, replace(manifest, layers=(manifest.layers[0], foreign)))
    assert set(found.files) == {"a"}
    assert [one.path for one in found.unread] == [foreign.digest]


def test_a_layer_that_need_not_be_there_is_read_if_it_is(images: Any) -> None:
    """Else a word in its descriptor would hide what it holds."""
    with images.opened(images.pack({"a": b"1"}), images.pack({"b": b"2"})) as (layout, manifest):
        kind = "application/vnd.oci.image.layer.nondistributable.v1.tar"
        foreign = replace(manifest.layers[1], media_type=kind, rest={"urls": ["https://tea.example/layer"]})
        found = scan(layout, replace(manifest, layers=(manifest.layers[0], foreign)))
    assert set(found.files) == {"a", "b"}
    assert found.unread == ()


def test_a_layer_that_is_no_archive_hides_nothing(images: Any) -> None:
    """Engines pass it over, whatever its title."""
    with images.opened(images.pack({"usr/bin/tool": b"1", "b": b"2"}), b"x", b"y") as (layout, manifest):
        single = [
            replace(layer, media_type="application/x-nothing", annotations={"org.opencontainers.image.title": title})
            for layer, title in zip(manifest.layers[1:], ("usr", "b"), strict=True)
        ]
        found = scan(layout, replace(manifest, layers=(manifest.layers[0], *single)))
    assert set(found.files) == {"usr/bin/tool", "b", "usr", f"b@{single[1].digest}"}


def test_a_layer_with_other_bytes_is_refused(images: Any) -> None:
    data = images.pack({"a": b"1"})
    with images.opened(data) as (layout, manifest):
        blob = layout.path / "blobs/sha256" / hashlib.sha256(data).hexdigest()
        blob.write_bytes(images.pack({"a": b"2"}))
        with pytest.raises(VerificationError, match="has other bytes"):
            scan(layout, manifest)


@pytest.mark.parametrize("data", [b"no archive", gzip.compress(b"no archive".ljust(600), mtime=0)])
def test_a_layer_that_is_none_is_refused(images: Any, data: bytes) -> None:
    with images.opened(data) as it, pytest.raises(UnreadableError, match="layer `sha256:"):
        scan(*it)


def test_databases_are_found_behind_links_inside_the_image(images: Any) -> None:
    files = {
        "lib": "usr/lib",
        "etc/os-release": "../usr/lib/os-release",
        "usr/lib/os-release": b"ID=tea\nVERSION_ID=1\n",
    }
    found = images.survey(files | {f"usr/{APK}": INSTALLED, "bin": "usr/bin", "usr/bin/tea": b"x"}).scan
    (package,) = found.packages
    assert package.component.purl == "pkg:apk/tea/tea@1?arch=x86_64&distro=tea-1"
    assert found.owned["usr/bin/tea"] == ((package, None),)
    assert found.unread == ()


def test_a_database_elsewhere_is_told(images: Any) -> None:
    found = images.survey({APK: "/opt/db", "opt/db": INSTALLED}).scan
    assert found.packages == ()
    assert [one.path for one in found.unread] == [APK]


def test_a_database_that_is_too_large_is_told(images: Any) -> None:
    with images.opened(images.pack({APK: INSTALLED})) as it:
        found = scan(*it, Limits(kept=10))
    assert found.packages == ()
    assert [(one.path, one.reason) for one in found.unread] == [(APK, "larger than is read of such a file")]


def test_the_database_that_counts_is_the_last(images: Any) -> None:
    found = images.survey({APK: INSTALLED}, {APK: INSTALLED.replace(b"V:1", b"V:2")}).scan
    assert [package.component.version for package in found.packages] == ["2"]


def test_a_package_that_a_later_layer_took_away_is_not_there(images: Any) -> None:
    assert images.survey({APK: INSTALLED}, {"lib/apk/db/.wh.installed": b""}).scan.packages == ()


def test_libraries_are_found_by_the_name_that_is_asked_for(images: Any) -> None:
    files = {
        "usr/lib/x86_64-linux-gnu/libtea.so.1": "libtea.so.1.2",
        "usr/lib/x86_64-linux-gnu/libtea.so.1.2": b"x",
        "lib": "usr/lib",
        "opt/libhidden.so": b"x",
        "usr/lib/libgone.so.1": "nowhere",
    }
    assert images.survey(files).scan.libraries == {
        "libtea.so.1": "usr/lib/x86_64-linux-gnu/libtea.so.1.2",
        "libtea.so.1.2": "usr/lib/x86_64-linux-gnu/libtea.so.1.2",
    }


@pytest.mark.parametrize(
    "path",
    ["lib/apk/db/installed", "var/lib/dpkg/status", "var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/Packages.db"],
)
def test_what_lists_all_packages_may_be_large(path: str) -> None:
    text = path.endswith(("status", "installed"))
    assert wanted_size(path) == (TEXT_LIMIT if text else DATABASE_LIMIT) > FILE_LIMIT


@pytest.mark.parametrize("path", ["etc/os-release", "x/tea-1.dist-info/METADATA", "node_modules/a/package.json"])
def test_what_tells_of_one_is_small(path: str) -> None:
    assert wanted_size(path) == FILE_LIMIT


@pytest.mark.parametrize("path", ["bin/tea", "var/lib/dpkg/statusx", "home/lib/apk/db/installed", "etc/os-release/x"])
def test_all_else_is_not_kept(path: str) -> None:
    assert wanted_size(path) == 0


@pytest.mark.parametrize(
    "unit",
    [
        "/" + "a" * 250,
        "/" + ".so" * 80,
        "/" + "node_modules/a" * 15,
        "/" + "java" * 60,
        "/__pycache__",
        "/" + ".egg-info" * 25,
    ],
)
@pytest.mark.parametrize("end", ["", "/release", "/package.json", ".pyc", "/METADATA"])
def test_no_name_takes_long(unit: str, end: str) -> None:
    """As many names as a layer may have are looked at: a thousand of the longest take no second."""
    path = (unit * 40)[1:4000] + end
    for _ in range(20):
        wanted_size(path)
        is_metadata(path)


def test_reads_what_shells_read_os_release() -> None:
    """Quotes of both kinds, escapes, comments, and nothing of what is no assignment."""
    text = rb"""# made by hand
NAME="Tea \"Strong\" Linux"
ID=tea
VERSION_ID='3.19.1'
PRETTY_NAME="Tea v3.19"
HOME_URL="https://tea.example/"
exec rm -rf /
"""
    found = read_os_release(text)
    assert found is not None
    assert (found.id, found.version, found.qualifier) == ("tea", "3.19.1", "tea-3.19.1")
    assert (found.supplier.name, found.supplier.url) == ('Tea "Strong" Linux', "https://tea.example/")
    component = found.component
    assert (component.kind, component.role, component.ref) == (Kind.OPERATING_SYSTEM, Role.CONTAINED, "os:tea@3.19.1")
    assert component.description == "Tea v3.19"


def test_a_rolling_distribution_has_no_version() -> None:
    found = read_os_release(b"ID=arch\n")
    assert found is not None
    assert (found.qualifier, found.version, found.component.version) == ("arch", None, None)


@pytest.mark.parametrize("data", [b"", b"NAME=Tea\n", b"ID='a b'\n", b"ID=../x\n", b"\xff\xfe", b"ID=\n"])
def test_names_no_distribution(data: bytes) -> None:
    assert read_os_release(data) is None
