"""Debian's database of installed packages, `var/lib/dpkg` (dpkg(1), deb-control(5)); distroless' `status.d` too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .. import licence
from ..inventory import Component, Kind, Role
from ..package import Package, Unread, first, is_name, line, maintainer, paragraphs, shown
from . import debian_licence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..package import Distribution, PackageIterator

_BASE = "var/lib/dpkg/"
WANTED = re.compile(
    rf"{_BASE}(?:status|status\.d/[^/]+|info/[^/]+\.(?:list|md5sums)|diversions)|usr/share/doc/[^/]+/copyright"
)
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")
"""What a package brings for dpkg to run (deb-preinst(5) and so on), which is in none of its lists."""
_PREFIX = "deb:"
_RELATION = re.compile(r"\s*([a-z0-9][a-z0-9.+-]*)")
_MD5 = re.compile(r"([0-9a-f]{32}) [ *](\S.*)")
_SOURCE = re.compile(r"(\S+)(?:\s+\((\S+)\))?")


def read(files: Mapping[str, bytes], distribution: Distribution | None) -> PackageIterator:
    """Yield the packages that are installed, by dpkg's own status or by a file of its own for each."""
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
    name, version, architecture = first(fields, "package"), first(fields, "version"), first(fields, "architecture")
    if name is None or version is None or not is_name(name):
        return Unread(path=path, reason="an entry has no name or no version")
    owned = {
        diverted[file][0] if file in diverted and diverted[file][1] != name else file: digest
        for file, digest in _files(name, architecture, path, files).items()
    }
    copyright_ = _text(files, f"usr/share/doc/{name}/copyright")
    provided = [names[0] for names in _relations(first(fields, "provides"))]
    wanted = [*_relations(first(fields, "pre-depends")), *_relations(first(fields, "depends"))]
    return Package(
        component=_component(fields, name, version, distribution, debian_licence.declared(shown(copyright_))),
        system=True,
        database=path,
        files=owned,
        provides=frozenset({_PREFIX + name, *provided}),
        requires=tuple(wanted),
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
    """Return a package's files: all by its list, where it has one, and md5 sums of those that are no settings."""
    stems = [f"{_BASE}info/{name}", f"{_BASE}info/{name}:{architecture}", path]
    found: dict[str, str | None] = {f"{stem}.{script}": None for stem in stems[:2] for script in _SCRIPTS}
    for stem in stems:
        for row in _text(files, f"{stem}.list").splitlines():
            found[row.strip("/")] = None
        for row in _text(files, f"{stem}.md5sums").splitlines():
            if match := _MD5.fullmatch(row):
                found[match[2].removeprefix("./").strip("/")] = f"md5:{match[1]}"
    return found


def _relations(text: str | None) -> Iterator[tuple[str, ...]]:
    """Yield what a field such as `Depends` asks for (deb-control(5)): of each, its alternatives, without versions."""
    for relation in (text or "").split(","):
        names = [match[1] for choice in relation.split("|") if (match := _RELATION.match(choice))]
        if names:
            yield tuple(_PREFIX + name for name in names)


def _diversions(text: str) -> Mapping[str, tuple[str, str]]:
    """Return where files of other packages lie instead, and for whose sake (dpkg-divert(1)): three lines for each."""
    rows = text.splitlines()
    return {
        file.strip("/"): (to.strip("/"), package)
        for file, to, package in zip(rows[::3], rows[1::3], rows[2::3], strict=False)
    }


def _text(files: Mapping[str, bytes], path: str) -> str:
    return files.get(path, b"").decode("utf-8", "surrogateescape")
