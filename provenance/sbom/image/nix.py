"""Nix store paths in an image, as `dockerTools` copies them: packages that no database lists.

Name and version come from the path. References are found as Nix finds them: the hash of another store path occurs in
the contents of a file or in the target of a link (Nix manual, "Store Object", References).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ..inventory import Component, Kind, Role
from ..nix.closure import package_url
from ..nix.store import StoreName, package_name
from ..package import Package

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

STORE = "nix/store/"
PREFIX = "nix:"
_REFERENCE = re.compile(rb"nix/store/([0-9abcdfghijklmnpqrsvwxyz]{32})-")
_LONGEST = len(STORE) + 33


class References:
    """Finds the store paths that a file references, while its content is read in pieces."""

    def __init__(self) -> None:
        self._tail = b""
        self._hashes: set[bytes] = set()

    def add(self, piece: bytes | memoryview) -> None:
        """Search the next piece of the file."""
        window = self._tail + bytes(piece)
        self._hashes.update(_REFERENCE.findall(window))
        self._tail = window[-_LONGEST:]

    def hashes(self) -> frozenset[str]:
        """Return the hashes of the referenced store paths."""
        return frozenset(hash_.decode() for hash_ in self._hashes)


def store_paths(files: Mapping[str, frozenset[str]], links: Iterable[tuple[str, str]]) -> Iterator[Package]:
    """Yield the store paths of an image.

    Args:
        files: paths of its regular files, to the hashes of store paths that they reference.
        links: paths and targets of its symbolic links.
    """
    names: dict[str, set[str]] = {}
    own: set[str] = set()
    for path, hashes in files.items():
        if base := base_of(path):
            names.setdefault(base, set()).update(hashes)
            own.update({base} if path == STORE + base else ())
    for path, target in links:
        if base := base_of(path):
            names.setdefault(base, set()).update(match.decode() for match in _REFERENCE.findall(os.fsencode(target)))
    for base in sorted(names):
        store_name = StoreName.parse(base)
        if store_name is not None:
            yield _package(base, store_name.hash, names[base], is_file=base in own)


def base_of(path: str) -> str | None:
    """Return the base name of the store path that contains a path of an image; `None` if it is outside the store."""
    return path.removeprefix(STORE).partition("/")[0] if path.startswith(STORE) else None


def _package(base: str, hash_: str, uses: set[str], *, is_file: bool) -> Package:
    path = STORE + base
    named = package_name(f"/{path}")
    purl = package_url(named, hash_)
    return Package(
        component=Component(
            ref=purl,
            kind=Kind.LIBRARY,
            role=Role.CONTAINED,
            name=named.name,
            version=named.version,
            purl=purl,
            properties={"nix:store-path": f"/{path}"},
        ),
        system=True,
        database=path,
        files={path: None} if is_file else {},
        folder=None if is_file else path,
        provides=frozenset({PREFIX + hash_}),
        requires=tuple((PREFIX + used,) for used in sorted(uses - {hash_})),
    )
