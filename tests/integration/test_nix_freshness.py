"""When packages of a flake are built again: when their derivations are others, and not when the tree is."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from .pots import CONFIGURATION, SYSTEM, WASH, Pot, flake, pot

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

WASH_ID, LEAF_ID = f"nix:wash@{SYSTEM}", f"nix:leaf@{SYSTEM}"
FRESH: tuple[str, list[str]] = ("fresh", [])
FROM_FILE = 'sh "leaf" "cat ${./leaf.txt} > $out" { }'


@pytest.fixture
def two(tmp_path: Path) -> Pot:
    """Return a repository with two packages, one of them made of a file; both are built."""
    made = pot(tmp_path, {"wash": WASH, "leaf": FROM_FILE})
    made.made.write({"leaf.txt": "leaf\n", "README.md": "read me\n"})
    made.made.commit()
    made.doit("run").ok()
    made.calls()
    return made


def test_nothing_to_do_starts_no_nix(two: Pot) -> None:
    """A run, a plan, an explanation and a verification of what is fresh start nothing of Nix."""
    two.doit("run").ok()
    assert two.actions() == {WASH_ID: FRESH, LEAF_ID: FRESH}
    two.doit("explain", "nix:wash").ok()
    two.doit("verify").ok()
    assert two.calls() == []


def test_twenty_packages_start_no_nix(tmp_path: Path) -> None:
    """However many there are."""
    made = pot(tmp_path, {f"leaf-{n}": f'sh "leaf-{n}" "echo {n} > $out" {{ }}' for n in range(20)})
    made.doit("run").ok()
    assert made.calls().count("build") == 1
    made.doit("run").ok()
    assert made.calls() == []


def test_an_edit_that_changes_no_derivation(two: Pot) -> None:
    """What is evaluated anew and comes to the same derivation is fresh: nothing is built or described again."""
    before = two.made.state()
    two.made.write({"README.md": "read me again\n"})
    two.doit("run").ok()
    assert two.calls() == ["eval"]
    assert two.made.state() == before


def test_an_edit_of_what_goes_in(two: Pot) -> None:
    """Only the package whose derivation is another one is built, and the reason is told."""
    two.made.write({"leaf.txt": "other leaf\n"})
    assert two.actions() == {WASH_ID: FRESH, LEAF_ID: ("build", ["resolution-changed"])}
    two.doit("run").ok()
    assert (two.folder("leaf") / "leaf").read_text(encoding="utf-8") == "other leaf\n"
    assert two.actions() == {WASH_ID: FRESH, LEAF_ID: FRESH}
    (source,) = (
        one for one in two.provenance("leaf")["buildDefinition"]["resolvedDependencies"] if one["name"] == "source"
    )
    assert source["annotations"] == {"dirty": True}


def test_committing_a_dirty_tree_builds_nothing(two: Pot) -> None:
    """It is the same tree, now with a name."""
    two.made.write({"leaf.txt": "other leaf\n"})
    two.doit("run").ok()
    before = two.made.state()
    two.made.commit()
    two.calls()
    two.doit("run").ok()
    assert two.calls() == ["eval"]
    assert two.made.state() == before


def test_a_package_that_reads_the_revision(tmp_path: Path) -> None:
    """What reads `self.rev` is another derivation with each commit."""
    made = pot(tmp_path, {"leaf": 'sh "leaf" "echo ${self.rev or "dirty"} > $out" { }'})
    made.doit("run").ok()
    commit = made.made.commit("next")
    made.doit("run").ok()
    assert (made.folder("leaf") / "leaf").read_text(encoding="utf-8").strip() == commit


def test_an_untracked_file_is_not_seen(two: Pot) -> None:
    """A flake sees what git tracks; nothing else makes anything stale."""
    two.made.write({"other.txt": "new\n"})
    two.doit("run").ok()
    assert two.calls() == []


def test_settings_count(two: Pot) -> None:
    """Another file of the same output is another artifact's bytes, though its derivation is the same."""
    two.configure('packages = ["*"]\nfiles = ["wash/bin/w*"]')
    assert two.actions()[WASH_ID] == ("build", ["setting-changed"])
    assert two.actions()[LEAF_ID] == FRESH


