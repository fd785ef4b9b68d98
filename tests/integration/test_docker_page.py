"""The page of the build type `docker` is true.

`UPDATE_DOCS=1 python -m pytest tests/integration/test_docker_page.py` writes the page's example anew.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from doit_provenance.tasks.images.docker.artifacts import BUILD_TYPE

from .pages import Page
from .test_docker_flow import base, build, make, predicate

if TYPE_CHECKING:
    from .conftest import Service
    from .workspaces import Repository

pytestmark = pytest.mark.integration

__all__ = ["base"]  # a fixture

PAGE = Page(builder="docker")


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
    PAGE.hold(
        predicate(shop, name="shop"),
        BUILD_TYPE,
        (re.escape(base.partition("/")[0]), "registry.example.com"),
        (r"\b[0-9a-f]{64}\b", "0" * 64),
        (r"(?<=\"version\": \")v[^\"]+", "v0.34.2"),
    )


def test_every_parameter_is_explained() -> None:
    """Each parameter of the example stands in one of the page's tables, and none that no build writes."""
    PAGE.explains_all()
