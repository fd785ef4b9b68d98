"""What people are told of a package that the run did not build: in the summary, by `show`, in the events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .pots import SYSTEM, Pot, pot

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

TOOL = """sh "wash-0.1.0" "mkdir -p $out/bin; printf '#!/bin/sh' > $out/bin/wash" { }"""
ID = f"nix:wash@{SYSTEM}"


@pytest.fixture
def made(tmp_path: Path) -> Pot:
    return pot(tmp_path, {"wash": TOOL}, 'packages = ["wash"]')


def test_what_was_built_is_called_built(made: Pot) -> None:
    (line,) = (line for line in made.doit("run").ok().out.splitlines() if line.startswith(ID))
    assert line.split()[1] == "built"
    shown = made.doit("show", ID).ok().out
    assert "  built by:   " in shown
    assert "origin" not in shown


def test_what_lay_in_the_store_is_not(made: Pot) -> None:
    """It is `taken`, and everything that says so says that no build is claimed."""
    made.nix("build", "--no-link", ".#wash")
    (line,) = (line for line in made.doit("run").ok().out.splitlines() if line.startswith(ID))
    assert line.split()[1] == "taken"
    assert line.endswith("not built by this run: no build is claimed")
    shown = made.doit("show", ID).ok().out
    assert "  origin:     present\n" in shown
    assert "  taken by:   " in shown
    assert "; no build is claimed\n" in shown
    assert "built by" not in shown
    inventory = json.loads((made.folder("wash") / "wash.inventory.json").read_bytes())
    assert inventory["note"].endswith("The run that wrote this did not build it: it was in the store already.")
    assert made.doit("run").ok().out == "1 artifact is fresh\n"


def test_signatures_of_a_cache_are_named(made: Pot, tmp_path: Path) -> None:
    """By their keys, beside the address that the output was copied from."""
    key = tmp_path / "key"
    key.write_text(made.nix("key", "generate-secret", "--key-name", "cups.example.com-1"), encoding="ascii")
    cache = f"file://{tmp_path}/cache?secret-key={key}"
    made.nix("build", "--no-link", ".#wash")
    made.nix("copy", "--to", cache, ".#wash")
    made.forget_store()
    config = f"{made.made.environ['NIX_CONFIG']}\nsubstituters = file://{tmp_path}/cache\nrequire-sigs = false\n"
    made.doit("run", env={"NIX_CONFIG": config}).ok()
    shown = made.doit("show", ID, env={"NIX_CONFIG": config}).ok().out
    assert (
        f"  origin:     substituted from file://{tmp_path}/cache; its signatures there: cups.example.com-1\n" in shown
    )
