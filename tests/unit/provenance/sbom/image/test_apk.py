from __future__ import annotations

import base64
import hashlib

import pytest

from doit_provenance.provenance.sbom.image import apk
from doit_provenance.provenance.sbom.image.scan import read_os_release as read_os
from doit_provenance.provenance.sbom.package import Package, Unread

PATH = "lib/apk/db/installed"
SHA1 = hashlib.sha1(b"tea", usedforsecurity=False)
ALPINE = read_os(b'ID=alpine\nVERSION_ID=3.22.1\nNAME="Alpine Linux"\n')
INSTALLED = f"""C:Q1eVpkasfqZAukAXFYbgwt4xAMZWU=
P:busybox
V:1.37.0-r18
A:x86_64
S:509600
T:Size optimized toolbox of many common UNIX utilities
U:https://busybox.net/
L:GPL-2.0-only
o:busybox
m:Ada Brewer <ada@tea.example>
c:fac8cfe2b0f5b6cd4ec8a9b7f0a49cf8c7b4a1a8
D:so:libc.musl-x86_64.so.1 !uclibc tea>=1
p:cmd:busybox=1.37.0-r18 /bin/sh
F:bin
R:busybox
a:0:0:755
Z:Q1{base64.b64encode(SHA1.digest()).decode()}
R:plain
F:
R:top

P:libtea
V:1
A:x86_64
o:tea
""".encode()


def read(data: bytes = INSTALLED) -> list[Package | Unread]:
    return list(apk.read({PATH: data}, ALPINE))


def test_packages() -> None:
    busybox, libtea = read()
    assert isinstance(busybox, Package)
    assert isinstance(libtea, Package)
    component = busybox.component
    assert component.purl == component.ref == "pkg:apk/alpine/busybox@1.37.0-r18?arch=x86_64&distro=alpine-3.22.1"
    assert (component.name, component.version, component.licence) == ("busybox", "1.37.0-r18", "GPL-2.0-only")
    assert (component.homepage, component.supplier and component.supplier.name) == (
        "https://busybox.net/",
        "Alpine Linux",
    )
    assert component.properties["apk:commit"] == "fac8cfe2b0f5b6cd4ec8a9b7f0a49cf8c7b4a1a8"
    assert libtea.component.purl == "pkg:apk/alpine/libtea@1?arch=x86_64&distro=alpine-3.22.1&upstream=tea"


def test_files_and_the_digests_that_it_knows() -> None:
    busybox, libtea = read()
    assert isinstance(busybox, Package)
    assert busybox.files == {"bin/busybox": f"sha1:{SHA1.hexdigest()}", "bin/plain": None, "top": None}
    assert isinstance(libtea, Package)
    assert libtea.files == {}


def test_what_it_asks_for_and_stands_for() -> None:
    busybox, _ = read()
    assert isinstance(busybox, Package)
    assert busybox.requires == (("apk:so:libc.musl-x86_64.so.1",), ("apk:tea",))
    assert busybox.provides == {"apk:busybox", "apk:cmd:busybox", "apk:/bin/sh"}


def test_without_a_distribution_the_maintainer_supplies() -> None:
    (busybox, _) = apk.read({PATH: INSTALLED}, None)
    assert isinstance(busybox, Package)
    assert busybox.component.purl == "pkg:apk/busybox@1.37.0-r18?arch=x86_64"
    assert busybox.component.supplier is not None
    assert busybox.component.supplier.email == "ada@tea.example"


@pytest.mark.parametrize(
    "data", [b"P:tea\n", b"V:1\n", b"P:a/b\nV:1\n", b"something else\n", b"P:\nV:1\n", b"\xff\xfe\n"]
)
def test_what_is_no_entry_is_told(data: bytes) -> None:
    (found,) = read(data)
    assert isinstance(found, Unread)
    assert found.path == PATH


def test_one_bad_entry_does_not_hide_the_others() -> None:
    found = read(b"P:tea\n\n" + INSTALLED)
    assert [type(one) for one in found] == [Unread, Package, Package]


@pytest.mark.parametrize("path", [PATH, "usr/lib/apk/db/installed"])
def test_looks_where_alpine_keeps_it(path: str) -> None:
    assert apk.WANTED.fullmatch(path)
    assert not apk.WANTED.fullmatch(f"x/{path}")
