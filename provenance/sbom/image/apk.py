"""Alpine's database of installed packages, `lib/apk/db/installed` (apk-tools, apk-package(5) and `src/database.c`)."""

from __future__ import annotations

import base64
import re
from binascii import Error
from typing import TYPE_CHECKING

from .. import licence
from ..inventory import Component, Kind, Role
from ..package import Package, Unread, is_name, line, maintainer, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..package import Distribution, PackageIterator

WANTED = re.compile(r"(?:usr/)?lib/apk/db/installed")
_VERSION_OF = re.compile(r"[<>=~@].*", re.DOTALL)
_PREFIX = "apk:"
_DIGESTS = {"Q1": "sha1", "Q2": "sha256"}


def read(files: Mapping[str, bytes], distribution: Distribution | None) -> PackageIterator:
    """Yield the packages in each database."""
    for path, data in sorted(files.items()):
        for block in data.decode("utf-8", "surrogateescape").split("\n\n"):
            if block.strip("\n"):
                yield _package(path, block.strip("\n").split("\n"), distribution)


def _package(path: str, rows: list[str], distribution: Distribution | None) -> Package | Unread:
    fields: dict[str, str] = {}
    files: dict[str, str | None] = {}
    folder = file = ""
    for row in rows:
        key, colon, value = row.partition(":")
        if not colon or len(key) != 1:
            return Unread(path=path, reason="a line of it is none of an apk database")
        match key:
            case "F":
                folder = value
            case "R":
                file = f"{folder}/{value}" if folder else value
                files[file] = None
            case "Z" if file in files:
                files[file] = _digest(value)
            case _:
                fields[key] = shown(value)
    if not is_name(fields.get("P")) or not fields.get("V"):
        return Unread(path=path, reason="an entry has no name or no version")
    return Package(
        component=_component(fields, distribution),
        system=True,
        database=path,
        files=files,
        provides=frozenset({_PREFIX + fields["P"], *(_PREFIX + name for name in _names(fields.get("p", "")))}),
        requires=tuple((_PREFIX + name,) for name in _names(fields.get("D", ""))),
    )


def _component(fields: Mapping[str, str], distribution: Distribution | None) -> Component:
    from packageurl import PackageURL

    name, version, origin = fields["P"], fields["V"], fields.get("o")
    qualifiers = {"arch": fields.get("A", ""), "distro": distribution.qualifier if distribution else ""}
    if origin and origin != name:
        qualifiers["upstream"] = origin
    purl = PackageURL("apk", distribution.id if distribution else None, name, version, qualifiers).to_string()
    properties = {"apk:origin": origin, "apk:commit": fields.get("c"), "apk:checksum": fields.get("C")}
    return Component(
        ref=purl,
        kind=Kind.LIBRARY,
        role=Role.CONTAINED,
        name=name,
        version=version,
        purl=purl,
        licence=licence.normalise(fields["L"]) if fields.get("L") else None,
        supplier=distribution.supplier if distribution else maintainer(fields.get("m")),
        description=line(fields.get("T")),
        homepage=fields.get("U") or None,
        properties={key: value for key, value in properties.items() if value},
    )


def _names(text: str) -> list[str]:
    """Return the names in a list of dependencies or provided names, without versions and conflicts (`!`)."""
    return [_VERSION_OF.sub("", word) for word in text.split() if not word.startswith("!")]


def _digest(text: str) -> str | None:
    try:
        return f"{_DIGESTS[text[:2]]}:{base64.b64decode(text[2:], validate=True).hex()}"
    except (KeyError, Error):
        return None
