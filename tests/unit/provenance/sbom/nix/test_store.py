"""Names of store paths, split as `builtins.parseDrvName` splits them."""

from __future__ import annotations

import pytest

from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.provenance.sbom.nix.store import PackageName, StoreName, package_name, parse_name

HASH = "h0cnbmfcn93xm5dg2x27ixhag1cwndga"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nix-0.12pre12876", ("nix", "0.12pre12876")),
        ("gcc-wrapper-13.2.0", ("gcc-wrapper", "13.2.0")),
        ("hello", ("hello", None)),
        ("tea-", ("tea-", None)),
        ("python3.11-requests-2.31.0", ("python3.11-requests", "2.31.0")),
        ("a--b", ("a", "-b")),
        ("a-_b", ("a", "_b")),
        ("1-2-3", ("1", "2-3")),
        ("tea-unstable-2024-05-17", ("tea-unstable", "2024-05-17")),
    ],
)
def test_version_begins_after_a_dash_that_no_letter_follows(name: str, expected: tuple[str, str | None]) -> None:
    """Each of these was given to Nix 2.8 too."""
    assert parse_name(name) == expected


@pytest.mark.parametrize(
    ("name", "deriver", "expected"),
    [
        ("glibc-2.34", "glibc-2.34.drv", PackageName(name="glibc", version="2.34", output="out")),
        ("glibc-2.34-bin", "glibc-2.34.drv", PackageName(name="glibc", version="2.34", output="bin")),
        ("glibc-2.34-bin", "", PackageName(name="glibc", version="2.34-bin", output=None)),
        ("source", "tea-1.4.drv", PackageName(name="source", version=None, output=None)),
        ("tea-man", "tea.drv", PackageName(name="tea", version=None, output="man")),
    ],
)
def test_output_is_told_from_the_version_by_the_derivation(name: str, deriver: str, expected: PackageName) -> None:
    assert package_name(f"/nix/store/{HASH}-{name}", deriver and f"/nix/store/{HASH}-{deriver}") == expected


def test_parts_of_a_store_path() -> None:
    assert StoreName.of(f"/nix/store/{HASH}-tea-1.4") == StoreName(hash=HASH, name="tea-1.4")


@pytest.mark.parametrize(
    "path",
    ["", "/nix/store", "/nix/store/tea", f"/nix/store/{HASH}", f"/nix/store/{HASH}-", f"/nix/store/{HASH}-tea/bin"]
    + [f"/nix/store/{HASH.replace('h', letter, 1)}-tea" for letter in "eoutH"]
    + [f"/nix/store/{HASH}-{'t' * 212}", f"/nix/store/{HASH}-te a", f"/nix/store/{HASH}-tea\n"],
)
def test_other_paths_are_refused(path: str) -> None:
    """Also those with letters that Nix's base 32 leaves out."""
    with pytest.raises(UnreadableError, match="no path of a Nix store"):
        StoreName.of(path)
