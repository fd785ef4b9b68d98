"""Closures as components and relationships."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.provenance.sbom.graph import Graph
from doit_provenance.provenance.sbom.inventory import Kind, Role
from doit_provenance.provenance.sbom.nix.closure import add_closure, expression
from doit_provenance.provenance.sbom.nix.store import Meta

if TYPE_CHECKING:
    from collections.abc import Mapping


def added(store: Any, path: str, role: Role = Role.DYNAMIC) -> tuple[Graph, Mapping[str, str]]:
    graph = Graph()
    return graph, add_closure(graph, store.closure(path), store.packages, role)


def test_each_store_path_is_a_component(store: Any) -> None:
    """With the references among them as edges; that a path refers to itself is none."""
    library = store.add("leaf-0.3")
    tea = store.add("tea-1.4", uses=(library,))
    store.infos[tea] = replace(store.infos[tea], references=(library, tea))
    graph, refs = added(store, tea)
    assert refs.keys() == {tea, library}
    assert graph.edges == {refs[tea]: {refs[library]}, refs[library]: set()}
    part = graph.components[refs[tea]]
    assert (part.name, part.version, part.kind, part.role) == ("tea", "1.4", Kind.LIBRARY, Role.DYNAMIC)
    assert part.hashes == {"sha256": store.infos[tea].nar_hash}
    assert part.properties == {"nix:store-path": tea, "nix:nar-size": "120"}
    assert part.purl == part.ref == f"pkg:nix/tea@1.4?outputhash={tea.rpartition('/')[2][:32]}"


def test_outputs_of_one_derivation_are_told_apart(store: Any) -> None:
    out, doc = store.add("tea-1.4"), store.add("tea-1.4-doc")
    store.derive(out)
    store.derive(doc, output="doc")
    graph = Graph()
    refs = add_closure(graph, {**store.closure(out), **store.closure(doc)}, store.packages, Role.DYNAMIC)
    assert {(graph.components[refs[path]].name, graph.components[refs[path]].version) for path in refs} == {
        ("tea", "1.4")
    }
    assert "?output=doc&" in refs[doc]
    assert "?output=out&" in refs[out]


def test_two_builds_of_one_version_stay_two(store: Any) -> None:
    """As the C library of a compiler's first stage and its last."""
    one = store.add("leaf-0.3")
    other = store.add("other").replace("-other", "-leaf-0.3")
    store.infos[other] = replace(store.infos[one], path=other)
    tea = store.add("tea-1.4", uses=(one, other))
    graph, _ = added(store, tea)
    assert [part.name for part in graph.components.values()].count("leaf") == 2


def test_names_are_those_of_the_derivation(store: Any) -> None:
    """`pname` and `version` of its environment, which know more than a name."""
    path = store.add("tea-0-unstable-2024-05-17")
    store.derive(path, pname="tea", version="0-unstable-2024-05-17")
    graph, refs = added(store, path)
    part = graph.components[refs[path]]
    assert (part.name, part.version) == ("tea", "0-unstable-2024-05-17")


def test_facts_of_the_evaluation(store: Any) -> None:
    path = store.add("tea-1.4")
    store.meta[path] = Meta(
        name="green", version="2", licences=("mit", "Apache-2.0"), homepage="https://tea.example", description=" a\n b"
    )
    graph, refs = added(store, path)
    part = graph.components[refs[path]]
    assert (part.name, part.version, part.licence) == ("green", "2", "Apache-2.0 AND MIT")
    assert (part.homepage, part.description) == ("https://tea.example", "a b")


def test_reference_out_of_the_closure_is_refused(store: Any) -> None:
    library = store.add("leaf-0.3")
    tea = store.add("tea-1.4", uses=(library,))
    with pytest.raises(UnreadableError, match=r"refers to .*leaf-0\.3`, which nix does not list"):
        add_closure(Graph(), {tea: store.infos[tea]}, store.packages, Role.DYNAMIC)


def test_content_address_is_kept(store: Any) -> None:
    path = store.add("source")
    store.infos[path] = replace(store.infos[path], content_address="fixed:r:sha256:0abc")
    graph, refs = added(store, path)
    assert graph.components[refs[path]].properties["nix:content-address"] == "fixed:r:sha256:0abc"
    assert graph.components[refs[path]].version is None


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        ((), None),
        (("",), None),
        (("mit",), "MIT"),
        (("MIT", "MIT"), "MIT"),
        (("MIT/Apache-2.0", "Zlib"), "(MIT OR Apache-2.0) AND Zlib"),
        (("Tea, for all", "MIT"), "LicenseRef-doit-provenance-Tea-for-all-4ce0aa7d AND MIT"),
    ],
)
def test_all_licences_of_a_package_apply(licences: tuple[str, ...], expected: str | None) -> None:
    assert expression(licences) == expected
