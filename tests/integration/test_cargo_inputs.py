"""The list of inputs has every file of the user's that can change a binary's bytes, and none that the build made."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, cast

import pytest

from doit_provenance.provenance.attest.slsa import inputs_digest
from doit_provenance.provenance.digest import digest_bytes

from .workspaces import Repository, library, manifest, repository

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

HELLO = 'fn main() { println!("hello"); }\n'
GENERATES = """
    fn main() {
        let folder = std::env::var("OUT_DIR").unwrap();
        std::fs::write(format!("{folder}/made.rs"), "fn made() {}").unwrap();
        println!("cargo::rerun-if-changed=build.rs");
    }
"""
USES_GENERATED = 'include!(concat!(env!("OUT_DIR"), "/made.rs"));\nfn main() { made() }\n'


def _holds(made: Repository, name: str, *files: str) -> None:
    """Hold that exactly `files` are the inputs of an artifact."""
    wanted = inputs_digest((file, digest_bytes((made.root / file).read_bytes()).sha256) for file in files)
    dependencies = made.provenance(name)["buildDefinition"]["resolvedDependencies"]
    (found,) = [d for d in dependencies if d.get("name") == "inputs"]
    assert found["annotations"]["files"] == len(files)
    assert found["digest"] == {"sha256": wanted}


def test_what_a_build_script_makes_is_none_wherever_it_lies(tmp_path: Path) -> None:
    files = {"Cargo.toml": manifest("solo"), "build.rs": GENERATES, "src/main.rs": USES_GENERATED}
    made = repository(tmp_path / "work", files | {".cargo/config.toml": '[build]\nbuild-dir = "../between"\n'})
    made.lock()
    made.doit().ok()
    assert list(tmp_path.glob("between/release/build/*/out/made.rs"))
    _holds(made, "solo", ".cargo/config.toml", "Cargo.lock", "Cargo.toml", "build.rs", "src/main.rs")


def test_sources_whose_paths_cargo_cuts(tmp_path: Path) -> None:
    """Relative to a folder of the configuration, not to where `doit` runs."""
    files = {
        "provenance.toml": '[cargo]\nmanifests = ["rust/Cargo.toml"]\n',
        "rust/.cargo/config.toml": '[build]\ndep-info-basedir = "."\n',
        "rust/Cargo.toml": manifest("solo"),
        "rust/src/main.rs": f"mod other;\n{HELLO}",
        "rust/src/other.rs": "",
    }
    made = repository(tmp_path / "work", files)
    made.lock("rust")
    made.doit().ok()
    names = (".cargo/config.toml", "Cargo.lock", "Cargo.toml", "src/main.rs", "src/other.rs")
    _holds(made, "solo", *(f"rust/{name}" for name in names))


ALWAYS = ("Cargo.lock", "Cargo.toml")
READS = """
    fn main() {
        println!("cargo::rustc-env=TEXT={}", std::fs::read_to_string("data/text").unwrap());
    }
"""


def test_whole_package_where_its_build_script_does_not_say_what_it_reads(tmp_path: Path) -> None:
    files = {
        "Cargo.toml": manifest("solo", '[workspace]\nmembers = ["inner"]'),
        "build.rs": READS,
        "data/text": "one",
        "src/main.rs": 'fn main() { println!(env!("TEXT")) }\n',
        **library("inner"),
    }
    made = repository(tmp_path / "work", files)
    made.lock()
    inputs = (*ALWAYS, "build.rs", "data/text", "dodo.py", "src/main.rs")
    for text in ("one", "two"):
        made.write({"data/text": text})
        made.doit().ok()
        assert made.run(str(made.folder("solo") / "solo")).ok().out == f"{text}\n"
        _holds(made, "solo", *inputs)


def test_manifest_from_which_a_package_of_another_workspace_inherits(tmp_path: Path) -> None:
    files = {
        "provenance.toml": '[cargo]\nmanifests = ["mine/Cargo.toml"]\n',
        "mine/Cargo.toml": manifest("solo", dependencies=['part = { path = "../other/part" }']),
        "mine/src/main.rs": "fn main() { part::say(); }\n",
        "other/Cargo.toml": '[workspace]\nmembers = ["part"]\n[workspace.package]\nedition = "2021"\n',
        "other/part/Cargo.toml": '[package]\nname = "part"\nedition.workspace = true\n',
        "other/part/src/lib.rs": "pub fn say() {}\n",
    }
    made = repository(tmp_path / "größe und mehr", files)
    made.lock("mine")
    made.doit().ok()
    own = (*(f"mine/{name}" for name in ALWAYS), "mine/src/main.rs")
    _holds(made, "solo", *own, "other/Cargo.toml", "other/part/Cargo.toml", "other/part/src/lib.rs")


def test_inputs_are_the_same_alone_and_with_siblings(tmp_path: Path) -> None:
    """The packages of a group decide together on features, so the manifest of a sibling's dependency counts too."""
    files = {
        "Cargo.toml": '[workspace]\nmembers = ["one", "two", "part"]\nresolver = "2"\n',
        "one/Cargo.toml": manifest("one"),
        "one/src/main.rs": HELLO,
        "two/Cargo.toml": manifest("two", dependencies=["part"]),
        "two/src/main.rs": "fn main() { part::say(); }\n",
        **library("part"),
    }
    made = repository(tmp_path / "work", files)
    made.lock()
    inputs = (*ALWAYS, "one/Cargo.toml", "one/src/main.rs", "part/Cargo.toml", "two/Cargo.toml")
    made.doit("cargo:one").ok()
    _holds(made, "one", *inputs)
    for record in made.root.glob("dist/cargo/one/*"):
        shutil.rmtree(record)
    made.doit().ok()
    _holds(made, "one", *inputs)
    _holds(made, "two", *(set(inputs) - {"one/src/main.rs"}), "part/src/lib.rs", "two/src/main.rs")


