"""A binary is the same, byte by byte, whatever else is built; and the user's own cargo has nothing to build again."""

from __future__ import annotations

import hashlib
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from .workspaces import Repository, host, library, manifest, repository

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

# Each member asks for another feature of `common`: resolver 2 unifies them over what one call of cargo selects.
MEMBERS = {
    "Cargo.toml": """
        [workspace]
        members = ["left", "right", "common"]
        resolver = "2"
    """,
    "left/Cargo.toml": manifest("left", dependencies=['common = { path = "../common", features = ["left"] }']),
    "left/src/bin/l1.rs": 'fn main() { println!("l1 {}", common::say()); }\n',
    "left/src/bin/l2.rs": 'fn main() { println!("l2 {}", common::say()); }\n',
    "right/Cargo.toml": manifest("right", dependencies=['common = { path = "../common", features = ["right"] }']),
    "right/src/main.rs": 'fn main() { println!("right {}", common::say()); }\n',
    **library(
        "common",
        """
        pub fn say() -> &'static str {
            if cfg!(all(feature = "left", feature = "right")) { "both" } else { "one" }
        }
        """,
        (),
        "[features]\nleft = []\nright = []",
    ),
}
NAMES = ("l1", "l2", "right")


@pytest.fixture
def members(tmp_path: Path) -> Repository:
    """Make a workspace of two packages with three programs."""
    made = repository(tmp_path / "work", MEMBERS)
    made.lock()
    return made


def _digests(made: Repository) -> dict[str, str]:
    return {n: hashlib.sha256(made.bytes_of(n)).hexdigest() for n in NAMES if made.folder(n).exists()}


def _lines(verbose: str) -> set[str]:
    """Return the verbs of cargo's report of each unit."""
    return {m[1] for m in re.finditer(r"^ +(Fresh|Compiling|Dirty|Running|Checking) ", verbose, re.MULTILINE)}


def test_same_alone_with_siblings_and_after_edits(members: Repository) -> None:
    members.doit().ok()
    together = _digests(members)
    assert together.keys() == set(NAMES)

    source = members.root / "left" / "src" / "bin" / "l1.rs"
    text = source.read_text()
    source.write_text(text.replace("l1", "changed"))
    members.doit("cargo:l1").ok()
    assert _digests(members)["l1"] != together["l1"]
    source.write_text(text)
    members.doit("cargo:l1").ok()
    assert _digests(members) == together

    common = members.root / "common" / "src" / "lib.rs"
    text = common.read_text()
    common.write_text(text.replace("both", "beide"))
    members.doit("cargo:right").ok()
    assert {n for n, digest in _digests(members).items() if digest != together[n]} == {"right"}
    common.write_text(text)
    members.doit("cargo:l*").ok()
    members.doit("cargo:right").ok()
    assert _digests(members) == together
    members.doit("verify").ok()

    for name in NAMES:  # each from nothing, in the same path
        shutil.rmtree(members.root / "target")
        shutil.rmtree(members.root / "dist")
        members.doit(f"cargo:{name}").ok()
        assert _digests(members) == {name: together[name]}


def test_parameters_name_the_packages_of_the_call(members: Repository) -> None:
    """Without them nobody could build such bytes again: `l1` alone would have `common` without the feature `right`."""
    members.doit("cargo:l1").ok()
    parameters = members.provenance("l1")["buildDefinition"]["externalParameters"]
    assert parameters["groupPackages"] == ["left", "right"]
    assert parameters["package"] == "left"
    assert members.run(str(members.folder("l1") / "l1")).ok().out == "l1 both\n"
    (common,) = [c for c in members.inventory("l1")["components"] if c["name"] == "common"]
    assert common["properties"]["cargo:features"] == "left,right"


SELECTION = ("build", "--release", "--locked", "-v", "-p", "left", "-p", "right")


def test_own_cargo_compiles_nothing_after_us(members: Repository) -> None:
    members.doit().ok()
    assert _lines(members.cargo(*SELECTION)) == {"Fresh"}


def test_own_cargo_compiles_all_that_we_need(members: Repository) -> None:
    members.cargo(*SELECTION)
    members.doit().ok()
    internal = members.provenance("right")["buildDefinition"]["internalParameters"]
    assert internal["unitsCompiled"] == 0
    assert _lines(members.cargo(*SELECTION)) == {"Fresh"}


def test_one_program_of_ours_takes_nothing_from_own_cargo(members: Repository) -> None:
    """Parts of a group, a named target and a doubled run: each leaves the units of the others where they are."""
    members.cargo(*SELECTION)
    members.write({"provenance.toml": f'[cargo]\ntargets = ["{host()}"]\n'})
    members.doit("cargo:l1").ok()
    members.doit("cargo:l2").ok()
    assert _lines(members.cargo(*SELECTION)) == {"Fresh"}
    (members.root / "provenance.toml").unlink()
    members.doit("cargo:right").ok()
    assert _lines(members.cargo(*SELECTION)) == {"Fresh"}


def test_own_cargo_of_one_package_compiles_nothing_again(tmp_path: Path) -> None:
    files = {"Cargo.toml": manifest("one", dependencies=['common = { path = "common" }']), **library("common")}
    made = repository(tmp_path / "work", {**files, "src/main.rs": 'fn main() { println!("{}", common::say()); }\n'})
    made.lock()
    made.doit().ok()
    for arguments in (("build", "--release", "-v"), ("build", "--release", "--bin", "one", "-v")):
        assert _lines(made.cargo(*arguments)) == {"Fresh"}
    made.doit().ok()
    assert _lines(made.cargo("build", "--release", "-v")) == {"Fresh"}


def test_target_folder_holds_nothing_of_ours(members: Repository, tmp_path: Path) -> None:
    """The same files as after the user's own build: no folder, no cache, no flag of ours."""
    names = ("CACHEDIR.TAG", ".rustc_info.json", "release")
    members.doit().ok()
    ours = {p.name for p in (members.root / "target").iterdir()}
    inside = {re.sub(r"-[0-9a-f]{16}", "", p.name) for p in (members.root / "target" / "release").rglob("*")}
    (members.root / "target").rename(tmp_path / "ours")
    members.cargo(*SELECTION)
    assert ours == {p.name for p in (members.root / "target").iterdir()} >= set(names)
    assert inside == {re.sub(r"-[0-9a-f]{16}", "", p.name) for p in (members.root / "target" / "release").rglob("*")}
