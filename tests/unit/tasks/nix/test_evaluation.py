"""The builder's questions to Nix, with a program in its place that answers what a test says."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.config import load
from doit_provenance.provenance.errors import ConfigError, InputChangedError, ToolError
from doit_provenance.tasks.context import Context
from doit_provenance.tasks.nix.builder import NixBuilder
from doit_provenance.tasks.nix.evaluation import Evaluator, host_system
from doit_provenance.tasks.nix.program import find_nix
from doit_provenance.tasks.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from doit_provenance.provenance.json import JSONValue

SYSTEM = host_system()
DERIVATION = f"/s/{'0' * 32}-wash.drv"
ANSWER: JSONValue = {
    "store": "/s",
    "packages": {SYSTEM: {"wash": {"derivation": DERIVATION, "output": "out"}}},
    "names": {SYSTEM: ["default", "wash"]},
    "meta": [],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """A repository with a flake, and the program that stands for Nix."""

    root: Path
    bin: Path

    def answers(self, answer: JSONValue, *lines: str) -> None:
        """Let the program write an answer, after some lines of `sh`."""
        (self.bin / "answer").write_text(json.dumps(answer), encoding="utf-8")
        program = self.bin / "nix"
        text = "\n".join(["#!/bin/sh", f'echo "$@" >> "{self.bin}/calls"', *lines, f'cat "{self.bin}/answer"', ""])
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)

    def calls(self) -> int:
        path = self.bin / "calls"
        return len([line for line in path.read_text("utf-8").splitlines() if "--json" in line]) if path.exists() else 0

    def workspace(self, table: str = 'packages = ["wash"]') -> Context:
        (self.root / "provenance.toml").write_text(f"[nix]\n{table}\n", encoding="utf-8")
        return Context(workspace=Workspace(root=self.root, config=load(self.root)))


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    """Return such a repository, committed, with an answer."""
    found = Stand(root=tmp_path / "work", bin=tmp_path / "bin")
    for folder in (found.root, found.bin, tmp_path / "etc"):
        folder.mkdir()
    for name in [name for name in os.environ if name.startswith("NIX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NIX_CONF_DIR", str(tmp_path / "etc"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "etc"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("PATH", f"{found.bin}{os.pathsep}{os.environ['PATH']}")
    (found.root / "flake.nix").write_text("{ }\n", encoding="utf-8")
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    for argv in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "state")):
        subprocess.run(["git", *who, *argv], cwd=found.root, check=True, capture_output=True)
    found.answers(ANSWER)
    return found


def test_it_is_off_where_nothing_is_named(stand: Stand) -> None:
    """Nix is neither looked for nor started."""
    (stand.bin / "nix").unlink()
    assert NixBuilder(stand.workspace("")).discover() == ()


def test_packages_become_artifacts(stand: Stand) -> None:
    """And their derivations are their inputs."""
    builder = NixBuilder(stand.workspace())
    (artifact,) = builder.discover()
    assert artifact.id == f"nix:wash@{SYSTEM}"
    values = builder.declare(artifact).values
    assert values == {"resolution:derivation": DERIVATION, "setting:file": '["out", null]'}
    more = NixBuilder(stand.workspace('packages = ["wash"]\nrebuild = true\nbuild-inventory = true\nimages = ["wash"]'))
    (image,) = more.discover()
    assert set(more.declare(image).values) - set(values) == {
        "setting:rebuild",
        "setting:build-inventory",
        "setting:annotations",
    }


def test_answers_are_kept(stand: Stand) -> None:
    """While nothing changes that Nix could see; what is kept and malformed is asked for again."""
    context = stand.workspace()
    for _ in range(2):
        Evaluator(context).evaluate()
    assert stand.calls() == 1
    Evaluator(context).forget()
    Evaluator(context).evaluate()
    assert stand.calls() == 2
    context.memory.put("nix:evaluation", ["something else"])
    assert Evaluator(context).evaluate().names == {SYSTEM: ["default", "wash"]}
    assert stand.calls() == 3


def test_another_program_is_asked_again(stand: Stand) -> None:
    """A newer Nix may evaluate otherwise."""
    context = stand.workspace()
    Evaluator(context).evaluate()
    stand.answers(ANSWER, "# newer")
    context.programs.forget()
    Evaluator(context).evaluate()
    assert stand.calls() == 2


def test_a_change_meanwhile_is_refused(stand: Stand) -> None:
    """What was evaluated is of neither tree, so it is neither kept nor built."""
    stand.answers(ANSWER, f'echo changed > "{stand.root}/flake.nix"')
    context = stand.workspace()
    with pytest.raises(InputChangedError, match="changed while it was evaluated"):
        Evaluator(context).evaluate()
    assert context.memory.get("nix:evaluation") is None


def test_a_change_since_is_refused(stand: Stand) -> None:
    """The files that provenance lists are those that were evaluated."""
    evaluator = Evaluator(stand.workspace())
    evaluator.evaluate()
    assert set(evaluator.sources()) == {"flake.nix"}
    (stand.root / "flake.nix").write_text("{ other = 1; }\n", encoding="utf-8")
    with pytest.raises(InputChangedError):
        evaluator.sources()


def test_failures_have_words_and_hints(stand: Stand) -> None:
    """Nix's message, and what to do; an answer that is none is told as that."""
    stand.answers(ANSWER, "echo \"error: experimental Nix feature 'flakes' is disabled\" >&2; exit 1")
    with pytest.raises(ToolError, match=r"can't evaluate the flake in `.`:\nerror: experimental") as caught:
        Evaluator(stand.workspace()).evaluate()
    assert "experimental-features = true" in (caught.value.hint or "")
    stand.answers(ANSWER, "echo broken; exit 0")
    with pytest.raises(ToolError, match="its answer is not JSON"):
        Evaluator(stand.workspace()).evaluate()


