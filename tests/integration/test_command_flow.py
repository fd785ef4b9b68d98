"""Commands from provenance.toml to evidence, with the programs of the machine; the page of the build type is true.

`UPDATE_DOCS=1 python -m pytest tests/integration/test_command_flow.py` writes the page's example anew.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from doit_provenance.tasks.command.build import BUILD_TYPE

from . import workspaces
from .pages import Page
from .workspaces import Repository, repository

pytestmark = pytest.mark.integration

_ROOT = Path(__file__).parents[2]
PAGE = Page(builder="command")


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    root = tmp_path_factory.mktemp("page") / "manual"
    made = repository(root, TAR_OPTIONS="--sort=name")
    shutil.copytree(
        _ROOT / "examples" / "manual", root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("dist", ".*")
    )
    (root / "dodo.py").unlink()
    made.commit()
    made.git("remote", "add", "origin", "https://git.example.com/manual.git")
    made.run(*workspaces.DOIT_PROVENANCE).ok()
    return made


def test_example_is_what_a_build_says(manual: Repository) -> None:
    """The example on the page equals the predicate of a real build, volatile values replaced."""
    said = _provenance(manual, "archive", "manual.tar")
    host = said["buildDefinition"]["internalParameters"]["host"]
    PAGE.hold(said, BUILD_TYPE, (re.escape(host), "linux/amd64"))


def test_every_parameter_is_explained() -> None:
    """Each parameter of the example stands in one of the page's tables, and none that no build writes."""
    PAGE.explains_all()


def test_recipe_gives_the_same_bytes(manual: Repository, tmp_path: Path) -> None:
    """What the page says, with an artifact's provenance and in another folder, makes the same bytes."""
    definition = _provenance(manual, "archive", "manual.tar")["buildDefinition"]
    (upstream,) = (m for m in definition["resolvedDependencies"] if m.get("name") == "command:manual@any")
    (tmp_path / "dist").mkdir()
    given = tmp_path / upstream["annotations"]["file"]
    shutil.copy(manual.root / "dist/command/manual/any" / given.name, given)
    argv = [word.replace("{command:manual}", given.name) for word in definition["externalParameters"]["run"]]
    manual.run(*argv, cwd=tmp_path).ok()
    ours = manual.root / "dist/command/archive/any/manual.tar"
    assert (tmp_path / "dist/manual.tar").read_bytes() == ours.read_bytes()


def test_evidence_says_what_an_artifact_was_made_from_and_no_more(manual: Repository) -> None:
    """The upstream artifact and the program by digest; that nobody looked into the file is said in each format."""
    folder = manual.root / "dist/command/archive/any"
    inventory = json.loads((folder / "manual.tar.inventory.json").read_bytes())
    assert inventory["completeness"] == "unknown"
    roles = {c["ref"]: c["role"] for c in inventory["components"]}
    assert roles == {"command:manual@any": "input", "tool:tar": "build"}
    upstream = json.loads((manual.root / "dist/command/manual/any/manual.md.record.json").read_bytes())["digest"]
    material = next(
        m
        for m in _provenance(manual, "archive", "manual.tar")["buildDefinition"]["resolvedDependencies"]
        if m.get("name") == "command:manual@any"
    )
    assert material["digest"] == {"sha256": upstream["sha256"], "sha512": upstream["sha512"]}
    spdx = json.loads((folder / "manual.tar.spdx.json").read_bytes())
    kinds = {r["relationshipType"] for r in spdx["relationships"]}
    assert kinds == {"DESCRIBES", "GENERATED_FROM", "BUILD_TOOL_OF", "BUILD_DEPENDENCY_OF", "DEPENDS_ON"}
    assert [r["relatedSpdxElement"] for r in spdx["relationships"] if r["relationshipType"] == "DEPENDS_ON"] == [
        "NOASSERTION"
    ]
    manual.run(*workspaces.DOIT_PROVENANCE, "verify").ok()


def test_only_what_changed_runs(tmp_path: Path) -> None:
    """Nothing runs twice for the same inputs; a change goes as far downstream as digests differ."""
    made = _counting(tmp_path)
    made.doit().ok()
    assert _runs(made) == {"words": 1, "count": 1, "other": 1}
    made.doit().ok()
    assert _runs(made) == {"words": 1, "count": 1, "other": 1}
    made.write({"src/b.txt": "three four\n"})  # as many words: `count` stays as it is
    made.doit().ok()
    assert _runs(made) == {"words": 2, "count": 1, "other": 1}
    made.write({"src/new.txt": "five\n"})
    made.doit().ok()
    assert _runs(made) == {"words": 3, "count": 2, "other": 1}
    (made.root / "src/new.txt").unlink()
    made.doit(env={"COUNTED": "yes"}).ok()
    assert _runs(made) == {"words": 4, "count": 3, "other": 2}


