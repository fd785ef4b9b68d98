"""Paths of a Nix store in an image, as `dockerTools` lays them there: packages that no database lists.

Each is known by its name, and what it refers to is told as Nix tells it: the hash of another store path stands in its
bytes, or in where its links lead (Nix manual, "Store Object", References).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ..inventory import Component, Kind, Role
from ..nix.closure import package_url
from ..nix.name import StoreName, package_name
from ..package import Package

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

STORE = "nix/store/"
PREFIX = "nix:"
_REFERENCE = re.compile(rb"nix/store/([0-9abcdfghijklmnpqrsvwxyz]{32})-")
_LONGEST = len(STORE) + 33


class References:
    """Finds the store paths that a file names, given its bytes piece by piece."""

    def __init__(self) -> None:
        self._end = b""
        self._found: set[bytes] = set()

    def add(self, piece: bytes | memoryview) -> None:
        """Look into the next piece of the file."""
        window = self._end + bytes(piece)
        self._found.update(_REFERENCE.findall(window))
        self._end = window[-_LONGEST:]

    def hashes(self) -> frozenset[str]:
        """Return the hashes of the store paths that were found."""
        return frozenset(found.decode() for found in self._found)


def store_paths(files: Mapping[str, frozenset[str]], links: Iterable[tuple[str, str]]) -> Iterator[Package]:
    """Yield the store paths of an image.

    Args:
        files: its regular files, to the hashes of store paths that stand in them.
        links: its symbolic links, and where each leads.
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
    """Return the name of the store path that a file of an image is, or lies in; `None`: in none."""
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
