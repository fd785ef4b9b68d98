"""Names in the Nix store: the parts of a store path, and the name and version that a derivation's name means."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...errors import UnreadableError, quoted

_BASE = re.compile(r"(?P<hash>[0-9abcdfghijklmnpqrsvwxyz]{32})-(?P<name>[0-9A-Za-z+._?=-]{1,211})")
"""Nix manual, "Store Path": the digest in Nix's own base 32, and a name of at most 211 characters."""
_VERSION = re.compile(r"-(?![A-Za-z]|\Z)")
_DERIVATION = ".drv"
_OUT = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreName:
    """The last part of a store path.

    Attributes:
        hash: its first 32 characters: what Nix looks for in files to find their references.
        name: what stands behind it, as `hello-2.12.1-doc`.
    """

    hash: str
    name: str

    @classmethod
    def parse(cls, base: str) -> StoreName | None:
        """Read the last part of a store path; `None`: it is none."""
        match = _BASE.fullmatch(base)
        return cls(hash=match["hash"], name=match["name"]) if match else None

    @classmethod
    def of(cls, path: str) -> StoreName:
        """Read a store path.

        Raises:
            UnreadableError: it is none.
        """
        found = cls.parse(path.rpartition("/")[2])
        if found is None:
            raise UnreadableError(f"{quoted(path)} is no path of a Nix store")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageName:
    """What the name of a store path means.

    Attributes:
        version: `None`: the name has none.
        output: of the derivation, as `out`; `None`: the derivation is not known, and so its outputs aren't.
    """

    name: str
    version: str | None
    output: str | None


def parse_name(name: str) -> tuple[str, str | None]:
    """Return the name and the version that the name of a derivation means (`builtins.parseDrvName`).

    The version begins after the first dash that no letter follows.

    >>> parse_name("nix-js-0.12pre12876")
    ('nix-js', '0.12pre12876')
    """
    match = _VERSION.search(name)
    return (name[: match.start()], name[match.end() :]) if match and match.start() else (name, None)


def package_name(path: str, deriver: str = "") -> PackageName:
    """Return what a store path's name means, and which output of its derivation it is.

    Outputs other than `out` are named after the derivation and themselves (`hello-2.12.1-doc`), so it takes both to
    tell the version from the output. `deriver` is empty where it is not known.

    Raises:
        UnreadableError: one of the two is no store path.
    """
    whole, output = StoreName.of(path).name, None
    if deriver:
        made = StoreName.of(deriver).name.removesuffix(_DERIVATION)
        if whole == made:
            output = _OUT
        elif whole.startswith(f"{made}-"):
            whole, output = made, whole.removeprefix(f"{made}-")
    name, version = parse_name(whole)
    return PackageName(name=name, version=version, output=output)