def _counting(tmp_path: Path) -> Repository:
    """Make a workspace whose commands note each of their runs beside the workspace."""
    notes = shlex.quote(str(tmp_path / "runs"))
    made = repository(
        tmp_path / "counting",
        {
            "src/a.txt": "one two\n",
            "src/b.txt": "two three\n",
            "provenance.toml": f"""
            [command.words]
            run = ["sh", "-c", "echo words >> {notes}; cat src/*.txt | wc -w > dist/words"]
            inputs = ["src/*.txt"]
            outputs = ["dist/words"]

            [command.count]
            run = ["sh", "-c", "echo count >> {notes}; cat {{command:words}} > dist/count"]
            inputs = []
            artifacts = ["command:words"]
            outputs = ["dist/count"]

            [command.other]
            run = ["sh", "-c", "echo other >> {notes}; echo $COUNTED > dist/other"]
            inputs = []
            environment = ["COUNTED"]
            outputs = ["dist/other"]
            """,
        },
    )
    made.commit()
    return made


def _runs(made: Repository) -> dict[str, int]:
    lines = (made.root.parent / "runs").read_text(encoding="ascii").split()
    return {name: lines.count(name) for name in ("words", "count", "other")}


FAILURES = {
    "program": (["no-such-program"], ["`no-such-program` is not installed or not on the PATH"]),
    "exit code": (["sh", "-c", "echo so >&2; exit 3"], ["`sh` failed for `command:x@any` (exit code 3)", "\nso\n"]),
    "signal": (["sh", "-c", "kill -9 $$"], ["`sh` failed for `command:x@any` (ended by signal 9)"]),
    "no output": (["true"], ["the run left no file that matches the output `out/*.txt`"]),
    "two outputs": (
        ["sh", "-c", "touch out/1.txt out/2.txt"],
        ["the output `out/*.txt` has to match one file, not 2, that the run has written: `out/1.txt`, `out/2.txt`"],
    ),
    "edit": (
        ["sh", "-c", "echo x > out/1.txt; echo >> src/a"],
        ["an input changed while it was being built: `src/a`", "run again when it holds still"],
    ),
    "new file": (
        ["sh", "-c", "echo x > out/1.txt; touch src/new"],
        ["an input changed while it was being built: `src/new`", "name it in `exclude` in provenance.toml"],
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_failure_says_why_and_leaves_nothing(tmp_path: Path, failure: str) -> None:
    run, said = FAILURES[failure]
    made = repository(
        tmp_path / "failing",
        {
            "src/a": "a\n",
            "provenance.toml": (
                f"[command.x]\nrun = {json.dumps(run)}\ninputs = ['src/**']\noutputs = ['out/*.txt']\n"
                "platform = 'any'\n"
            ),
        },
    )
    made.doit().failed(1, *said)
    assert not (made.root / "dist/command").exists()


def test_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """One failing task tells them all; what other builders make is built."""
    made = repository(
        tmp_path / "mistaken",
        workspaces.one_program("solo")
        | {
            "provenance.toml": """
            [command.a]
            run = ["cp", "{cargo:solo}", "out/a"]
            inputs = []
            artifacts = ["cargo:sol"]
            outputs = ["out/a"]

            [command.b]
            run = ["cp", "{cargo:solo}", "out/a"]
            inputs = []
            artifacts = ["cargo:solo"]
            outputs = ["out/a"]
            """,
        },
    )
    ran = made.doit("run", "command").failed(1)
    assert "provenance.toml: command.b.outputs[0]: `out/a` is an output of `command.a` too" in ran.said
    assert "command.a.artifacts[0]: `cargo:sol` stands for no artifact; did you mean `cargo:solo`?" in ran.said
    assert "command.a.run[1]: `{cargo:solo}` stands for none of this command's `artifacts`" in ran.said
    made.doit("cargo:solo").ok()


def test_binary_of_cargo_goes_into_a_command(tmp_path: Path) -> None:
    """An artifact of another builder is built before, named by its file, and listed by its digest."""
    made = repository(
        tmp_path / "packed",
        workspaces.one_program("solo")
        | {
            "provenance.toml": """
            [command.said]
            run = ["sh", "-c", "{cargo:solo} > out/said.txt"]
            inputs = []
            artifacts = ["cargo:solo"]
            outputs = ["out/said.txt"]
            platform = "any"
            """,
        },
    )
    made.commit()
    made.doit("command:said").ok()
    assert (made.root / "dist/command/said/any/said.txt").read_text(encoding="ascii") == "hello\n"
    (upstream, _) = _provenance(made, "said", "said.txt")["buildDefinition"]["resolvedDependencies"][-2:]
    assert upstream["name"] == f"cargo:solo@{workspaces.host()}"


def _provenance(made: Repository, name: str, file: str) -> dict[str, Any]:
    bundle = json.loads((made.root / f"dist/command/{name}/any/{file}.provenance.sigstore.json").read_bytes())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    found: dict[str, Any] = statement["predicate"]
    return found
