from __future__ import annotations

from dataclasses import replace

from doit_provenance.provenance.sbom.graph import Graph, merged
from doit_provenance.provenance.sbom.inventory import Component, Kind, Role
from doit_provenance.provenance.sbom.party import Party

LEAF = Component(ref="pkg:cargo/leaf@1", kind=Kind.LIBRARY, role=Role.LINKED, name="leaf", version="1")


def test_facts_that_one_has_are_taken_and_those_that_differ_are_not() -> None:
    one = replace(LEAF, licence="MIT", homepage="https://a.example", properties={"x": "1", "y": "1"})
    other = replace(
        LEAF,
        licence="Zlib",
        description="tea",
        authors=(Party(name="Ada"),),
        hashes={"sha256": "0" * 64},
        properties={"x": "2", "z": "3"},
    )
    assert merged(one, other) == replace(
        LEAF,
        homepage="https://a.example",
        description="tea",
        authors=(Party(name="Ada"),),
        hashes={"sha256": "0" * 64},
        properties={"y": "1", "z": "3"},
    )
    assert merged(one, other) == replace(merged(other, one))


def test_the_same_becomes_one_with_all_edges() -> None:
    graph = Graph()
    assert graph.add(LEAF, origin="a") == graph.add(replace(LEAF, description="x"), origin="b") == LEAF.ref
    graph.connect(LEAF.ref, ["p", LEAF.ref])
    graph.connect(LEAF.ref, ["q"])
    assert graph.edges == {LEAF.ref: {"p", "q"}}
    assert graph.components[LEAF.ref].description == "x"


def test_what_is_not_the_same_stays_apart() -> None:
    """Other bytes, another version or another role: another thing, though it has the same name."""
    graph = Graph()
    first = replace(LEAF, hashes={"sha256": "0" * 64})
    graph.add(first, origin="a")
    for number, other in enumerate(
        (replace(LEAF, hashes={"sha256": "1" * 64}), replace(LEAF, version="2"), replace(LEAF, role=Role.CONTAINED))
    ):
        ref = graph.add(other, origin=str(number))
        assert ref == f"{LEAF.ref}#{number}"
        assert graph.components[ref] == replace(other, ref=ref)
    assert graph.components[LEAF.ref] == first
