from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ntia_conformance_checker import SbomChecker
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.sbom import spdx
from doit_provenance.provenance.sbom.inventory import Completeness, Component, Inventory, Kind, Role
from doit_provenance.provenance.sbom.party import Party

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _document(inventory: Inventory) -> Any:
    return json.loads(spdx.write(inventory))


def _packages(document: Any) -> dict[str, Any]:
    return {package["name"]: package for package in document["packages"]}


def _related(document: Any) -> set[tuple[str, str, str]]:
    """Return the relationships with names in place of ids."""
    names = {package["SPDXID"]: package["name"] for package in document["packages"]}
    return {
        (
            names.get(r["spdxElementId"], "document"),
            r["relationshipType"],
            names.get(r["relatedSpdxElement"], r["relatedSpdxElement"]),
        )
        for r in document["relationships"]
    }


def test_golden(golden: Callable[[str], bytes]) -> None:
    assert spdx.write(Inventory.from_json(golden("inventory"))) == golden("spdx")


def test_golden_documents_are_valid(golden: Callable[[str], bytes]) -> None:
    document = JsonLikeDictParser().parse(json.loads(golden("spdx")))
    assert validate_full_spdx_document(document) == []


def test_golden_documents_have_the_minimum_elements(golden: Callable[[str], bytes], tmp_path: Path) -> None:
    """NTIA 2021; the checker looks at what the artifact's relationships lead to, which is what is in it."""
    path = tmp_path / "artifact.spdx.json"
    path.write_bytes(golden("spdx"))
    checker = SbomChecker(str(path), compliance="ntia")
    inventory = Inventory.from_json(golden("inventory"))
    inside = [part for part in inventory.components if part.role in {Role.LINKED, Role.CONTAINED}]
    # Of a file that nobody explains there is nobody to name.
    unknown = {part.name for part in inside if part.properties.get("image:explained-by") == "nobody"}
    assert {name for name, _ in checker.components_without_suppliers} == unknown
    assert checker.compliant is not bool(unknown)
    assert len(checker.reachable_component_ids) == 1 + len(inside)


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_any_inventory_becomes_a_valid_document(data: st.DataObject, inventories: st.SearchStrategy[Inventory]) -> None:
    """Whatever makers write into their packages, the document is valid and its ids are unique."""
    document = _document(data.draw(inventories))
    parsed = JsonLikeDictParser().parse(document)
    assert [message.validation_message for message in validate_full_spdx_document(parsed)] == []
    ids = [package["SPDXID"] for package in document["packages"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", name) for name in ids)
    assert not [r for r, times in Counter(map(str, document["relationships"])).items() if times > 1]


@settings(deadline=None)
@given(refs=st.lists(st.text(min_size=1), min_size=2, max_size=50, unique=True))
def test_ids_are_as_unique_as_refs(refs: list[str]) -> None:
    parts = [Component(ref=ref, kind=Kind.LIBRARY, role=Role.LINKED, name="tea", version="1.0+a") for ref in refs]
    assert len({spdx._spdx_id(part) for part in parts}) == len(refs)


def test_equal_inventories_are_equal_bytes(teapot: Inventory) -> None:
    again = Inventory.from_json(teapot.to_json())
    digest = digest_bytes(teapot.to_json()).sha256
    assert spdx.write(teapot) == spdx.write(again) == spdx.write(teapot, inventory_sha256=digest)


def test_other_inventories_have_other_namespaces(teapot: Inventory) -> None:
    namespaces = {_document(i)["documentNamespace"] for i in (teapot, replace(teapot, note="Another."))}
    assert len(namespaces) == 2
    assert all(name.startswith("https://spdx.org/spdxdocs/cargo-teapot-x86-64-") for name in namespaces)


def test_ids_do_not_depend_on_the_rest_of_the_document(teapot: Inventory) -> None:
    alone = replace(teapot, components=(), dependencies={teapot.subject.ref: ()})
    assert _packages(_document(alone))["teapot"]["SPDXID"] == _packages(_document(teapot))["teapot"]["SPDXID"]


def test_relationships_from_the_artifact_lead_to_what_is_in_it(teapot: Inventory) -> None:
    related = _related(_document(teapot))
    assert {target for source, kind, target in related if (source, kind) == ("teapot", "STATIC_LINK")} == {
        part.name for part in teapot.of_role(Role.LINKED)
    }
    assert {source for source, kind, target in related if (kind, target) == ("RUNTIME_DEPENDENCY_OF", "teapot")} == {
        part.name for part in teapot.of_role(Role.DYNAMIC)
    }
    assert {source for source, kind, target in related if (kind, target) == ("BUILD_TOOL_OF", "teapot")} == {
        part.name for part in teapot.of_role(Role.BUILD)
    }


def test_only_what_is_in_the_artifact_depends_on_anything(teapot: Inventory) -> None:
    """Who follows DEPENDS_ON sees the artifact and its linked components, no build tool and no shared library."""
    edges = {(source, target) for source, kind, target in _related(_document(teapot)) if kind == "DEPENDS_ON"}
    assert edges == {
        ("teapot", "infuse"),
        ("teapot", "spout"),
        ("teapot", "rust-std"),
        ("infuse", "leaf"),
        ("infuse", "strainer-sys"),
        ("leaf", "NONE"),
        ("spout", "NONE"),
        ("rust-std", "NONE"),
    }


def test_build_and_run_time_edges_keep_their_ends(teapot: Inventory) -> None:
    related = _related(_document(teapot))
    assert ("kettle-derive", "BUILD_DEPENDENCY_OF", "infuse") in related
    assert ("leaf", "BUILD_DEPENDENCY_OF", "kettle-derive") in related
    assert ("libstrainer.so.1", "RUNTIME_DEPENDENCY_OF", "strainer-sys") in related


def test_what_it_was_made_from_may_be_in_it_or_not(teapot: Inventory) -> None:
    """An input is neither said to be inside nor to be outside, and no graph leads on from it."""
    related = _related(_document(_made_from(teapot)))
    assert {r for r in related if "water" in r} == {("teapot", "GENERATED_FROM", "water")}
    assert ("teapot", "DEPENDS_ON", "NOASSERTION") in related


def _made_from(teapot: Inventory) -> Inventory:
    """Return a teapot of which nothing is known but that water was put into it."""
    water = Component(ref="oci:water@any", kind=Kind.FILE, role=Role.INPUT, name="water")
    return replace(
        teapot,
        components=(water,),
        dependencies={teapot.subject.ref: (water.ref,), water.ref: ()},
        completeness=Completeness.UNKNOWN,
    )


@pytest.mark.parametrize("completeness", [Completeness.INCOMPLETE, Completeness.UNKNOWN])
def test_what_is_not_complete_says_so(teapot: Inventory, completeness: Completeness) -> None:
    document = _document(replace(teapot, completeness=completeness))
    open_ends = {source for source, _, target in _related(document) if target == "NOASSERTION"}
    assert open_ends == {"teapot", "leaf", "spout", "rust-std"}
    assert "NONE" not in {target for _, _, target in _related(document)}
    assert f"among them: {completeness}." in document["creationInfo"]["comment"]


def test_what_is_not_known_is_said(teapot: Inventory) -> None:
    package = _packages(_document(teapot))["libc.so.6"]
    for field in ("versionInfo", "supplier", "originator", "downloadLocation", "licenseDeclared", "copyrightText"):
        assert package[field] == "NOASSERTION"
    assert "checksums" not in package


def test_the_artifact_has_its_own_digests(teapot: Inventory) -> None:
    checksums = _packages(_document(replace(teapot, subject=replace(teapot.subject, hashes={}))))["teapot"]["checksums"]
    assert {c["algorithm"]: c["checksumValue"] for c in checksums} == {
        "SHA256": teapot.digest.sha256,
        "SHA512": teapot.digest.sha512,
    }


def test_every_reference_is_explained(teapot: Inventory) -> None:
    document = _document(teapot)
    declared = {package["name"]: package["licenseDeclared"] for package in document["packages"]}
    assert declared["leaf"] == "LicenseRef-doit-provenance-or-later-MPL-2.0"
    assert [info["licenseId"] for info in document["hasExtractedLicensingInfos"]] == [
        "LicenseRef-Strainer",
        "LicenseRef-doit-provenance-Sieve",
        "LicenseRef-doit-provenance-or-later-MPL-2.0",
    ]


@pytest.mark.parametrize(
    ("party", "actor"),
    [
        (Party(name="Ada", email="ada@tea.example", person=True), "Person: Ada (ada@tea.example)"),
        (Party(name="Tea  Guild\n"), "Organization: Tea Guild"),
        (Party(name="Tea (Example)"), "Organization: Tea (Example) ()"),
        (Party(name="Ada", email="not an address"), "Organization: Ada"),
    ],
)
def test_actors(party: Party, actor: str) -> None:
    assert spdx._actor(party) == actor


@pytest.mark.parametrize(
    ("download", "written"),
    [
        ("git+https://git.example.org/tea@c0ffee", True),
        ("git+ssh://git@git.example.org/tea.git", True),
        ("https://tea.technology/tea.crate", True),
        ("http://localhost:8000/tea.crate", False),
        ("/srv/tea", False),
        ("file:///srv/tea", False),
        ("https://tea.example/a b", False),
    ],
)
def test_locations(teapot: Inventory, download: str, *, written: bool) -> None:
    document = _document(replace(teapot, subject=replace(teapot.subject, download=download)))
    assert _packages(document)["teapot"]["downloadLocation"] == (download if written else "NOASSERTION")
    assert validate_full_spdx_document(JsonLikeDictParser().parse(document)) == []