def test_digests_of_a_vendored_package(tmp_path: Path) -> None:
    """Cargo takes sources that were edited after vendoring, as long as this file says so."""
    source = "registry+https://github.com/rust-lang/crates.io-index"
    lock = f'version = 4\n[[package]]\nname = "part"\nversion = "0.1.0"\nsource = "{source}"\nchecksum = "{"0" * 64}"\n'
    files = {
        ".cargo/config.toml": '[source.crates-io]\nreplace-with = "own"\n[source.own]\ndirectory = "vendor"\n',
        "Cargo.toml": manifest("solo", dependencies=['part = "0.1"']),
        "Cargo.lock": f'{lock}[[package]]\nname = "solo"\nversion = "0.1.0"\ndependencies = ["part"]\n',
        "src/main.rs": "fn main() { part::say(); }\n",
        **{f"vendor/{name}": text for name, text in library("part").items()},
        "vendor/part/.cargo-checksum.json": f'{{"files": {{}}, "package": "{"0" * 64}"}}',
    }
    made = repository(tmp_path / "work", files)
    made.doit().ok()
    _holds(made, "solo", *ALWAYS, ".cargo/config.toml", "src/main.rs", "vendor/part/.cargo-checksum.json")


@pytest.mark.parametrize("way", ["ignored", "assumed to be unchanged", "of a repository around it"])
def test_input_that_is_not_in_the_commit_makes_the_source_dirty(tmp_path: Path, way: str) -> None:
    """`git status` is silent about each of them, and without it a verifier takes the commit for the source."""
    around = repository(tmp_path / "work", {".gitignore": "target\n__pycache__\n/inner\n/src/made.rs\n"})
    made = repository(around.root / "inner", GIT_CEILING_DIRECTORIES=str(tmp_path)) if "around" in way else around
    made.environ["DOIT_PROVENANCE_KEY"] = str(tmp_path / "key.pem")
    made.write({"Cargo.toml": manifest("solo"), "src/main.rs": "fn main() {}\n"})
    made.lock()
    around.commit()
    made.doit().ok()
    assert _source(made)["annotations"] == {"dirty": "around" in way}
    if way == "ignored":
        made.write({"src/main.rs": f"mod made;\n{HELLO}"})
        made.commit()
        made.write({"src/made.rs": ""})
    elif "assumed" in way:
        made.git("update-index", "--assume-unchanged", "src/main.rs")
        made.write({"src/main.rs": HELLO})
    made.doit().ok()
    assert around.git("status", "--porcelain") == ""
    assert _source(made)["annotations"] == {"dirty": True}


def test_input_behind_a_link_is_in_the_commit(tmp_path: Path) -> None:
    made = repository(tmp_path / "work", {"Cargo.toml": manifest("solo"), ".gitignore": "target\n__pycache__\n"})
    made.write({"shared/main.rs": HELLO})
    (made.root / "src").symlink_to("shared")
    made.lock()
    made.commit()
    made.doit().ok()
    assert _source(made)["annotations"] == {"dirty": False}


def _source(made: Repository) -> dict[str, Any]:
    dependencies = made.provenance("solo")["buildDefinition"]["resolvedDependencies"]
    (found,) = [d for d in dependencies if d.get("name") == "source"]
    return cast("dict[str, Any]", found)
