"""What docs/inventory.md and docs/sbom.md say is what the code does."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from doit_provenance.provenance.sbom import licence
from doit_provenance.provenance.sbom.inventory import SCHEMA, Completeness, Component, Inventory, Kind, Role

_DOCS = Path(__file__).parents[4] / "docs"
INVENTORY = (_DOCS / "inventory.md").read_text(encoding="utf-8")
SBOM = (_DOCS / "sbom.md").read_text(encoding="utf-8")


def _section(text: str, heading: str) -> str:
    return text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def _rows(text: str) -> list[tuple[str, str]]:
    """Return the first two cells of each row of the first table, without its head."""
    table = re.search(r"^\|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table, "no table"
    return [(cells[1].strip(), cells[2].strip()) for cells in (row.split("|") for row in table[1].splitlines())]


@pytest.mark.parametrize(("heading", "model"), [("The document", Inventory), ("A component", Component)])
def test_every_key_is_described(heading: str, model: type) -> None:
    described = [name.strip("`") for name, _ in _rows(_section(INVENTORY, heading))]
    assert [name for name in described if name != "schema"] == [field.name for field in fields(model)]


def test_every_value_is_described() -> None:
    assert [name for name, _ in _rows(_section(INVENTORY, "Roles"))] == [f"`{role}`" for role in Role]
    assert all(f"`{word}`" in INVENTORY for word in (*Completeness, *Kind, SCHEMA))


def test_the_example_is_an_inventory() -> None:
    example = _section(INVENTORY, "Example").split("```json\n")[1].split("```")[0].encode()
    assert Inventory.from_json(example).to_json() == example


def test_licences_become_what_the_table_says() -> None:
    rows = _rows(_section(SBOM, "Licences"))
    assert len(rows) > 5
    for declared, expressions in rows:
        texts, expected = (re.findall(r"`([^`]+)`", cell) for cell in (declared, expressions))
        assert [licence.normalise(text) for text in texts] == expected
