from __future__ import annotations

import json
from typing import Any

import pytest

from doit_provenance.provenance.sbom.inventory import Kind, Role
from doit_provenance.provenance.sbom.program.auditable import linked

PACKAGES: list[dict[str, Any]] = [
    {"name": "adler", "version": "1.0.2", "source": "crates.io"},
    {"name": "cc", "version": "1.1.0", "source": "crates.io", "kind": "build"},
    {"name": "flate", "version": "2.0.0", "source": "git", "dependencies": [0, 1]},
    {"name": "tea", "version": "0.1.0", "source": "local", "dependencies": [2], "root": True},
]


def test_crates_and_their_graph() -> None:
    found = linked(json.dumps({"packages": PACKAGES}).encode())
    adler, flate = "pkg:cargo/adler@1.0.2", "pkg:generic/flate@2.0.0"
    assert (found.main.name, found.main.kind, found.main.role) == ("tea", Kind.APPLICATION, Role.CONTAINED)
    assert found.components.keys() == {adler, flate}
    assert found.uses == {flate}
    assert found.edges == {adler: frozenset(), flate: {adler}}
    assert found.components[adler].supplier is not None
    assert found.components[flate].supplier is None
    assert {c.role for c in found.components.values()} == {Role.LINKED}


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"packages": []},
        {"packages": PACKAGES[:3]},
        {"packages": [PACKAGES[3], {**PACKAGES[3]}]},
        {"packages": [{**PACKAGES[3], "dependencies": [9]}]},
        {"packages": [{**PACKAGES[3], "dependencies": [-1]}]},
        {"packages": [{"name": "tea", "root": True}]},
        {"packages": [{**PACKAGES[3], "name": 1}]},
        {"packages": [PACKAGES[3], "adler"]},
    ],
)
def test_refuses(document: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        linked(json.dumps(document).encode())


def test_refuses_other_bytes() -> None:
    with pytest.raises(ValueError, match=r"."):
        linked(b"\xff")
