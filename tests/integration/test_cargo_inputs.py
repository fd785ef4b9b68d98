"""The list of inputs has every file of the user's that can change a binary's bytes, and none that the build made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from doit_provenance.provenance.attest.slsa import inputs_digest
from doit_provenance.provenance.digest import digest_bytes

from .workspaces import Repository, manifest, repository

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
