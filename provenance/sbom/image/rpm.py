"""RPM's database of installed packages, in all of its formats: Fedora, RHEL, SUSE and related distributions.

Licence names from before 2022 (Fedora, Callaway system) are mapped to the SPDX list.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .. import licence
from ..inventory import Component, Kind, Role
from ..package import Package, Unread, is_name, line
from ..party import Party
from . import rpm_database
from .rpm_database import Header

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..package import Distribution, PackageIterator

_FOLDER = r"(?:var/lib/rpm|usr/lib/sysimage/rpm|usr/share/rpm)"
WANTED = re.compile(rf"{_FOLDER}/(?:rpmdb\.sqlite(?:-wal)?|Packages(?:\.db)?)|var/lib/rpmmanifest/container-manifest-2")
_KINDS = {
    "rpmdb.sqlite": rpm_database.of_sqlite,
    "Packages": rpm_database.of_berkeley,
    "Packages.db": rpm_database.of_ndb,
}
_MANIFEST = "container-manifest-2"
"""Azure Linux' distroless images have this instead of a database."""
_PREFIX = "rpm:"
_NAME, _VERSION, _RELEASE, _EPOCH, _SUMMARY = 1000, 1001, 1002, 1003, 1004
_VENDOR, _LICENCE, _URL, _ARCHITECTURE, _SOURCE = 1011, 1014, 1020, 1022, 1044
_DIGESTS, _PROVIDES, _REQUIRES = 1035, 1047, 1049
_FOLDER_OF, _NAMES, _FOLDERS, _ALGORITHM = 1116, 1117, 1118, 5011
_ALGORITHMS = {1: "md5", 8: "sha256"}
"""RFC 4880, 9.4; md5 if the tag is missing."""
_VENDORS = {"rhel": "redhat"}
"""Distribution ids whose package URLs have another namespace (purl-spec, type `rpm`)."""
_EMPTY_WAL = 32
"""Bytes of a write-ahead log's header: a log of this size has no changes."""

_OPERATOR = re.compile(r"(\(|\)|(?<![^\s()])(?:and|or|with)(?![^\s()]))", re.IGNORECASE)
_GNU = re.compile(r"(?P<name>AGPL|LGPL|GPL)v(?P<version>\d(?:\.\d)?)(?P<later>\+?)")
_LICENCES = {
    "ASL 1.1": "Apache-1.1",
    "ASL 2.0": "Apache-2.0",
    "Artistic": "Artistic-1.0-Perl",
    "Artistic 2.0": "Artistic-2.0",
    "Boost": "BSL-1.0",
    "CC0": "CC0-1.0",
    "GPL+": "GPL-1.0-or-later",
    "LGPL+": "LGPL-2.0-or-later",
    "MPLv1.0": "MPL-1.0",
    "MPLv1.1": "MPL-1.1",
    "MPLv2.0": "MPL-2.0",
    "OpenLDAP": "OLDAP-2.8",
    "PSF": "PSF-2.0",
    "Vim": "Vim",
    "zlib": "Zlib",
}
"""Names of single licences; others, as `BSD` and `MIT`, stood for whole families."""
_LONGEST_LICENCE = 1000


def read(files: Mapping[str, bytes], distribution: Distribution | None) -> PackageIterator:
    """Yield the packages of each database."""
    for path, data in sorted(files.items()):
        name = path.rpartition("/")[2]
        if name in _KINDS:
            yield from _database(path, data, distribution)
        elif name.endswith("-wal") and len(data) > _EMPTY_WAL:
            yield Unread(path=path, reason="changes to the database that were not written into it")
        elif name == _MANIFEST and data:
            yield Unread(path=path, reason="a list of packages without a database, which is not read")


def _database(path: str, data: bytes, distribution: Distribution | None) -> PackageIterator:
    try:
        headers = _KINDS[path.rpartition("/")[2]](data)
    except ValueError as error:
        yield Unread(path=path, reason=str(error))
        return
    if len(headers) > rpm_database.MOST:
        yield Unread(path=path, reason=f"more than {rpm_database.MOST:,} packages")
        return
    for blob in headers:
        try:
            package = _package(path, Header.parse(blob), distribution)
        except ValueError as error:
            yield Unread(path=path, reason=str(error))
            continue
        if package is not None:
            yield package


def _package(path: str, header: Header, distribution: Distribution | None) -> Package | None:
    name, version, release = (header.text(tag) for tag in (_NAME, _VERSION, _RELEASE))
    if not is_name(name) or not name or not version:
        raise ValueError("a package has no name or no version")
    if name == "gpg-pubkey":
        return None  # a public key, which RPM stores as a package
    return Package(
        component=_component(header, name, f"{version}-{release}" if release else version, distribution),
        system=True,
        database=path,
        files=dict(_files(header)),
        provides=frozenset(_PREFIX + text for text in (name, *header.texts(_PROVIDES))),
        requires=tuple((_PREFIX + text,) for text in dict.fromkeys(header.texts(_REQUIRES))),
    )


def _component(header: Header, name: str, version: str, distribution: Distribution | None) -> Component:
    from packageurl import PackageURL

    epoch = next(iter(header.numbers(_EPOCH)), 0)
    source = header.text(_SOURCE)
    qualifiers = {
        "arch": header.text(_ARCHITECTURE) or "",
        "distro": distribution.qualifier if distribution else "",
        "epoch": str(epoch) if epoch else "",
        "upstream": source or "",
    }
    namespace = _VENDORS.get(distribution.id, distribution.id) if distribution else None
    purl = PackageURL("rpm", namespace, name, version, qualifiers).to_string()
    declared, vendor = header.text(_LICENCE), line(header.text(_VENDOR))
    return Component(
        ref=purl,
        kind=Kind.LIBRARY,
        role=Role.CONTAINED,
        name=name,
        version=f"{epoch}:{version}" if epoch else version,
        purl=purl,
        licence=licence.normalise(spdx_names(declared)) if declared else None,
        supplier=Party(name=vendor) if vendor else (distribution.supplier if distribution else None),
        description=line(header.text(_SUMMARY)),
        homepage=header.text(_URL),
        properties={"rpm:source": source} if source else {},
    )


def _files(header: Header) -> Iterator[tuple[str, str | None]]:
    names, folders, places = header.texts(_NAMES), header.texts(_FOLDERS), header.numbers(_FOLDER_OF)
    digests = header.texts(_DIGESTS)
    algorithm = _ALGORITHMS.get(next(iter(header.numbers(_ALGORITHM)), 1))
    if len(names) != len(places) or any(place >= len(folders) for place in places):
        raise ValueError("a package's list of files is none")
    for number, (name, place) in enumerate(zip(names, places, strict=True)):
        digest = digests[number] if number < len(digests) else ""
        yield (folders[place] + name).strip("/"), f"{algorithm}:{digest}" if digest and algorithm else None


def spdx_names(text: str) -> str:
    """Return a licence declaration with SPDX identifiers; unknown names become one word, SPDX expressions stay."""
    if len(text) > _LONGEST_LICENCE:
        return text
    parts = (part.strip() for part in _OPERATOR.split(text))
    return " ".join(part if _OPERATOR.fullmatch(part) else _licence_name(part) for part in parts if part)


def _licence_name(text: str) -> str:
    words = " ".join(text.split())
    if known := _LICENCES.get(words):
        return known
    if match := _GNU.fullmatch(words):
        version = match["version"] if "." in match["version"] else f"{match['version']}.0"
        return f"{match['name']}-{version}-{'or-later' if match['later'] else 'only'}"
    return words.replace(" ", "-")
