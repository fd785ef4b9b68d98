"""The page of the cargo build type is true: its example is what a build says, its recipe gives the same bytes.

`UPDATE_DOCS=1 python -m pytest tests/integration/test_build_type.py` writes the example anew.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from doit_provenance.provenance.attest.slsa import parse_provenance
from doit_provenance.tasks.cargo.parameters import BUILD_TYPE

from . import workspaces

pytestmark = pytest.mark.integration

_ROOT = Path(__file__).parents[2]
_PAGE = _ROOT / "docs" / "build-types" / "cargo.v1.md"
_EXAMPLE = re.compile(r"(?<=```json\n).*?(?=```)", re.DOTALL)
_BINARY = "hello"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> workspaces.Repository:
    return _build(tmp_path_factory.mktemp("page") / "greeter")


def test_example_is_what_a_build_says(built: workspaces.Repository) -> None:
    """The example on the page equals the predicate of a real build, volatile values replaced."""
    found = _normalised(built.provenance(_BINARY))
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


def test_recipe_gives_the_same_bytes(built: workspaces.Repository, tmp_path: Path) -> None:
    """The command that the page gives, with an artifact's parameters and in another folder, builds the same bytes."""
    said = built.provenance(_BINARY)["buildDefinition"]["externalParameters"]
    again = tmp_path / "again"
    shutil.copytree(built.root, again, ignore=shutil.ignore_patterns("target", "dist", ".provenance"))
    packages = [word for p in said["groupPackages"] for word in ("--package", p)]
    assert (said["target"], said["features"], said["tool"]) == (None, [], "cargo")
    built.cargo(
        "build",
        "--locked",
        "--profile",
        said["profile"],
        *packages,
        "--bin",
        said["binary"],
        cwd=again / said["workspace"],
    )
    assert (again / "target" / said["profile"] / _BINARY).read_bytes() == built.bytes_of(_BINARY)


def _build(root: Path) -> workspaces.Repository:
    repository = workspaces.repository(root)
    shutil.copytree(
        _ROOT / "examples" / "greeter", root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("target", "dist", ".*")
    )
    manifest = root / "Cargo.toml"
    quick = re.sub(r"^lto = true$", "opt-level = 0", manifest.read_text(encoding="utf-8"), flags=re.MULTILINE)
    manifest.write_text(quick, encoding="utf-8")
    (root / ".gitignore").write_text("target\n", encoding="ascii")
    repository.commit()
    repository.git("remote", "add", "origin", "https://git.example.com/greeter.git")
    repository.run(*workspaces.DOIT_PROVENANCE, f"cargo:{_BINARY}").ok()
    return repository


def _example() -> dict[str, Any]:
    match = _EXAMPLE.search(_PAGE.read_text(encoding="utf-8"))
    assert match is not None
    found: dict[str, Any] = json.loads(match[0])
    return found


def _normalised(predicate: dict[str, Any]) -> dict[str, Any]:
    """Replace what differs between two machines or two moments by values that show its form."""
    text = json.dumps(predicate, indent=2)
    release = predicate["buildDefinition"]["internalParameters"]["rustc"]
    for pattern, value in (
        (re.escape(workspaces.host()), "x86_64-unknown-linux-gnu"),
        (rf"(?<=[@\"]){re.escape(release)}(?=\")", "1.95.0"),
        (r"(?<=cargo@)[0-9][^\"]*(?=\")", "1.95.0"),
        (r"(?<=\")[0-9a-f]{64}(?=\")", "0" * 64),
        (r"(?<=\")[0-9a-f]{40}(?=\")", "0" * 40),
        (r"urn:uuid:[0-9a-f-]{36}", "urn:uuid:00000000-0000-4000-8000-000000000000"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2026-01-01T00:00:00Z"),
        (r"(?<=\"doit-provenance\": \")[^\"]+", "0.1.0"),
    ):
        text = re.sub(pattern, value, text)
    found: dict[str, Any] = json.loads(text)
    return found
