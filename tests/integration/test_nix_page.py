"""The page of the Nix build type is true: its example is what a build says, its recipe gives the same bytes.

`UPDATE_DOCS=1 python -m pytest tests/integration/test_nix_page.py` writes the example anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from doit_provenance.provenance.attest.slsa import parse_provenance
from doit_provenance.tasks.nix.facts import Origin
from doit_provenance.tasks.nix.materials import BUILD_TYPE

from .pots import SYSTEM, Pot, pot
from .workspaces import repository

pytestmark = pytest.mark.integration

_PAGE = Path(__file__).parents[2] / "docs" / "build-types" / "nix.v1.md"
_EXAMPLE = re.compile(r"(?<=```json\n).*?(?=```)", re.DOTALL)
_LEAF = b"green\n"
PACKAGES = {
    "leaf": f"""sh "leaf-0.3" "echo green > $out" {{
        outputHashAlgo = "sha256"; outputHashMode = "flat"; outputHash = "{hashlib.sha256(_LEAF).hexdigest()}";
        url = "https://leaves.example.com/leaf-0.3";
    }}""",
    "tea": r"""sh "tea-1.4" ''
        mkdir -p $out/bin; printf '#!/bin/sh\ncat ${leaf} ${cups}/cups\n' > $out/bin/tea; chmod +x $out/bin/tea
    '' { }""",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Pot:
    folder = tmp_path_factory.mktemp("page")
    cups = repository(folder / "cups", {"cups": "two\n"})
    cups.commit()
    made = pot(folder, PACKAGES, 'packages = ["tea"]')
    made.flake(
        PACKAGES,
        inputs=f'inputs.cups = {{ url = "git+file://{cups.root}?ref=main"; flake = false; }};',
        names=("self", "cups"),
    )
    made.nix("flake", "lock", str(made.made.root))
    made.made.commit()
    made.made.git("remote", "add", "origin", "https://git.example.com/tea.git")
    made.doit("run").ok()
    return made


def test_example_is_what_a_build_says(built: Pot) -> None:
    """The example on the page equals the predicate of a real build, volatile values replaced."""
    found = _normalised(built)
    if os.environ.get("UPDATE_DOCS"):
        text = json.dumps(found, indent=2) + "\n"
        _PAGE.write_text(_EXAMPLE.sub(lambda _: text, _PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    example = _example()
    assert found == example
    assert parse_provenance(example).build_definition.build_type == BUILD_TYPE


def test_recipe_gives_the_same_bytes(built: Pot) -> None:
    """The commands that the page gives: the same derivation, the same NAR, the same file, in a store that is empty."""
    said = built.provenance("tea")["buildDefinition"]
    chosen, found = said["externalParameters"], said["internalParameters"]
    shipped = (built.folder("tea") / "tea").read_bytes()
    built.forget_store()
    installable = f"{chosen['flake']}#packages.{chosen['system']}.{chosen['package']}"
    assert built.nix("eval", "--raw", f"{installable}.drvPath") == found["derivation"]
    (again,) = json.loads(built.nix("build", "--json", "--no-link", installable))
    output = again["outputs"][chosen["output"]]
    assert output == found["output"]
    hashed = built.nix("hash", "path", "--base16", "--type", "sha256", output)
    assert hashed.removeprefix("sha256:") == found["narSha256"]
    assert Path(output, found["file"]).read_bytes() == shipped


def test_every_parameter_is_explained() -> None:
    """Each parameter stands in one of the page's tables; those that only some origins have, too."""
    definition = _example()["buildDefinition"]
    rows = re.findall(r"^\| `(\w+)` \|", _PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    written = {*definition["externalParameters"], *definition["internalParameters"]}
    assert {*rows} - {*Origin} == written | {"substituter"}


def _example() -> dict[str, Any]:
    match = _EXAMPLE.search(_PAGE.read_text(encoding="utf-8"))
    assert match is not None
    found: dict[str, Any] = json.loads(match[0])
    return found


def _normalised(built: Pot) -> dict[str, Any]:
    """Replace what differs between two machines or two moments by values that show its form."""
    text = json.dumps(built.provenance("tea"), indent=2)
    for pattern, value in (
        (re.escape(str(built.store / "store")), "/nix/store"),
        (r"git\+file://[^\"?]*", "git+https://git.example.com/cups"),
        (re.escape(SYSTEM), "x86_64-linux"),
        (r"(?<=/nix/store/)[0-9a-z]{32}", "0" * 32),
        (r"(?<=\")[0-9a-f]{64}(?=\")", "0" * 64),
        (r"\b[0-9a-f]{40}\b", "0" * 40),
        (r"urn:uuid:[0-9a-f-]{36}", "urn:uuid:00000000-0000-4000-8000-000000000000"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2026-01-01T00:00:00Z"),
        (r"(?<=\"doit-provenance\": \")[^\"]+", "0.1.0"),
        (r"(?<=\"version\": \")\d[^\"]+", "2.8.0"),
    ):
        text = re.sub(pattern, value, text)
    found: dict[str, Any] = json.loads(text)
    return found
