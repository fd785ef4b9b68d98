from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.provenance.sbom.encoder import encode
from doit_provenance.provenance.sbom.inventory import Completeness, Inventory, Role

if TYPE_CHECKING:
    from collections.abc import Callable

LEAF = "pkg:cargo/leaf@2.0.0%2Bspring.1"


def test_golden_round_trip(golden: Callable[[str], bytes]) -> None:
    data = golden("inventory")
    assert Inventory.from_json(data).to_json() == data


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_round_trip(data: st.DataObject, inventories: st.SearchStrategy[Inventory]) -> None:
    inventory = data.draw(inventories)
    assert Inventory.from_json(inventory.to_json()) == inventory


def test_bytes_are_canonical(teapot: Inventory) -> None:
    """Sorted keys, a line for each component, UTF-8 as it is, a final newline, nothing for what is not known."""
    data = teapot.to_json()
    document = json.loads(data)
    assert data == encode(document, sort_keys=True)
    assert list(document) == sorted(document)
    for component in document["components"]:
        line = json.dumps(component, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        assert data.count(f"\n{line}".encode()) == 1
    assert "null" not in data.decode()


def test_equal_instants_are_equal_bytes(teapot: Inventory) -> None:
    elsewhere = teapot.created.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert replace(teapot, created=elsewhere).to_json() == teapot.to_json()


def test_of_role(teapot: Inventory) -> None:
    assert [c.name for c in teapot.of_role(Role.DYNAMIC)] == ["libc.so.6", "libstrainer.so.1"]
    assert [c.name for c in teapot.of_role(Role.BUILD)] == ["kettle-derive", "quill", "rustc"]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema", "https://tea.example/#v2", "`schema` is another schema version"),
        ("extra", 1, "`extra` is not a field of this format"),
        ("artifact", 7, "`artifact` must be text"),
        ("artifact", " ", "`artifact` is blank"),
        ("components", {}, "`components` must be a list"),
        ("components.0", "leaf", "`components[0]` must be an object"),
        ("components.0.extra", "x", "`components[0].extra` is not a field"),
        ("components.0.name", None, "`components[0].name` must be text"),
        ("components.0.version", 1.5, "`components[0].version` must be text"),
        ("components.0.role", "linker", "`components[0].role` must be one of `subject`, `linked`"),
        ("components.0.kind", "crate", "`components[0].kind` must be one of `application`, `library`"),
        ("components.0.hashes", {"sha256": "ab"}, "`components[0].hashes` has `sha256`, which is no known hash"),
        ("components.0.hashes", {"md5": "0" * 32}, "`components[0].hashes` has `md5`, which is no known hash"),
        ("components.0.supplier", [], "`components[0].supplier` must be an object"),
        ("components.0.supplier", {"email": "a@b"}, "`components[0].supplier.name` is missing"),
        (
            "components.0.authors",
            [{"name": "Ada", "person": 1}],
            "authors[0].person` must be true or false",
        ),
        ("components.0.properties", {"a": 1}, "`components[0].properties.a` must be text"),
        ("digest.size", True, "`digest.size` must be a whole number from 0"),
        ("digest.size", -1, "`digest.size` must be a whole number from 0"),
        ("digest.sha256", "AB", "not a digest"),
        ("created", "2024-05-17", "`created` must be a time in UTC"),
        ("completeness", "mostly", "`completeness` must be one of `complete`, `incomplete`"),
        ("generator", {"name": "x"}, "`generator.version` is missing"),
        ("dependencies", {}, "the keys of `dependencies` are not the components"),
        (f"dependencies/{LEAF}", ["elsewhere"], f"the dependencies of `{LEAF}` are not components"),
        (f"dependencies/{LEAF}", [LEAF, LEAF], f"the dependencies of `{LEAF}` are not components, sorted, each once"),
        ("components.0.role", "subject", "not exactly the subject has the role `subject`"),
        ("subject.role", "linked", "not exactly the subject has the role `subject`"),
        ("subject.ref", LEAF, "not sorted by `ref`, or one stands there twice"),
        ("components.0.ref", LEAF, "not sorted by `ref`, or one stands there twice"),
    ],
)
def test_refuses_with_the_path_to_the_mistake(teapot: Inventory, path: str, value: object, message: str) -> None:
    document: Any = json.loads(teapot.to_json())
    *parents, last = path.split(
        "/" if "/" in path and path.startswith("dependencies/") else ".", 1 if "/" in path else -1
    )
    place = document
    for step in parents:
        place = place[int(step)] if isinstance(place, list) else place[step]
    place[int(last) if isinstance(place, list) else last] = value
    with pytest.raises(UnreadableError) as caught:
        Inventory.from_json(json.dumps(document).encode())
    assert message in caught.value.message
    assert caught.value.hint == "build the artifact again"


@pytest.mark.parametrize(
    "key", ["schema", "artifact", "digest", "subject", "components", "dependencies", "note", "author"]
)
def test_refuses_what_lacks_a_part(teapot: Inventory, key: str) -> None:
    document = json.loads(teapot.to_json())
    del document[key]
    with pytest.raises(UnreadableError, match=f"`{key}` is missing"):
        Inventory.from_json(json.dumps(document).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"\xff", b"{", b'{"schema": 1, "schema": 2}', b"[" * 100_000, b'{"schema": "\\ud800"}'],
)
def test_refuses_other_bytes(data: bytes) -> None:
    with pytest.raises(UnreadableError, match="the inventory"):
        Inventory.from_json(data)


def test_can_not_be_made_of_parts_that_do_not_fit(teapot: Inventory) -> None:
    with pytest.raises(ValueError, match="not sorted by `ref`"):
        replace(teapot, components=teapot.components[::-1])
    with pytest.raises(ValueError, match="keys of `dependencies`"):
        replace(teapot, components=())
    assert replace(teapot, completeness=Completeness.UNKNOWN) != teapot
