"""Components from several places in one graph: what is the same becomes one, what is not stays apart.

Two components are the same if they have the same `ref` and role and no hash or version that differs. Then each fact
that only one of them has is taken, and of facts that differ none: which of the two is right is not known here, and the
SBOMs that are referred to have both. An edge that either has is an edge.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from ..inventory import Component

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NEVER_DIFFERENT = ("ref", "role", "kind", "name")
_FACTS = tuple(f.name for f in fields(Component) if f.name not in {*_NEVER_DIFFERENT, "hashes", "properties"})


@dataclass(slots=True)
class Graph:
    """Components by `ref`, and edges among them."""

    components: dict[str, Component] = field(default_factory=dict)
    edges: dict[str, set[str]] = field(default_factory=dict)

    def add(self, component: Component, *, origin: str) -> str:
        """Add a component, and return the `ref` that it has here.

        That is its own, unless another one already has it; then `origin`, what it came with, tells them apart.
        """
        there = self.components.get(component.ref)
        if there is not None and not _same(there, component):
            component = replace(component, ref=f"{component.ref}#{origin}")
            there = self.components.get(component.ref)
        self.components[component.ref] = merged(there, component) if there is not None else component
        self.edges.setdefault(component.ref, set())
        return component.ref

    def connect(self, ref: str, targets: Iterable[str]) -> None:
        """Add edges from one component to others, which are added before or after."""
        self.edges.setdefault(ref, set()).update(target for target in targets if target != ref)


def merged(one: Component, other: Component) -> Component:
    """Return what two places say of the same component."""
    facts: dict[str, Any] = {name: _agreed(getattr(one, name), getattr(other, name)) for name in _FACTS}
    facts["authors"] = facts["authors"] or ()
    facts["hashes"] = {**one.hashes, **other.hashes}
    facts["properties"] = _agreed_properties(one.properties, other.properties)
    return replace(one, **facts)


def _same(one: Component, other: Component) -> bool:
    versions = one.version is None or other.version is None or one.version == other.version
    hashes = all(other.hashes.get(name, value) == value for name, value in one.hashes.items())
    return one.role is other.role and versions and hashes


def _agreed(one: Any, other: Any) -> Any:
    if not one or not other:
        return one or other or None
    return one if one == other else None


def _agreed_properties(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in {**other, **one}.items()
        if other.get(name, value) == one.get(name, value) == value
    }
