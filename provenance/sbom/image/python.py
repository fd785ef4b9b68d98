"""Installed Python distributions: `.dist-info` (PyPA, Recording installed projects), `.egg-info` (setuptools)."""

from __future__ import annotations

import base64
import csv
import posixpath
import re
from binascii import Error
from typing import TYPE_CHECKING

from .. import licence
from ..inventory import Component, Kind, Role
from ..package import Package, Unread, first, line, maintainer, paragraph
from ..party import Party

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..package import Distribution, PackageIterator

WANTED = re.compile(
    r"(?:.*/)?[^/]+(?:\.dist-info/(?:METADATA|RECORD)|\.egg-info(?:/(?:PKG-INFO|installed-files\.txt))?)"
)
_METADATA = re.compile(r"(?P<folder>.*\.(?:dist-info|egg-info))(?:/(?:METADATA|PKG-INFO))?\Z")
_PREFIX = "pypi:"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_EXTRA = re.compile(r";.*\bextra\b", re.DOTALL)
_CLASSIFIER = "License :: OSI Approved :: "
_CLASSIFIED = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "zlib/libpng License": "Zlib",
}
_LEGACY_NAMES = {
    **dict.fromkeys(("apache 2", "apache 2.0", "apache license 2.0", "apache license, version 2.0"), "Apache-2.0"),
    **dict.fromkeys(("apache license version 2.0", "apache software license 2.0"), "Apache-2.0"),
    **dict.fromkeys(
        ("bsd 3-clause", "bsd-3", "new bsd", "bsd 3-clause license", "3-clause bsd license"), "BSD-3-Clause"
    ),
    **dict.fromkeys(("bsd 2-clause", "simplified bsd", "bsd 2-clause license"), "BSD-2-Clause"),
    **dict.fromkeys(("mit license", "the mit license", "the mit license (mit)", "expat"), "MIT"),
    **dict.fromkeys(("mpl 2.0", "mozilla public license 2.0"), "MPL-2.0"),
    **dict.fromkeys(("psf", "psfl", "python software foundation license"), "PSF-2.0"),
    **dict.fromkeys(("gplv2+", "gpl v2+"), "GPL-2.0-or-later"),
    **dict.fromkeys(("gplv3+", "gpl v3+"), "GPL-3.0-or-later"),
    **dict.fromkeys(("gplv3", "gpl v3"), "GPL-3.0-only"),
    **dict.fromkeys(("isc license", "iscl"), "ISC"),
}
"""Values of the legacy field `License` that name one licence without being its SPDX identifier."""
_LONGEST_REQUIREMENT = 1000
_LONGEST_LICENCE = 120
"""Characters of the field `License`; a longer value is the text of a licence."""
_URL = re.compile(r"https?://\S+")


def read(files: Mapping[str, bytes], distribution: Distribution | None) -> PackageIterator:  # noqa: ARG001 - `Reader.read`
    """Yield the installed distributions, in whatever folder."""
    for path in sorted(files):
        if match := _METADATA.match(path):
            yield _package(path, match["folder"], files)


def _package(path: str, folder: str, files: Mapping[str, bytes]) -> Package | Unread:
    fields = paragraph(files[path].decode("utf-8", "replace").replace("\r\n", "\n"))
    name, version = first(fields, "name"), first(fields, "version")
    if name is None or version is None or not _NAME.fullmatch(name):
        return Unread(path=path, reason="it has no name or no version")
    try:
        owned = dict(_files(folder, files))
    except (csv.Error, ValueError) as error:
        return Unread(path=f"{folder}/RECORD", reason=f"not a list of files: {error}")
    return Package(
        component=_component(fields, name, version),
        system=False,
        database=path,
        files={path: None} | owned,
        folder=folder if folder != path else None,
        provides=frozenset({_PREFIX + _normalised(name)}),
        requires=tuple((_PREFIX + required,) for required in _requirements(fields)),
    )


def _component(fields: Mapping[str, list[str]], name: str, version: str) -> Component:
    from packageurl import PackageURL

    purl = PackageURL("pypi", None, name, version).to_string()
    links = _links(fields)
    person = maintainer(first(fields, "author-email")) or maintainer(first(fields, "author"))
    author = Party(name=line(person.name) or name, email=person.email) if person else None
    return Component(
        ref=purl,
        kind=Kind.LIBRARY,
        role=Role.CONTAINED,
        name=name,
        version=version,
        purl=purl,
        licence=_licence(fields),
        supplier=author,  # the registry is not recorded; NTIA allows the maker as supplier
        authors=(author,) if author else (),
        description=line(first(fields, "summary")),
        homepage=first(fields, "home-page") or links.get("homepage"),
        repository=links.get("source") or links.get("repository") or links.get("sourcecode"),
    )


def _licence(fields: Mapping[str, list[str]]) -> str | None:
    """Return the declared licence: the expression, else a short legacy `License`, else the only licence classifier."""
    if text := first(fields, "license-expression"):
        return licence.normalise(text)
    text = first(fields, "license")
    if text and "\n" not in text and len(text) <= _LONGEST_LICENCE:
        return licence.normalise(_LEGACY_NAMES.get(" ".join(text.split()).lower(), text))
    names = [c.removeprefix(_CLASSIFIER) for c in fields.get("classifier", ()) if c.startswith(_CLASSIFIER)]
    return licence.normalise(_CLASSIFIED.get(names[0], names[0])) if len(names) == 1 else None


def _links(fields: Mapping[str, list[str]]) -> Mapping[str, str]:
    """Return `Project-URL`s by normalised label (well-known labels, PEP 753)."""
    urls = {}
    for entry in fields.get("project-url", ()):
        label, _, url = entry.partition(",")
        if _URL.fullmatch(url.strip()):
            urls[re.sub(r"[\W_]", "", label).lower()] = url.strip()
    return urls


def _requirements(fields: Mapping[str, list[str]]) -> Iterator[str]:
    for entry in fields.get("requires-dist", ()):
        match = _NAME.match(entry)
        if match and not _EXTRA.search(entry[:_LONGEST_REQUIREMENT]):
            yield _normalised(match[0])


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _files(folder: str, files: Mapping[str, bytes]) -> Iterator[tuple[str, str | None]]:
    base = posixpath.dirname(folder)
    record = files.get(f"{folder}/RECORD", b"").decode("utf-8", "surrogateescape")
    for row in csv.reader(record.splitlines()):
        if row:
            yield _from_root(base, row[0]), _digest(row[1]) if len(row) > 1 else None
    for name in files.get(f"{folder}/installed-files.txt", b"").decode("utf-8", "surrogateescape").splitlines():
        yield _from_root(folder, name), None


def _from_root(base: str, name: str) -> str:
    """Return a path relative to the root, which it can't leave, as in a container."""
    return posixpath.normpath(posixpath.join("/", base, name)).lstrip("/")


def _digest(text: str) -> str | None:
    algorithm, _, encoded = text.partition("=")
    if algorithm != "sha256":
        return None
    try:
        return f"sha256:{base64.urlsafe_b64decode(encoded + '=' * (-len(encoded) % 4)).hex()}"
    except (Error, ValueError):
        return None
