"""From the unit graph and what rustc loaded to the packages of one binary and how they depend on one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...provenance.sbom.inventory import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .observe import Loaded
    from .units import Unit, UnitGraph

_PROC_MACRO = "proc-macro"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Node:
    """A package in one role; the same package may be linked and, built for the host, also be a build tool."""

    package: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The packages of one binary.

    Attributes:
        features: each node to the features that it was compiled with.
        edges: each node to those that it uses; the binary itself is the node of role `subject`.
    """

    features: Mapping[Node, tuple[str, ...]]
    edges: Mapping[Node, frozenset[Node]]
    subject: Node


def read_contents(graph: UnitGraph, root: int, loaded: Loaded | None) -> Contents:
    """Walk the graph from the binary at `root`.

    Of the libraries that a unit declares, only those that rustc loaded are followed; `loaded` is `None` where that
    could not be observed, and then all are. Proc-macros, build scripts and what they use become nodes of role `build`.
    """
    walk = _Walk(graph, loaded)
    subject = Node(package=graph.units[root].key.package, role=Role.SUBJECT)
    walk.visit(root, subject)
    return Contents(
        features=walk.features, edges={node: frozenset(used) for node, used in walk.edges.items()}, subject=subject
    )


class _Walk:
    def __init__(self, graph: UnitGraph, loaded: Loaded | None) -> None:
        self.graph = graph
        self.loaded = loaded
        self.features: dict[Node, tuple[str, ...]] = {}
        self.edges: dict[Node, set[Node]] = {}
        self._seen: set[tuple[int, Node]] = set()

    def visit(self, start: int, subject: Node) -> None:
        """Follow every unit once in each role; without recursion, as graphs can be deep."""
        pending = [(start, subject)]
        self.edges[subject] = set()
        while pending:
            index, node = pending.pop()
            if (index, node) in self._seen:
                continue
            self._seen.add((index, node))
            unit = self.graph.units[index]
            for _, used_index in unit.uses:
                used = self.graph.units[used_index]
                target = self._target(unit, node, used)
                if target is None:
                    continue
                if target != node:
                    self.edges[node].add(target)
                    self.edges.setdefault(target, set())
                    self._note_features(target, used)
                pending.append((used_index, target))

    def _target(self, unit: Unit, node: Node, used: Unit) -> Node | None:
        """Return the node that an edge leads to, or `None` for one that does not end in this binary."""
        if used.is_script:
            # Its own build script is a part of the package; another package's has its own edges.
            return node if used.key.package == unit.key.package else None
        if unit.is_script or node.role is Role.BUILD or used.key.kind == _PROC_MACRO:
            return Node(package=used.key.package, role=Role.BUILD)
        if self.loaded is not None and used.key not in self.loaded.units:
            return None
        shared = self.loaded is not None and used.key in self.loaded.shared
        return Node(package=used.key.package, role=Role.DYNAMIC if shared else Role.LINKED)

    def _note_features(self, node: Node, unit: Unit) -> None:
        known = set(self.features.get(node, ()))
        self.features[node] = tuple(sorted(known | set(unit.key.features)))
