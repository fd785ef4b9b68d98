"""A graph of components from several sources: equal components are merged, different ones kept apart.

Two components are equal if they have the same `ref` and role and no conflicting hash or version. A fact that only one
of them has is kept; a fact on which they differ is dropped, since the SBOMs that are referred to have both. An edge of
either is an edge of the merged component.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from .inventory import Component

if TYPE_CHECKING:
    from collections.abc import Iterable

_IDENTITY = ("ref", "role", "kind", "name")
_FACTS = tuple(f.name for f in fields(Component) if f.name not in {*_IDENTITY, "hashes", "properties"})


@dataclass(slots=True)
class Graph:
    """Components by `ref`, and the edges between them."""

    components: dict[str, Component] = field(default_factory=dict)
    edges: dict[str, set[str]] = field(default_factory=dict)

    def add(self, component: Component, *, origin: str) -> str:
        """Add a component, and return its `ref` in this graph.

        That is its own, unless a different component has it already; then `origin`, where it came from, is appended.
        """
        present = self.components.get(component.ref)
        if present is not None and not _same(present, component):
            component = replace(component, ref=f"{component.ref}#{origin}")
            present = self.components.get(component.ref)
        self.components[component.ref] = merged(present, component) if present is not None else component
        self.edges.setdefault(component.ref, set())
        return component.ref

    def connect(self, ref: str, targets: Iterable[str]) -> None:
        """Add edges from one component to others, which may be added later."""
        self.edges.setdefault(ref, set()).update(target for target in targets if target != ref)


def merged(left: Component, right: Component) -> Component:
    """Return one component with the facts on which two descriptions of it do not differ."""
    facts: dict[str, Any] = {name: _agreed(getattr(left, name), getattr(right, name)) for name in _FACTS}
    facts["authors"] = facts["authors"] or ()
    facts["hashes"] = {**left.hashes, **right.hashes}
    facts["properties"] = {
        name: value
        for name, value in {**right.properties, **left.properties}.items()
        if right.properties.get(name, value) == left.properties.get(name, value) == value
    }
    return replace(left, **facts)


def _same(left: Component, right: Component) -> bool:
    versions = left.version is None or right.version is None or left.version == right.version
    hashes = all(right.hashes.get(name, value) == value for name, value in left.hashes.items())
    return left.role is right.role and versions and hashes


def _agreed(left: Any, right: Any) -> Any:
    if not left or not right:
        return left or right or None
    return left if left == right else None
