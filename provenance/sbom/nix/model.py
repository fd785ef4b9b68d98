"""What nix says of store paths and derivations, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What the evaluation says of a package (nixpkgs, `meta`). Empty: not said.

    Attributes:
        name: `pname`, or what `builtins.parseDrvName` makes of the derivation's name.
        version: likewise.
        licences: SPDX ids where the expression has them, else names, of all that apply; as the expression has them.
    """

    name: str = ""
    version: str = ""
    licences: tuple[str, ...] = ()
    homepage: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathInfo:
    """One store path as the store knows it (`nix path-info --json`).

    Attributes:
        nar_hash: sha256 of its NAR serialisation, in hex.
        nar_size: bytes of that serialisation.
        references: store paths that it refers to, sorted; its own is among them where it refers to itself.
        deriver: the derivation that made it; empty: not known.
        content_address: as `fixed:sha256:…`, where its path follows from its bytes; else empty.
        signatures: `KEY-NAME:BASE64`, by binary caches and builders.
        is_ultimate: this store's own builds made it (nix trusts it without a signature).
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
        path: its store path; empty where only its content will tell (content-addressed derivations).
        hash_algorithm: of an output that is fixed by its hash: `sha256`, or `r:sha256` for that of its NAR; else empty.
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
        inputs: paths of derivations that it takes, to the names of the outputs that it takes of each.
        sources: store paths that it takes as they are.
        environment: of its builder.
    """

    path: str
    system: str
    outputs: Mapping[str, DerivationOutput]
    inputs: Mapping[str, tuple[str, ...]]
    sources: tuple[str, ...]
    environment: Mapping[str, str]
