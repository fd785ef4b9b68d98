"""os-release(5): the distribution that an image is made of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..inventory import Component, Kind, Role
from ..package import Distribution
from ..party import Party

if TYPE_CHECKING:
    from collections.abc import Mapping

PATHS = ("etc/os-release", "usr/lib/os-release")
"""In this order; the first that there is counts."""
WANTED = re.compile("|".join(map(re.escape, PATHS)))
_ASSIGNMENT = re.compile(r"""([A-Z][A-Z0-9_]*)=(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S*))\s*""")
_ESCAPED = re.compile(r"\\(.)")
_ID = re.compile(r"[a-z0-9._-]+\Z")


def read(data: bytes) -> Distribution | None:
    """Return the distribution that this file names; `None`: it names none."""
    names = _assignments(data.decode("utf-8", "replace"))
    id_ = names.get("ID", "")
    if not _ID.match(id_):
        return None
    version = names.get("VERSION_ID") or None
    homepage = names.get("HOME_URL") or None
    supplier = Party(name=names.get("NAME") or id_, url=homepage)
    component = Component(
        ref=f"os:{id_}@{version}" if version else f"os:{id_}",
        kind=Kind.OPERATING_SYSTEM,
        role=Role.CONTAINED,
        name=id_,
        version=version,
        supplier=supplier,
        authors=(supplier,),
        description=names.get("PRETTY_NAME") or None,
        homepage=homepage,
    )
    return Distribution(component=component, id=id_, version=version, supplier=supplier)


def _assignments(text: str) -> Mapping[str, str]:
    found = {}
    for row in text.splitlines():
        if match := _ASSIGNMENT.fullmatch(row.strip()):
            name, double, single, bare = match.groups()
            found[name] = _ESCAPED.sub(r"\1", double) if double is not None else (single if bare is None else bare)
    return found
