"""The Nix store as values: store paths and what their names mean, derivations, metadata of packages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import UnreadableError, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

_BASE = re.compile(r"(?P<hash>[0-9abcdfghijklmnpqrsvwxyz]{32})-(?P<name>[0-9A-Za-z+._?=-]{1,211})")
"""Nix manual, "Store Path": the digest in Nix's own base 32, and a name of at most 211 characters."""
_VERSION = re.compile(r"-(?![A-Za-z]|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreName:
    """The base name of a store path.

    Attributes:
        hash: its first 32 characters, which Nix searches files for to find their references.
        name: what follows the hash, as `hello-2.12.1-doc`.
    """

    hash: str
    name: str

    @classmethod
    def parse(cls, base: str) -> StoreName | None:
        """Parse the base name of a store path; `None`: it is not one."""
        match = _BASE.fullmatch(base)
        return cls(hash=match["hash"], name=match["name"]) if match else None

    @classmethod
    def of(cls, path: str) -> StoreName:
        """Parse a store path.

        Raises:
            UnreadableError: it is not a store path.
        """
        name = cls.parse(path.rpartition("/")[2])
        if name is None:
            raise UnreadableError(f"{quoted(path)} is no path of a Nix store")
        return name


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageName:
    """What the name of a store path means.

    Attributes:
        version: `None`: the name has none.
        output: of the derivation, as `out`; `None`: the derivation is unknown, and so are its outputs.
    """

    name: str
    version: str | None
    output: str | None


def parse_name(name: str) -> tuple[str, str | None]:
    """Split the name of a derivation into name and version (`builtins.parseDrvName`).

    The version begins after the first dash that no letter follows.

    >>> parse_name("nix-js-0.12pre12876")
    ('nix-js', '0.12pre12876')
    """
    match = _VERSION.search(name)
    return (name[: match.start()], name[match.end() :]) if match and match.start() else (name, None)


def package_name(path: str, deriver: str = "") -> PackageName:
    """Return what the name of a store path means, and which output of its derivation it is.

    Outputs other than `out` are named after the derivation and themselves (`hello-2.12.1-doc`), so only the derivation
    tells the version from the output. `deriver` is empty if unknown.

    Raises:
        UnreadableError: one of the two is not a store path.
    """
    full_name, output = StoreName.of(path).name, None
    if deriver:
        derivation_name = StoreName.of(deriver).name.removesuffix(".drv")
        if full_name == derivation_name:
            output = "out"
        elif full_name.startswith(f"{derivation_name}-"):
            full_name, output = derivation_name, full_name.removeprefix(f"{derivation_name}-")
    name, version = parse_name(full_name)
    return PackageName(name=name, version=version, output=output)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """Metadata of a package from its evaluation (nixpkgs, `meta`). Empty: missing.

    Attributes:
        name: `pname`, or that of the derivation's name by `builtins.parseDrvName`.
        version: likewise.
        licences: all that apply, as SPDX ids where the expression has them, else as names.
    """

    name: str = ""
    version: str = ""
    licences: tuple[str, ...] = ()
    homepage: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathInfo:
    """A store path in the store's database (`nix path-info --json`).

    Attributes:
        nar_hash: sha256 of its NAR serialisation, in hex.
        nar_size: of that serialisation, in bytes.
        references: store paths that it refers to, sorted; may include itself.
        deriver: the derivation that produced it; empty: unknown.
        content_address: as `fixed:sha256:…`, if its path is derived from its content; else empty.
        signatures: `KEY-NAME:BASE64`, by binary caches and builders.
        is_ultimate: built by this store itself (Nix trusts it without a signature).
    """

    path: str
    nar_hash: str
    nar_size: int
    references: tuple[str, ...] = ()
    deriver: str = ""
    content_address: str = ""
    signatures: tuple[str, ...] = ()
    is_ultimate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivationOutput:
    """One output of a derivation.

    Attributes:
        path: its store path; empty if unknown before the build (content-addressed derivations).
        hash_algorithm: of a fixed-output derivation: `sha256`, or `r:sha256` for the hash of the NAR; else empty.
        hash: in hex, of such an output; else empty.
    """

    path: str
    hash_algorithm: str = ""
    hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """One derivation (`nix show-derivation`).

    Attributes:
        path: of its `.drv` file in the store.
        outputs: by name, as `out`.
        inputs: paths of input derivations, to the names of the outputs that are used of each.
        sources: store paths that are inputs themselves.
        environment: of its builder.
    """

    path: str
    system: str
    outputs: Mapping[str, DerivationOutput]
    inputs: Mapping[str, tuple[str, ...]]
    sources: tuple[str, ...]
    environment: Mapping[str, str]
