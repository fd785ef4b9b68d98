"""Which artifacts a flake comes to, and that Nix is asked no more often than something changes that it sees."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from .pots import CONFIGURATION, LEAF, SYSTEM, WASH, Pot, pot

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

SEVERAL = {"default": "wash", "wash": WASH, "wash-oci": LEAF, "wash-oci-debug": LEAF, "leaf": LEAF}


def listed(made: Pot) -> set[str]:
    names = (line.split()[0] for line in made.doit("list").ok().out.splitlines() if line.strip())
    return {name for name in names if "@" in name}


@pytest.fixture
def several(tmp_path: Path) -> Pot:
    return pot(tmp_path, SEVERAL, 'packages = ["wash*"]\nexclude = ["*-debug"]')


def test_globs_choose(several: Pot) -> None:
    """What the configuration names ships, and nothing else; what is not named is not even evaluated."""
    several.flake({**SEVERAL, "broken": 'throw "never asked for"'})
    assert listed(several) == {f"nix:wash@{SYSTEM}", f"nix:wash-oci@{SYSTEM}"}
    assert several.calls() == ["eval"]


def test_a_flake_alone_changes_nothing(several: Pot) -> None:
    """A repository that has a flake is not thereby one that ships packages."""
    several.configure("")
    assert listed(several) == set()
    assert several.calls() == []


def test_init_proposes_packages(several: Pot) -> None:
    """The starter file names the packages, without the alias that `default` is."""
    (several.made.root / "provenance.toml").unlink()
    said = several.doit("init").ok().said
    text = (several.made.root / "provenance.toml").read_text(encoding="utf-8")
    assert '\npackages = ["leaf", "wash", "wash-oci", "wash-oci-debug"]' in text
    assert f"found   nix:wash@{SYSTEM}" in said


def test_the_answer_is_kept_while_it_holds(several: Pot) -> None:
    """Nothing that a flake does not see makes Nix start: what is untracked, touched, or built."""
    several.doit("run").ok()
    assert several.calls()[:2] == ["eval", "build"]
    (several.made.root / "untracked").write_text("new\n", encoding="utf-8")
    os.utime(several.made.root / "flake.nix")
    several.doit("run").ok()
    several.doit("plan").ok()
    listed(several)
    assert several.calls() == []


CHANGES = {
    "an edit of a tracked file": lambda made: made.made.write({"README.md": "again\n"}),
    "an executable bit": lambda made: (made.made.root / "README.md").chmod(0o755),
    "a removed file": lambda made: (made.made.root / "README.md").unlink(),
    "a file that was added": lambda made: (
        made.made.write({"new": "new\n"}),
        made.made.git("add", "new"),
    ),
    "a commit that changes nothing": lambda made: made.made.commit(),
    "the user's nix.conf": lambda made: (made.store / "etc" / "nix.conf").write_text("cores = 1\n", encoding="utf-8"),
    "the packages that are named": lambda made: made.configure('packages = ["leaf"]'),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_flake_sees_counts(several: Pot, change: str) -> None:
    """A change of anything that an evaluation may depend on is followed by one evaluation."""
    several.made.write({"README.md": "read me\n"})
    several.made.commit()
    several.doit("run").ok()
    several.calls()
    CHANGES[change](several)
    several.doit("run").ok()
    assert several.calls().count("eval") == 1
    several.doit("run").ok()
    assert several.calls() == []


def test_an_edit_that_keeps_time_and_size_counts(several: Pot) -> None:
    """In a dirty tree content counts, whatever the file's times say."""
    path = several.made.root / "README.md"
    several.made.write({"README.md": "one\n"})
    several.made.commit()
    several.made.write({"README.md": "two\n"})
    several.doit("run").ok()
    several.calls()
    several.doit("run").ok()
    assert several.calls() == []
    before = path.stat()
    path.write_text("six\n", encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    listed(several)
    assert several.calls() == ["eval"]


def test_variables_of_nix_count(several: Pot) -> None:
    """So does what only the environment says."""
    several.doit("run").ok()
    several.calls()
    several.doit("list", env={"NIX_CONFIG": f"{CONFIGURATION}cores = 1\n"}).ok()
    assert several.calls() == ["eval"]


def test_an_impure_evaluation_is_never_kept(several: Pot) -> None:
    """Where Nix lets a flake read anything, nobody knows what would change its answer."""
    impure = {"NIX_CONFIG": f"{CONFIGURATION}pure-eval = false\n"}
    several.doit("run", env=impure).ok()
    for _ in range(2):
        several.calls()
        several.doit("run", env=impure).ok()
        assert several.calls() == ["eval"]


def test_expressions_ship_by_attribute(tmp_path: Path) -> None:
    """What is no flake is evaluated every time; a function is called with the system that it asks for."""
    made = pot(tmp_path, table='file = "default.nix"\nattributes = ["tools.wash"]')
    made.made.write(
        {
            "default.nix": """
            { system ? "none", more ? 1 }: { tools.wash = derivation {
              name = "wash-${system}"; inherit system; builder = "/bin/sh"; args = [ "-c" "echo wash > $out" ];
            }; }
            """
        }
    )
    assert listed(made) == {f"nix:tools.wash@{SYSTEM}"}
    assert listed(made) == {f"nix:tools.wash@{SYSTEM}"}
    assert made.calls() == ["eval", "eval"]
    made.doit("run").ok()
    assert (made.folder("tools.wash") / f"wash-{SYSTEM}").read_text(encoding="utf-8") == "wash\n"
    assert made.provenance("tools.wash", f"wash-{SYSTEM}")["buildDefinition"]["externalParameters"]["flake"] is None


def test_a_flake_may_lie_in_a_folder(tmp_path: Path) -> None:
    """It sees the whole repository all the same."""
    made = pot(tmp_path, table='flake = "packaging"\npackages = ["wash"]')
    (made.made.root / "packaging").mkdir()
    (made.made.root / "flake.nix").rename(made.made.root / "packaging" / "flake.nix")
    made.made.commit()
    assert listed(made) == {f"nix:wash@{SYSTEM}"}
    made.doit("run").ok()
    made.doit("verify").ok()


MISTAKES = {
    'packages = ["wsh"]': f"nix.packages[0]: `wsh` matches no package of the flake for {SYSTEM}; did you mean `wash`?",
    'packages = ["wash"]\nimages = ["leaf"]': "nix.images[0]: `leaf` matches no package that ships",
    'packages = ["wash"]\nfiles = ["leaf/bin/leaf"]': "nix.files[0]: `leaf` matches no package that ships",
    'packages = ["wash"]\nfiles = ["wash/a/x", "wash/b/x"]': "nix.files: `a/x` and `b/x` would both be the artifact",
    'packages = ["wash"]\nfiles = ["wash/a", "wash/b/*"]': "nix.files: `b/*` names its artifact by wildcards alone",
    'packages = ["wash*"]\nfiles = ["wash/x", "wash/oci"]': "would have one folder",
    'packages = ["wash"]\nfile = "default.nix"': "nix.attributes: missing",
    'attributes = ["wash"]': "nix.file: missing",
    'file = "none.nix"\nattributes = ["wash"]': "nix.file: there is no file `none.nix`",
    'flake = "nowhere"\npackages = ["wash"]': "there is no `flake.nix` in `nowhere`",
}


@pytest.mark.parametrize("table", MISTAKES)
def test_mistakes_are_told(several: Pot, table: str) -> None:
    """Each is told with its place, and what to do."""
    several.configure(table)
    several.doit("run").failed(1, MISTAKES[table])
