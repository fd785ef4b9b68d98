"""The contents of a program as its linker embedded them: components and the edges between them."""

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
        main: the main package or module, with the name, version and package URL of the program.
        components: linked components, of role `linked`, by `ref`.
        uses: `ref`s of the direct dependencies of `main`.
        edges: direct dependencies of each component.
    """

    main: Component
    components: Mapping[str, Component]
    uses: frozenset[str]
    edges: Mapping[str, frozenset[str]]
