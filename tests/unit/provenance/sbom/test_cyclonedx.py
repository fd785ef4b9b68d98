from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.sbom import cyclonedx
from doit_provenance.provenance.sbom.inventory import Completeness, Component, Inventory, Kind, Role
from doit_provenance.provenance.sbom.party import Party

if TYPE_CHECKING:
    from collections.abc import Callable

SHA256 = "5" * 64
VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)
LEAF = "pkg:cargo/leaf@2.0.0%2Bspring.1"


def _document(inventory: Inventory) -> Any:
    return json.loads(cyclonedx.write(inventory, inventory_sha256=SHA256))


def _components(document: Any) -> dict[str, Any]:
    return {c["name"]: c for c in (document["metadata"]["component"], *document["components"])}


def _properties(holder: Any) -> dict[str, str]:
    return {p["name"]: p["value"] for p in holder["properties"]}


def test_golden(golden: Callable[[str], bytes]) -> None:
    data = golden("inventory")
    written = cyclonedx.write(Inventory.from_json(data), inventory_sha256=digest_bytes(data).sha256)
    assert written == golden("cdx")


def test_golden_documents_are_valid(golden: Callable[[str], bytes]) -> None:
    assert VALIDATOR.validate_str(golden("cdx").decode()) is None


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_any_inventory_becomes_a_valid_document(data: st.DataObject, inventories: st.SearchStrategy[Inventory]) -> None:
    """Whatever makers write into their packages, the document is valid and its references lead somewhere."""
    inventory = data.draw(inventories)
    written = cyclonedx.write(inventory, inventory_sha256=SHA256).decode()
    assert VALIDATOR.validate_str(written) is None
    document = json.loads(written)
    refs = {document["metadata"]["component"]["bom-ref"], *(c["bom-ref"] for c in document["components"])}
    assert len(refs) == 1 + len(document["components"])
    assert {ref for d in document["dependencies"] for ref in (d["ref"], *d.get("dependsOn", []))} <= refs
    composed = [ref for c in document["compositions"] for ref in c["dependencies"]]
    assert sorted(composed) == sorted(refs)


def test_the_inventory_is_tied_to_the_document(teapot: Inventory) -> None:
    """The verifier looks for exactly this property."""
    assert _properties(_document(teapot)["metadata"])["doit-provenance:inventory-sha256"] == SHA256


def test_another_inventory_has_another_serial_number(teapot: Inventory) -> None:
    one, same, other = (
        json.loads(cyclonedx.write(teapot, inventory_sha256=digest * 64))["serialNumber"] for digest in "556"
    )
    assert one == same
    assert one != other


def test_build_tools_are_excluded(teapot: Inventory) -> None:
    """Who leaves out what is `excluded` keeps what runs; the role says what of that is in the artifact."""
    components = _document(teapot)["components"]
    for scope, roles in (("required", {Role.LINKED, Role.DYNAMIC}), ("excluded", {Role.BUILD})):
        found = {c["name"] for c in components if c["scope"] == scope}
        assert found == {c.name for c in teapot.components if c.role in roles}
    inside = {c["name"] for c in components if _properties(c)["doit-provenance:role"] == "linked"}
    assert inside == {c.name for c in teapot.of_role(Role.LINKED)}


def test_what_it_was_made_from_is_not_passed_over(teapot: Inventory) -> None:
    """An input counts as required, since a part of it may be inside, of which nothing is claimed."""
    water = Component(ref="oci:water@any", kind=Kind.FILE, role=Role.INPUT, name="water")
    edges = {teapot.subject.ref: (water.ref,), water.ref: ()}
    document = _document(replace(teapot, components=(water,), dependencies=edges, completeness=Completeness.UNKNOWN))
    (component,) = document["components"]
    assert (component["type"], component["scope"]) == ("file", "required")
    assert _properties(component)["doit-provenance:role"] == "input"
    assert document["dependencies"] == [{"ref": teapot.subject.ref, "dependsOn": [water.ref]}]
    assert {c["aggregate"] for c in document["compositions"]} == {"unknown"}


def test_an_empty_entry_means_none_and_no_entry_unknown(teapot: Inventory) -> None:
    graph = {d["ref"]: d.get("dependsOn", []) for d in _document(teapot)["dependencies"]}
    assert graph[LEAF] == []
    assert "soname:libc.so.6" not in graph
    assert "pkg:generic/rustc@1.95.0" not in graph
    assert {ref: list(used) for ref, used in teapot.dependencies.items() if used} == {
        r: u for r, u in graph.items() if u
    }


