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
        ("schema", "https://tea.example/#v2", "another schema version"),
        ("extra", 1, "unknown key `extra`"),
        ("artifact", 7, "`artifact`: expected text, found `7`"),
        ("artifact", " ", "`artifact`: it is blank"),
        ("components", {}, "`components`: expected a list, found `{}`"),
        ("components.0", "leaf", "`components`: expected an object, found `leaf`"),
        ("components.0.extra", "x", "`components`: unknown key `extra`"),
        ("components.0.name", None, "`components`: `name`: expected text, found `None`"),
        ("components.0.version", 1.5, "`components`: `version`: expected text, found `1.5`"),
        ("components.0.role", "linker", "`components`: `role`: 'linker' is not a valid Role"),
        ("components.0.kind", "crate", "`components`: `kind`: 'crate' is not a valid Kind"),
        ("components.0.hashes", {"sha256": "ab"}, "`hashes`: `sha256` is no hash that is known"),
        ("components.0.hashes", {"md5": "0" * 32}, "`hashes`: `md5` is no hash that is known"),
        ("components.0.supplier", [], "`supplier`: expected an object"),
        ("components.0.supplier", {"email": "a@b"}, "`supplier`: missing 1 required keyword-only argument: 'name'"),
        ("components.0.authors", [{"name": "Ada", "person": 1}], "`authors`: `person`: expected true or false"),
        ("components.0.properties", {"a": 1}, "`properties`: expected text, found `1`"),
        ("digest.size", True, "`digest`: `size`: expected a number from 0, found `True`"),
        ("digest.size", -1, "`digest`: `size`: expected a number from 0, found `-1`"),
        ("digest.sha256", "AB", "`digest`: not a digest"),
        ("created", "2024-05-17", "`created`: time data '2024-05-17' does not match"),
        ("completeness", "mostly", "`completeness`: 'mostly' is not a valid Completeness"),
        ("generator", {"name": "x"}, "`generator`: missing 1 required keyword-only argument: 'version'"),
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
    with pytest.raises(UnreadableError, match=rf"schema version|missing .*'{key}'"):
        Inventory.from_json(json.dumps(document).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"\xff", b"{", b'{"schema": 1, "schema": 2}', b"[" * 100_000, b'{"schema": "\\ud800"}'],
)
def test_refuses_other_bytes(data: bytes) -> None:
    with pytest.raises(UnreadableError, match="not an inventory"):
        Inventory.from_json(data)


def test_can_not_be_made_of_parts_that_do_not_fit(teapot: Inventory) -> None:
    with pytest.raises(ValueError, match="not sorted by `ref`"):
        replace(teapot, components=teapot.components[::-1])
    with pytest.raises(ValueError, match="keys of `dependencies`"):
        replace(teapot, components=())
    assert replace(teapot, completeness=Completeness.UNKNOWN) != teapot
