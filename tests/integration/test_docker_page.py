"""The page of the build type `docker` is true.

`UPDATE_DOCS=1 python -m pytest tests/integration/test_docker_page.py` writes the page's example anew.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.attest.slsa import parse_provenance
from doit_provenance.tasks.docker.units import BUILD_TYPE

from .test_docker_flow import base, build, make, predicate

if TYPE_CHECKING:
    from .conftest import Service
    from .workspaces import Repository

pytestmark = pytest.mark.integration

__all__ = ["base"]  # a fixture

_PAGE = Path(__file__).parents[2] / "docs" / "build-types" / "docker.v1.md"
_EXAMPLE = re.compile(r"(?<=```json\n).*?(?=```)", re.DOTALL)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, buildkit: Service, base: str) -> Repository:
    made = make(
        tmp_path_factory.mktemp("page") / "shop",
        buildkit,
        {
            "image/Dockerfile": f"ARG BASE=0\nFROM {base}:${{BASE}}\nCOPY . /srv/\n",
            "image/index.html": "<h1>open</h1>\n",
            ".gitignore": "prices.txt\n",
            "provenance.toml": """
            [command.prices]
            run = ["sh", "-c", "echo 1 > prices.txt"]
            inputs = []
            outputs = ["prices.txt"]
            platform = "any"

            [docker.shop]
            context = "image"
            platforms = ["linux/amd64"]
            args = { BASE = "1" }
            artifacts = ["command:prices"]
            annotations = { "org.opencontainers.image.vendor" = "Example GmbH" }
            """,
        },
    )
    made.git("remote", "add", "origin", "https://git.example.com/shop.git")
    build(made)
    return made


def test_example_is_what_a_build_says(shop: Repository, base: str) -> None:
    """The example on the page equals the predicate of a real build, volatile values replaced."""
    found = _normalised(predicate(shop, name="shop"), base.partition("/")[0])
    if os.environ.get("UPDATE_DOCS"):
        text = json.dumps(found, indent=2) + "\n"
        _PAGE.write_text(_EXAMPLE.sub(lambda _: text, _PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    example = _example()
    assert found == example
    assert parse_provenance(example).build_definition.build_type == BUILD_TYPE


def test_every_parameter_is_explained() -> None:
    """Each parameter of the example stands in one of the page's tables, and none that no build writes."""
    definition = _example()["buildDefinition"]
    written = {*definition["externalParameters"], *definition["internalParameters"]}
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", _PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == written


def _example() -> dict[str, Any]:
    match = _EXAMPLE.search(_PAGE.read_text(encoding="utf-8"))
    assert match is not None
    found: dict[str, Any] = json.loads(match[0])
    return found


def _normalised(found: dict[str, Any], host: str) -> dict[str, Any]:
    """Replace what differs between two machines or two moments by values that show its form."""
    text = json.dumps(found, indent=2)
    for pattern, value in (
        (re.escape(host), "registry.example.com"),
        (r"\b[0-9a-f]{128}\b", "0" * 128),
        (r"\b[0-9a-f]{64}\b", "0" * 64),
        (r"\b[0-9a-f]{40}\b", "0" * 40),
        (r"urn:uuid:[0-9a-f-]{36}", "urn:uuid:00000000-0000-4000-8000-000000000000"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2026-01-01T00:00:00Z"),
        (r"(?<=\"doit-provenance\": \")[^\"]+", "0.1.0"),
        (r"(?<=\"version\": \")v[^\"]+", "v0.34.2"),
    ):
        text = re.sub(pattern, value, text)
    replaced: dict[str, Any] = json.loads(text)
    return replaced