def test_garbage_collection_loses_nothing(two: Pot) -> None:
    """With the store emptied what was built is still fresh; what is stale is evaluated and built again."""
    two.forget_store()
    two.doit("run").ok()
    assert two.calls() == []
    shutil.rmtree(two.folder("wash"))
    two.doit("run").ok()
    assert two.calls()[:2] == ["eval", "build"]
    two.doit("verify").ok()


def test_a_folder_of_evidence_that_is_gone_is_made_again(two: Pot) -> None:
    """A deleted SBOM needs no Nix."""
    (two.folder("wash") / "wash.spdx.json").unlink()
    two.doit("run").ok()
    two.doit("verify").ok()
    assert two.calls() == []


def test_a_path_input_beside_the_repository_counts(tmp_path: Path) -> None:
    """A folder that the lock names by its path is looked at, file by file."""
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "flake.nix").write_text('{ outputs = { self }: { word = "one"; }; }\n', encoding="utf-8")
    made = pot(tmp_path)
    made.flake(
        {"leaf": 'sh "leaf" "echo ${beside.word} > $out" { }'},
        inputs=f'inputs.beside.url = "path:{beside}";',
        names=("self", "beside"),
    )
    made.nix("flake", "lock")
    made.made.commit()
    made.doit("run").ok()
    made.doit("run").ok()
    made.calls()
    (beside / "new").write_text("new\n", encoding="utf-8")
    made.doit("run")
    assert "eval" in made.calls()


def test_names_that_are_no_text(two: Pot) -> None:
    """Git tracks names of any bytes; in a dirty tree each file counts all the same."""
    name = os.fsencode(two.made.root) + b"/\xff\xfe leaf\n"
    with open(name, "wb") as stream:  # noqa: PTH123 - a `Path` is text
        stream.write(b"one\n")
    two.made.git("add", "--all")
    two.doit("run").ok()
    two.calls()
    two.doit("run").ok()
    assert two.calls() == []
    with open(name, "wb") as stream:  # noqa: PTH123 - likewise
        stream.write(b"two\n")
    two.made.write({"leaf.txt": "again\n"})
    two.doit("run").ok()
    two.doit("verify").ok()
    assert two.calls()[:2] == ["eval", "build"]


def test_a_submodule_counts(two: Pot, tmp_path: Path) -> None:
    """Its commit is part of the tree, and so are its files where they differ from it."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("one\n", encoding="utf-8")
    for argv in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "state")):
        two.made.git("-C", str(other), *argv)
    two.made.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "module")
    two.made.commit()
    two.doit("run").ok()
    two.calls()
    two.doit("run").ok()
    assert two.calls() == []
    for text in ("two\n", "six\n"):
        (two.made.root / "module" / "file").write_text(text, encoding="utf-8")
        two.doit("run").ok()
        assert two.calls() == ["eval"]


def test_a_flake_does_not_allow_itself_to_be_impure(tmp_path: Path) -> None:
    """What it sets in `nixConfig` is not applied, though the user's own calls would: what it reads would be kept."""
    colour = 'sh "leaf" "echo ${builtins.getEnv "COLOUR"}. > $out" { }'
    made = pot(tmp_path)
    text = flake({SYSTEM: {"leaf": colour}}, inputs="nixConfig.pure-eval = false;")
    made.made.write({"flake.nix": text})
    made.made.commit()
    env = {"NIX_CONFIG": f"{CONFIGURATION}accept-flake-config = true\n"}
    assert made.nix("eval", "--raw", ".#leaf.args", "--apply", "builtins.toString", env={**env, "COLOUR": "red"}).count(
        "red."
    ), "the scene"
    for name in ("red", "blue"):
        made.doit("run", env={**env, "COLOUR": name}).ok()
        assert (made.folder("leaf") / "leaf").read_text(encoding="utf-8") == ".\n"
