"""`[nix]`: what it takes, what it comes to, and what it says of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from doit_provenance.provenance.config import Nix, parse
from doit_provenance.provenance.errors import ConfigError

WHOLE = b"""
[nix]
flake = "nix"
packages = ["wash", "wash-oci-*"]
exclude = ["*-debug"]
systems = ["x86_64-linux"]
files = ["wash/bin/wash", "*-provider/bin/*"]
images = ["wash-oci-*"]
rebuild = true
build-inventory = true
experimental-features = true
"""

WRONG = {
    'flake = "../other"': "nix.flake: expected a path without `..`, inside the workspace",
    'flake = "/nix"': "nix.flake: expected a path from the workspace's root",
    'packages = ["a/b"]': "nix.packages[0]: expected a glob over names of packages",
    'packages = ["a@b"]': "nix.packages[0]: expected a glob over names of packages",
    'systems = ["linux/amd64"]': "nix.systems[0]: expected a system as Nix calls it",
    'file = "flake"': "nix.file: expected a file that ends in `.nix`",
    'attributes = ["-x"]': "nix.attributes[0]: expected the path of an attribute",
    'files = ["bin"]': "nix.files[0]: expected `PACKAGE/PATH`",
    'files = ["wash/../../etc/shadow"]': "nix.files[0]: expected a path without `..`",
    'files = ["wash/bin/**"]': "nix.files[0]: expected a path that ends in a file's name",
}


def test_every_key_is_read() -> None:
    """All that `[nix]` says arrives."""
    assert parse(WHOLE, workspace=Path("/w")).nix == Nix(
        flake="nix",
        packages=("wash", "wash-oci-*"),
        exclude=("*-debug",),
        systems=("x86_64-linux",),
        files=("wash/bin/wash", "*-provider/bin/*"),
        images=("wash-oci-*",),
        rebuild=True,
        build_inventory=True,
        experimental_features=True,
    )


def test_it_is_off_by_default() -> None:
    """Nothing ships that is not named, so that a flake alone changes nothing."""
    nix = parse(b"", workspace=Path("/w")).nix
    assert nix == Nix()
    assert not nix.is_on


def test_expressions_turn_it_on() -> None:
    """A flake's packages and an expression's attributes both ship."""
    nix = parse(b'[nix]\nfile = "default.nix"\nattributes = ["wash"]\n', workspace=Path("/w")).nix
    assert nix.is_on
    assert (nix.file, nix.attributes) == ("default.nix", ("wash",))


@pytest.mark.parametrize("line", WRONG)
def test_mistakes_are_told(line: str) -> None:
    """Each mistake is told with its place."""
    with pytest.raises(ConfigError) as caught:
        parse(f"[nix]\n{line}\n".encode(), workspace=Path("/w"))
    assert f"provenance.toml: {WRONG[line]}" in caught.value.message
