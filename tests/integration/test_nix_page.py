"""The page of the Nix build type is true: its example is what a build says, its recipe gives the same bytes.

`UPDATE_DOCS=1 python -m pytest tests/integration/test_nix_page.py` writes the example anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from doit_provenance.tasks.nix.materials import BUILD_TYPE
from doit_provenance.tasks.nix.store import Origin

from .pages import Page
from .pots import SYSTEM, Pot, pot
from .workspaces import repository

pytestmark = pytest.mark.integration

PAGE = Page(builder="nix")
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
    PAGE.hold(
        built.provenance("tea"),
        BUILD_TYPE,
        (re.escape(str(built.store / "store")), "/nix/store"),
        (r"git\+file://[^\"?]*", "git+https://git.example.com/cups"),
        (re.escape(SYSTEM), "x86_64-linux"),
        (r"(?<=/nix/store/)[0-9a-z]{32}", "0" * 32),
        (r"\b[0-9a-f]{40}\b", "0" * 40),
        (r"(?<=\"version\": \")\d[^\"]+", "2.8.0"),
    )


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
    PAGE.explains_all("substituter", *Origin)
