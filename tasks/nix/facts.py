"""What is known of one output of a derivation once it is in the store: all that its evidence is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from ...provenance.sbom.nix.store import Derivation, DerivationOutput, Meta, PathInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("Derivation", "DerivationOutput", "Meta", "NixFacts", "Origin", "PathInfo")


class Origin(StrEnum):
    """How an output came into the store that it was taken from."""

    BUILT = "built"
    """This run's call of nix built it, here or on a remote builder."""
    SUBSTITUTED = "substituted"
    """This run's call of nix copied it from a binary cache: who built it, only the cache's signatures vouch for."""
    PRESENT = "present"
    """It lay in the store already: this run knows nothing of its build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NixFacts:
    """What is known of one output.

    Attributes:
        output: its store path.
        derivation: path of its `.drv` file.
        system: that it is for, as `x86_64-linux`.
        origin: how it came into the store.
        substituter: where it was copied from; empty unless that is its origin.
        builder: the remote builder that built it; empty: this machine, or none.
        closure: its runtime closure, itself included, by store path.
        derivations: its own and all that it was built from, by path.
        build_closure: what its build used, of what is still in the store, by store path; `None`: not asked for.
        meta: what the evaluation says of packages, by the store paths of their outputs.
    """

    output: str
    derivation: str
    system: str
    origin: Origin
    closure: Mapping[str, PathInfo]
    derivations: Mapping[str, Derivation]
    substituter: str = ""
    builder: str = ""
    build_closure: Mapping[str, PathInfo] | None = None
    meta: Mapping[str, Meta] = field(default_factory=dict)
