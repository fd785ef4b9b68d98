"""What a program was linked from, as its linker wrote it down: components and the edges among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..inventory import Component


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """The contents of one program.

    Attributes:
        main: what it was made from: its name, version and package URL are the program's.
        components: what was linked into it, of role `linked`, by `ref`.
        uses: `ref`s that `main` uses itself.
        edges: likewise of each component.
    """

    main: Component
    components: Mapping[str, Component]
    uses: frozenset[str]
    edges: Mapping[str, frozenset[str]]
