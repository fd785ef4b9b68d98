"""References to other SBOMs, by what their own bytes say."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.provenance.json import read_object
from doit_provenance.provenance.sbom import spdx
from doit_provenance.provenance.sbom.inventory import Inventory
from doit_provenance.provenance.sbom.reference import Reference, read_reference, refer, to_json

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def sboms(golden: Callable[[str], bytes]) -> tuple[bytes, bytes]:
    return golden("spdx"), golden("cdx")


def test_a_document_says_what_it_is_called(golden: Callable[[str], bytes], sboms: tuple[bytes, bytes]) -> None:
    inventory = Inventory.from_json(golden("inventory"))
    found = refer(inventory.artifact, spdx=sboms[0], cyclonedx=sboms[1])
    document, bom = json.loads(sboms[0]), json.loads(sboms[1])
    assert found.artifact == inventory.artifact
    assert found.spdx.namespace == document["documentNamespace"]
    assert found.spdx.id == document["packages"][0]["SPDXID"] == spdx._spdx_id(inventory.subject)
    assert found.spdx.sha256 == digest_bytes(sboms[0]).sha256
    assert f"urn:uuid:{found.cyclonedx.serial}" == bom["serialNumber"]
    assert (found.cyclonedx.version, found.cyclonedx.ref) == (1, inventory.subject.ref)
    assert found.cyclonedx.sha256 == digest_bytes(sboms[1]).sha256


def test_it_is_read_as_it_is_written(sboms: tuple[bytes, bytes]) -> None:
    found = refer("cargo:tea@any", spdx=sboms[0], cyclonedx=sboms[1])
    assert read_reference(read_object(json.dumps(to_json(found)).encode(), what="it", limit=1000)) == found


@pytest.mark.parametrize(
    "change",
    [
        {"relationships": []},
        {"relationships": None},
        {"documentNamespace": 1},
        {"relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES"}]},
    ],
)
def test_other_spdx_is_refused(sboms: tuple[bytes, bytes], change: dict[str, Any]) -> None:
    document = json.dumps(json.loads(sboms[0]) | change).encode()
    with pytest.raises(UnreadableError, match="an SBOM of `cargo:tea@any` can't be referred to"):
        refer("cargo:tea@any", spdx=document, cyclonedx=sboms[1])


@pytest.mark.parametrize("change", [{"serialNumber": "7"}, {"version": "1"}, {"metadata": {}}, {"metadata": None}])
def test_other_cyclonedx_is_refused(sboms: tuple[bytes, bytes], change: dict[str, Any]) -> None:
    document = json.dumps(json.loads(sboms[1]) | change).encode()
    with pytest.raises(UnreadableError, match="can't be referred to"):
        refer("cargo:tea@any", spdx=sboms[0], cyclonedx=document)


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"a": 1, "a": 2}'])
def test_other_bytes_are_refused(sboms: tuple[bytes, bytes], data: bytes) -> None:
    with pytest.raises(UnreadableError, match="can't be referred to"):
        refer("cargo:tea@any", spdx=data, cyclonedx=sboms[1])


def test_an_inventory_keeps_it(teapot: Inventory, sboms: tuple[bytes, bytes]) -> None:
    reference = refer("cargo:tea@any", spdx=sboms[0], cyclonedx=sboms[1])
    first, *others = teapot.components
    inventory = replace(teapot, components=(replace(first, sbom=reference), *others))
    assert Inventory.from_json(inventory.to_json()).components[0].sbom == reference


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("artifact", " ", ".sbom.artifact` is blank"),
        ("spdx.sha256", "AB", ".sbom.spdx.sha256` must be a sha256 in hex"),
        ("cyclonedx.version", "1", ".sbom.cyclonedx.version` must be a whole number"),
        ("extra", 1, ".sbom.extra` is not a field"),
    ],
)
def test_a_broken_one_is_refused_with_its_place(
    teapot: Inventory, sboms: tuple[bytes, bytes], path: str, value: object, message: str
) -> None:
    reference: Reference = refer("cargo:tea@any", spdx=sboms[0], cyclonedx=sboms[1])
    document: Any = json.loads(teapot.to_json())
    place = document["components"][0]["sbom"] = json.loads(json.dumps(to_json(reference)))
    *parents, last = path.split(".")
    for step in parents:
        place = place[step]
    place[last] = value
    with pytest.raises(UnreadableError) as caught:
        Inventory.from_json(json.dumps(document).encode())
    assert message in caught.value.message
