"""Debian's database of installed packages, `var/lib/dpkg` (dpkg(1), deb-control(5)); distroless' `status.d` too.

Licences come from the packages' machine-readable copyright files (copyright-format 1.0).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .. import licence
from ..inventory import Component, Kind, Role
from ..package import Package, Unread, first, is_name, line, maintainer, paragraphs, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..package import Distribution, PackageIterator

_BASE = "var/lib/dpkg/"
WANTED = re.compile(
    rf"{_BASE}(?:status|status\.d/[^/]+|info/[^/]+\.(?:list|md5sums)|diversions)|usr/share/doc/[^/]+/copyright"
)
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")
"""Maintainer scripts of a package (deb-preinst(5) and so on), which its list of files does not contain."""
_PREFIX = "deb:"
_RELATION = re.compile(r"\s*([a-z0-9][a-z0-9.+-]*)")
_MD5 = re.compile(r"([0-9a-f]{32}) [ *](\S.*)")
_SOURCE = re.compile(r"(\S+)(?:\s+\((\S+)\))?")

_FORMAT = re.compile(r"Format(?:-Specification)?:\s*https?://\S*copyright-format", re.IGNORECASE)
_LICENCES = {
    "expat": "MIT",
    "gpl-1": "GPL-1.0-only",
    "gpl-2": "GPL-2.0-only",
    "gpl-3": "GPL-3.0-only",
    "lgpl-2": "LGPL-2.0-only",
    "lgpl-3": "LGPL-3.0-only",
    "agpl-3": "AGPL-3.0-only",
    "apache-2": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "cc0": "CC0-1.0",
    "zlib/libpng": "Zlib",
}
"""Short names of the copyright format (section 7.1) whose SPDX identifier differs."""
_MOST_LICENCES, _LARGEST_COPYRIGHT, _LONGEST_LICENCE = 32, 1 << 20, 500
"""Licences of one package, characters of its copyright file and of one licence's name that are read."""
_OPERATOR = re.compile(r",?\s+(and|or)\s+|\s*/\s*", re.IGNORECASE)


def read(files: Mapping[str, bytes], distribution: Distribution | None) -> PackageIterator:
    """Yield the installed packages, from dpkg's status file and from distroless' files for each package."""
    diverted = _diversions(_text(files, f"{_BASE}diversions"))
    for path in sorted(files):
        status = path == f"{_BASE}status"
        if status or (path.startswith(f"{_BASE}status.d/") and not path.endswith(".md5sums")):
            for fields in paragraphs(shown(_text(files, path))):
                if status and first(fields, "status") is None:
                    yield Unread(path=path, reason="an entry does not say whether it is installed")
                elif not status or (first(fields, "status") or "").endswith(" installed"):
                    yield _package(path, fields, files, diverted, distribution)


def _package(
    path: str,
    fields: Mapping[str, list[str]],
    files: Mapping[str, bytes],
    diverted: Mapping[str, tuple[str, str]],
    distribution: Distribution | None,
) -> Package | Unread:
    name, version, architecture = (first(fields, key) for key in ("package", "version", "architecture"))
    if name is None or version is None or not is_name(name):
        return Unread(path=path, reason="an entry has no name or no version")
    owned = {
        diverted[file][0] if file in diverted and diverted[file][1] != name else file: digest
        for file, digest in _files(name, architecture, path, files).items()
    }
    declared = declared_licence(shown(_text(files, f"usr/share/doc/{name}/copyright")))
    provided = [names[0] for names in _relations(first(fields, "provides"))]
    return Package(
        component=_component(fields, name, version, distribution, declared),
        system=True,
        database=path,
        files=owned,
        provides=frozenset({_PREFIX + name, *provided}),
        requires=(*_relations(first(fields, "pre-depends")), *_relations(first(fields, "depends"))),
    )


