from __future__ import annotations

import hashlib

import pytest

from doit_provenance.provenance.sbom.image import dpkg
from doit_provenance.provenance.sbom.image.scan import read_os_release as read_os
from doit_provenance.provenance.sbom.package import Package, Unread

DEBIAN = read_os(b'ID=debian\nVERSION_ID="12"\nNAME="Debian GNU/Linux"\n')
MD5 = hashlib.md5(b"tea", usedforsecurity=False).hexdigest()
STATUS = b"""Package: libtea1
Status: install ok installed
Maintainer: Ada Brewer <ada@tea.example>
Architecture: amd64
Source: tea (2.0-1)
Version: 1:2.0-1+b3
Provides: libtea-any (= 2.0), tea-abi-7
Depends: libc6 (>= 2.34), water | kettle:any (<< 3), ${odd}
Pre-Depends: dpkg
Conffiles:
 /etc/tea.conf 0123456789abcdef0123456789abcdef
Description: serves tea
 and more of it
Homepage: https://tea.example/

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: half
Status: install reinstreq half-installed
Architecture: all
Version: 1
"""
COPYRIGHT = b"""Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: tea

Files: *
Copyright: Ada
License: GPL-2+
 text of it

Files: debian/*
License: Expat

License: Artistic
 stands alone: nothing is under it
"""
INFO = "var/lib/dpkg/info"
FILES = {
    "var/lib/dpkg/status": STATUS,
    f"{INFO}/libtea1:amd64.list": b"/.\n/usr\n/usr/lib/libtea.so.1\n/etc/tea.conf\n/bin/kettle\n",
    f"{INFO}/libtea1:amd64.md5sums": f"{MD5}  usr/lib/libtea.so.1\nnonsense\n".encode(),
    "var/lib/dpkg/diversions": b"/bin/kettle\n/bin/kettle.distrib\nwater\n/etc/tea.conf\n/etc/tea.old\nlibtea1\n",
    "usr/share/doc/libtea1/copyright": COPYRIGHT,
}


def package(files: dict[str, bytes] = FILES) -> Package:
    (found,) = dpkg.read(files, DEBIAN)
    assert isinstance(found, Package)
    return found


def test_only_what_is_installed_is_there() -> None:
    component = package().component
    assert component.purl == ("pkg:deb/debian/libtea1@1:2.0-1%2Bb3?arch=amd64&distro=debian-12&upstream=tea%402.0-1")
    assert (component.version, component.description) == ("1:2.0-1+b3", "serves tea")
    assert component.supplier is not None
    assert component.supplier.name == "Debian GNU/Linux"
    assert component.properties == {"deb:source": "tea 2.0-1"}


def test_files_their_sums_and_diversions() -> None:
    """What another package diverted lies elsewhere; a package's own diversions are of others' files."""
    files = package().files
    assert files["usr/lib/libtea.so.1"] == f"md5:{MD5}"
    assert files["etc/tea.conf"] is None
    assert "bin/kettle" not in files
    assert files["bin/kettle.distrib"] is None
    assert f"{INFO}/libtea1:amd64.postinst" in files


def test_relations() -> None:
    found = package()
    assert found.requires == (("deb:dpkg",), ("deb:libc6",), ("deb:water", "deb:kettle"))
    assert found.provides == {"deb:libtea1", "deb:libtea-any", "deb:tea-abi-7"}


def test_distroless_has_a_file_for_each() -> None:
    """Without `Status`, and with the sums beside it."""
    path = "var/lib/dpkg/status.d/tzdata"
    files = {
        path: b"Package: tzdata\nVersion: 2024a\nArchitecture: all\n",
        f"{path}.md5sums": f"{MD5}  usr/tz\n".encode(),
    }
    found = package(files)
    assert (found.component.name, found.database) == ("tzdata", path)
    assert found.files["usr/tz"] == f"md5:{MD5}"
    assert all(map(dpkg.WANTED.fullmatch, files))


@pytest.mark.parametrize(
    "data",
    [
        b"Package: tea\nVersion: 1\n",
        b"Status: install ok installed\nVersion: 1\n",
        b"Package: tea\nStatus: install ok installed\n",
        b"Package: a/b\nStatus: install ok installed\nVersion: 1\n",
    ],
)
def test_what_is_no_entry_is_told(data: bytes) -> None:
    (found,) = dpkg.read({"var/lib/dpkg/status": data}, DEBIAN)
    assert isinstance(found, Unread)


def test_licences_of_all_files_hold() -> None:
    assert package().component.licence == "GPL-2.0-or-later AND MIT"


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        (["GPL-2"], "GPL-2.0-only"),
        (["GPL-2+ or Artistic"], "GPL-2.0-or-later OR Artistic-1.0-Perl"),
        (["LGPL-2.1+"], "LGPL-2.1-or-later"),
        (["Apache-2.0", "BSD-3-clause"], "Apache-2.0 AND BSD-3-Clause"),
        (["MIT/X11 or Zlib", "ISC"], "ISC AND (MIT OR X11 OR Zlib)"),
        (["some odd licence"], "LicenseRef-doit-provenance-some-odd-licence"),
    ],
)
def test_debians_names_become_spdx(licences: list[str], expected: str) -> None:
    from doit_provenance.provenance.sbom.licence import normalise

    head = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
    text = head + "\n\n".join(f"Files: {number}\nLicense: {name}" for number, name in enumerate(licences))
    declared = dpkg.declared_licence(text)
    assert declared is not None
    assert normalise(declared) == expected


@pytest.mark.parametrize(
    "text", ["", "This is free software.", "Format: https://tea.example/x\n\nFiles: *\nLicense: MIT"]
)
def test_prose_is_not_guessed_at(text: str) -> None:
    assert dpkg.declared_licence(text) is None
