"""The jq queries of docs/adopting.md say what the page says that they do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from doit_provenance.provenance.sbom.inventory import Inventory, Role

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed"),
]

_ROOT = Path(__file__).parents[2]
_GOLDEN = _ROOT / "tests" / "unit" / "provenance" / "sbom" / "golden"
_QUERIES = re.findall(r"^jq .*$", (_ROOT / "docs" / "adopting.md").read_text(encoding="utf-8"), re.MULTILINE)
_OF_DOCUMENTS = [query for query in _QUERIES if "sigstore" not in query]


def _answer(query: str) -> list[str]:
    command = query.replace("wash.", "teapot.").replace("cargo/memchr@", "cargo/leaf@")
    done = subprocess.run(["sh", "-ec", command], cwd=_GOLDEN, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_queries() -> None:
    inventory = Inventory.from_json((_GOLDEN / "teapot.inventory.json").read_bytes())
    linked = inventory.of_role(Role.LINKED)
    table, completeness, users, licences, packages = map(_answer, _OF_DOCUMENTS)
    assert [row.split("\t")[0] for row in table] == [c.name for c in linked]
    assert completeness == [inventory.completeness, inventory.note]
    assert sum(int(row.split()[0]) for row in licences) == len(linked)
    assert packages == [c.purl or "null" for c in linked]
    used = {r for used in inventory.dependencies.values() for r in used if r.startswith("pkg:cargo/leaf@")}
    assert used
    assert users == [ref for ref, uses in inventory.dependencies.items() if used & set(uses)]