def _component(
    fields: Mapping[str, list[str]], name: str, version: str, distribution: Distribution | None, declared: str | None
) -> Component:
    from packageurl import PackageURL

    qualifiers = {
        "arch": first(fields, "architecture") or "",
        "distro": distribution.qualifier if distribution else "",
    }
    source = _SOURCE.match(first(fields, "source") or "")
    if source:
        qualifiers["upstream"] = f"{source[1]}@{source[2]}" if source[2] else source[1]
    purl = PackageURL("deb", distribution.id if distribution else None, name, version, qualifiers).to_string()
    return Component(
        ref=purl,
        kind=Kind.LIBRARY,
        role=Role.CONTAINED,
        name=name,
        version=version,
        purl=purl,
        licence=licence.normalise(declared) if declared else None,
        supplier=distribution.supplier if distribution else maintainer(first(fields, "maintainer")),
        description=line((first(fields, "description") or "").partition("\n")[0]),
        homepage=first(fields, "homepage"),
        properties={"deb:source": " ".join(filter(None, source.groups()))} if source else {},
    )


def _files(name: str, architecture: str | None, path: str, files: Mapping[str, bytes]) -> dict[str, str | None]:
    """Return a package's files, from its `.list` if it has one, with the digests from `.md5sums` (no conffiles)."""
    stems = [f"{_BASE}info/{name}", f"{_BASE}info/{name}:{architecture}", path]
    owned: dict[str, str | None] = {f"{stem}.{script}": None for stem in stems[:2] for script in _SCRIPTS}
    for stem in stems:
        for row in _text(files, f"{stem}.list").splitlines():
            owned[row.strip("/")] = None
        for row in _text(files, f"{stem}.md5sums").splitlines():
            if match := _MD5.fullmatch(row):
                owned[match[2].removeprefix("./").strip("/")] = f"md5:{match[1]}"
    return owned


def _relations(text: str | None) -> Iterator[tuple[str, ...]]:
    """Yield the relations of a field such as `Depends` (deb-control(5)): alternatives, without versions."""
    for relation in (text or "").split(","):
        names = [match[1] for choice in relation.split("|") if (match := _RELATION.match(choice))]
        if names:
            yield tuple(_PREFIX + name for name in names)


def _diversions(text: str) -> Mapping[str, tuple[str, str]]:
    """Return diverted paths to where they are diverted, and by which package (dpkg-divert(1)): three lines for each."""
    rows = text.splitlines()
    return {
        file.strip("/"): (to.strip("/"), package)
        for file, to, package in zip(rows[::3], rows[1::3], rows[2::3], strict=False)
    }


def _text(files: Mapping[str, bytes], path: str) -> str:
    return files.get(path, b"").decode("utf-8", "surrogateescape")


def declared_licence(copyright_file: str) -> str | None:
    """Return the licences in a copyright file, joined by AND; `None` if it is not machine-readable or too large.

    A package is a collection: whoever redistributes it is bound by the licence of each of its files.
    """
    if len(copyright_file) > _LARGEST_COPYRIGHT or not _FORMAT.match(copyright_file.lstrip()):
        return None
    expressions = set()
    for paragraph in paragraphs(copyright_file):
        text = (first(paragraph, "license") or "").partition("\n")[0].strip()
        if len(text) > _LONGEST_LICENCE:
            return None
        if "files" in paragraph and text:
            expressions.add(_expression(text))
    if not expressions or len(expressions) > _MOST_LICENCES:
        return None
    return " AND ".join(f"({text})" if " " in text and len(expressions) > 1 else text for text in sorted(expressions))


def _expression(text: str) -> str:
    parts = _OPERATOR.split(text.removesuffix(","))
    names = [_licence_name(part.strip()) for part in parts[::2]]
    operators = [f" {(operator or 'or').upper()} " for operator in parts[1::2]]
    return "".join(name + operator for name, operator in zip(names, [*operators, ""], strict=True))


def _licence_name(text: str) -> str:
    """Return the SPDX identifier of one licence, as `GPL-2.0-or-later` for `GPL-2+`; unknown names become one word."""
    base, plus = text.removesuffix("+"), text.endswith("+")
    known = _LICENCES.get(base.lower())
    if known is None:
        return "-".join(text.split())
    return known.replace("-only", "-or-later") if plus and known.endswith("-only") else known