def test_features_are_passed(stand: Stand) -> None:
    """Where the configuration says so, and else not."""
    Evaluator(stand.workspace()).evaluate()
    Evaluator(stand.workspace('packages = ["wash"]\nexperimental-features = true')).evaluate()
    first, second = (
        line for line in (stand.bin / "calls").read_text(encoding="utf-8").splitlines() if line.find("--json") >= 0
    )
    assert "--extra-experimental-features" not in first
    assert second.startswith("--extra-experimental-features nix-command flakes eval --json --no-update-lock-file ")


def test_waiting_is_told(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that stands still because of another process says so."""
    context = stand.workspace()
    said: list[str] = []
    monkeypatch.setattr(context.progress, "notice", lambda event, text: said.append(f"{event} {text}"))
    stand.answers(ANSWER, "echo 'waiting for the big garbage collector lock...' >&2")
    Evaluator(context).evaluate()
    assert said == ["nix.waiting nix: waiting for the big garbage collector lock..."]


def test_there_is_no_nix(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is told with what to do."""
    monkeypatch.setenv("PATH", str(stand.root))
    with pytest.raises(ToolError, match="is not installed") as caught:
        find_nix(stand.workspace())
    assert caught.value.hint == "install Nix, or take `[nix]` out of provenance.toml"


def test_there_is_no_flake(stand: Stand) -> None:
    """Nix would look for one in the folders around."""
    (stand.root / "sub").mkdir()
    with pytest.raises(ConfigError, match=r"no `flake.nix` in `sub`"):
        NixBuilder(stand.workspace('flake = "sub"\npackages = ["wash"]')).discover()


@pytest.mark.parametrize(
    ("names", "proposed"), [(["default", "wash"], ("wash",)), (["default"], ("default",)), ([], None)]
)
def test_proposals(stand: Stand, names: list[JSONValue], proposed: tuple[str, ...] | None) -> None:
    """The packages that have a name of their own."""
    stand.answers([*names, "not fit"])
    found = NixBuilder(stand.workspace("")).propose()
    assert found == ({"nix.packages": proposed} if proposed else {})


def test_no_flake_no_proposal(stand: Stand) -> None:
    """Nor is Nix looked for."""
    (stand.root / "flake.nix").unlink()
    (stand.bin / "nix").unlink()
    assert NixBuilder(stand.workspace("")).propose() == {}