@pytest.mark.parametrize("completeness", Completeness)
def test_completeness_is_claimed_of_what_was_observed(teapot: Inventory, completeness: Completeness) -> None:
    inside, outside = _document(replace(teapot, completeness=completeness))["compositions"]
    linked = {teapot.subject.ref, *(c.ref for c in teapot.of_role(Role.LINKED))}
    assert (inside["aggregate"], inside["assemblies"]) == (completeness.value, [teapot.subject.ref])
    assert set(inside["dependencies"]) == linked
    assert outside["aggregate"] == "unknown"
    assert set(outside["dependencies"]) == {c.ref for c in teapot.components} - linked


def test_the_artifact_is_described_as_bsi_asks(teapot: Inventory) -> None:
    document = _document(replace(teapot, subject=replace(teapot.subject, hashes={})))
    subject = document["metadata"]["component"]
    assert {h["alg"]: h["content"] for h in subject["hashes"]} == {
        "SHA-256": teapot.digest.sha256,
        "SHA-512": teapot.digest.sha512,
    }
    properties = _properties(subject)
    assert properties["bsi:component:filename"] == "teapot"
    assert properties["bsi:component:executable"] == "executable"
    assert properties["bsi:component:archive"] == "no archive"
    assert properties["bsi:component:structured"] == "unstructured"
    assert document["metadata"]["manufacturer"]["contact"][0]["email"] == "sbom@brewery.example"
    assert document["metadata"]["lifecycles"] == [{"phase": "build"}]


def test_what_is_no_program_says_so_itself(teapot: Inventory) -> None:
    archive = replace(teapot.subject, properties={"bsi:component:archive": "archive"})
    properties = _document(replace(teapot, subject=archive))["metadata"]["component"]["properties"]
    assert [p["value"] for p in properties if p["name"] == "bsi:component:archive"] == ["archive"]


def test_nothing_is_said_of_the_files_of_others(teapot: Inventory) -> None:
    names = {name for c in _document(teapot)["components"] for name in _properties(c) if name.startswith("bsi:")}
    assert names == {"bsi:component:filename"}


def test_licences_are_expressions(teapot: Inventory) -> None:
    components = _components(_document(teapot))
    assert components["leaf"]["licenses"] == [{"expression": "MPL-2.0+", "acknowledgement": "declared"}]
    assert components["quill"]["licenses"][0]["expression"] == "Apache-2.0 WITH LLVM-exception"
    assert "licenses" not in components["spout"]


def test_addresses(teapot: Inventory) -> None:
    components = _components(_document(teapot))
    kinds = {name: [(r["type"], r["url"]) for r in c.get("externalReferences", [])] for name, c in components.items()}
    assert kinds["infuse"] == [
        ("vcs", "https://tea.example/infuse.git"),
        ("website", "https://tea.example/infuse"),
        ("distribution", "https://registry.example/infuse/infuse-0.3.1.crate"),
    ]
    assert kinds["spout"] == [("vcs", "git+https://git.example/spout@c0ffee")]
    assert kinds["leaf"][0][0] == "distribution"  # its homepage is not a URL
    distribution = components["infuse"]["externalReferences"][2]
    assert distribution["hashes"] == components["infuse"]["hashes"]


def test_makers_are_one_organisation_and_all_others() -> None:
    ada, guild, house = Party(name="Ada", person=True), Party(name="Guild"), Party(name="House", email="no address")
    assert cyclonedx._makers(()) == {}
    assert cyclonedx._makers((guild,)) == {"manufacturer": {"name": "Guild"}}
    assert cyclonedx._makers((ada, guild)) == {"manufacturer": {"name": "Guild"}, "authors": [{"name": "Ada"}]}
    assert cyclonedx._makers((guild, house)) == {"manufacturer": {"name": "Guild"}, "authors": [{"name": "House"}]}


def test_a_person_who_supplies_is_the_contact() -> None:
    ada = Party(name="Ada", email="ada@tea.example", person=True)
    assert cyclonedx._organisation(ada) == {"name": "Ada", "contact": [{"name": "Ada", "email": "ada@tea.example"}]}


def test_says_nothing_of_vulnerabilities(golden: Callable[[str], bytes]) -> None:
    """BSI TR-03183-2 forbids it; what is known of them changes after the document is signed."""
    assert "vulnerabilities" not in json.loads(golden("cdx"))
