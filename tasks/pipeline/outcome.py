"""The end of one artifact's way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...provenance.digest import Digest
    from ...provenance.sbom.inventory import Inventory
    from ..artifacts import Artifact


class Done(StrEnum):
    """What became of an artifact's folder."""

    BUILT = "built"
    """New bytes, all evidence new."""
    REBUILT = "rebuilt"
    """Built to the bytes that were there; their provenance stays."""
    TAKEN = "taken"
    """Not built by this run, which took it from where it was built before, and claims no build; all evidence new."""
    ATTESTED = "attested"
    """Not built; what of the evidence did not hold was made again."""
    FRESH = "fresh"
    """Nothing was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of one artifact's way, for people and for what is built of it.

    Attributes:
        made: names of the files of evidence that are new.
        inventory: `None` where nobody had to read it.
        seconds: that the artifact's own task took.
        since: when the bytes that were kept had been built, as RFC 3339; empty: they are new, or nobody asked.
    """

    artifact: Artifact
    done: Done
    digest: Digest
    made: tuple[str, ...] = ()
    inventory: Inventory | None = None
    seconds: float = 0.0
    since: str = ""
