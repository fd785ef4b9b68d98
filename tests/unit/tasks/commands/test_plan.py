"""`plan` says what a run would do, and neither does nor writes anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain

from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks import graph

Run = Any  # what the fixture `run` returns
SCHEMA = json.loads((Path(__file__).parents[4] / "docs" / "plan.schema.json").read_bytes())
TEA, MUG, TRAY = (f"kettle:{name}@linux/amd64" for name in ("tea", "mug", "tray"))


@pytest.fixture
def tray(kettle: Any) -> Any:
    """Let there be a tray that tea and mug go into."""
    kettle.names = ["tray", "tea", "mug"]
    kettle.upstream = {"tray": ("tea", "mug")}
    return kettle


def _plan(run: Run, *arguments: str) -> dict[str, dict[str, Any]]:
    ended = run("plan", "--format", "json", *arguments)
    assert (ended.code, ended.err) == (0, "")
    document = json.loads(ended.out)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return {a["artifact"]: a for a in document["artifacts"]}


def _actions(run: Run, *arguments: str) -> dict[str, str]:
    return {id_.partition(":")[2].partition("@")[0]: a["action"] for id_, a in _plan(run, *arguments).items()}


def _contents(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(p.relative_to(root)): (p.stat().st_mtime_ns, b"" if p.is_dir() else p.read_bytes()) for p in root.rglob("*")
    }


def test_what_is_announced_happens(run: Run, tray: Any) -> None:
    assert _actions(run) == {"tea": "build", "mug": "build", "tray": "build"}
    assert run("run").code == 0
    assert sorted(name for call in tray.calls for name in call) == ["mug", "tea", "tray"]
    assert _actions(run) == {"tea": "fresh", "mug": "fresh", "tray": "fresh"}
    tray.calls.clear()
    assert run("run").code == 0
    assert tray.calls == []


def test_maybe_is_decided_by_the_digest(run: Run, tray: Any, root: Path) -> None:
    assert run("run").code == 0
    tea = root / "dist" / "kettle" / "tea" / "linux-amd64" / "tea"
    for content, calls in ((b"tea", [["tea"]]), (b"green tea", [["tea"], ["tray"]])):
        tea.write_bytes(b"poison")
        found = _plan(run)
        assert [a["action"] for a in found.values()] == ["build", "fresh", "maybe"]
        assert found[TRAY]["reasons"] == [{"code": "upstream-changed", "detail": TEA}]
        assert found[TRAY]["digest"].startswith("sha256:")
        tray.content["tea"] = content
        tray.calls.clear()
        assert run("run").code == 0
        assert tray.calls == calls


def test_upstream_comes_along(run: Run, tray: Any) -> None:
    assert list(_plan(run, "kettle:tray")) == [TEA, MUG, TRAY]
    assert list(_plan(run, MUG)) == [MUG]
    assert list(_plan(run, "*m*g*")) == [MUG]
    assert _plan(run, TRAY)[TRAY]["upstream"] == [TEA, MUG]
    assert tray.calls == []


def test_nothing_is_written(run: Run, tray: Any, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a folder, not a key, not what was found out."""
    with monkeypatch.context() as patch:
        patch.setenv("DOIT_PROVENANCE_KEY", str(tmp_path / "none" / "key.pem"))
        for form in ("table", "json", "github"):
            assert run("plan", "--format", form).code == 0
    assert list(root.iterdir()) == []
    assert not (tmp_path / "none").exists()
    assert run("run").code == 0
    before = _contents(root)
    (root / "dist" / "kettle" / "tea" / "linux-amd64" / "tea.spdx.json").touch()
    before = _contents(root)
    for form in ("table", "json", "github"):
        assert run("plan", "--format", form).code == 0
    assert run("explain", "kettle").code == 0
    assert run("list", "--status").code == 0
    assert _contents(root) == before
    assert len(tray.calls) == 3


@pytest.fixture
def beside(run: Run, tray: Any, capfd: pytest.CaptureFixture[str]) -> Run:
    """Return what plans a `dodo.py` that has tasks of the user's own as well."""
    assert run("list").code == 0
    assert tray.calls == []
    settings, task_artifacts = graph.workspace()
    own = {
        "task_artifacts": task_artifacts,
        "task_deploy": lambda: {"actions": None, "task_dep": ["pack"]},
        "task_pack": lambda: {"actions": None, "setup": [MUG], "task_dep": ["kettle:te*"]},
        "task_other": lambda: {"actions": None},
    }

    def plan(default: list[str] | None, *arguments: str) -> list[str]:
        found = own | {"DOIT_CONFIG": settings | ({"default_tasks": default} if default else {})}
        capfd.readouterr()
        assert DoitMain(ModuleTaskLoader(found), config_filenames=()).run(["plan", *arguments]) == 0
        return [line.split()[0] for line in capfd.readouterr().out.splitlines()[:-1]]

    return plan


def test_with_tasks_of_the_users_own(beside: Run) -> None:
    """What a run would come to by them is planned; of themselves there is nothing to say."""
    assert beside(None) == [TEA, MUG, TRAY]
    assert beside(["deploy"]) == [TEA, MUG]
    assert beside(["deploy"], "kettle:tray") == [TEA, MUG, TRAY]
    assert beside(["kettle:m*"]) == [MUG]
    assert beside(None, "other") == []


def test_table(run: Run, tray: Any) -> None:
    assert tray.names
    ended = run("plan")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "kettle:tea@linux/amd64   build   never built",
        "kettle:mug@linux/amd64   build   never built",
        "kettle:tray@linux/amd64  build   never built",
        "3 to build",
    ]


def test_jobs(run: Run, tray: Any, root: Path) -> None:
    (root / "provenance.toml").write_text('[plan.runners]\n"linux/*" = "our-own"\n')
    ended = run("plan", "--format", "github")
    assert ended.code == 0
    waves = json.loads(ended.out)["waves"]
    assert [[e["name"] for e in wave["include"]] for wave in waves] == [["tea", "mug"], ["tray"]]
    assert {e["runner"] for wave in waves for e in wave["include"]} == {"our-own"}
    assert tray.calls == []


def test_check(run: Run, tray: Any) -> None:
    assert run("plan").code == 0
    assert run("plan", "--check").code == 1
    assert run("run").code == 0
    assert run("plan", "--check").code == 0
    assert len(tray.calls) == 3


@pytest.mark.parametrize("named", [[TEA], ["kettle:tea"], ["*:tea"]])
def test_ignored_ones_are_passed_over_as_by_the_run(run: Run, tray: Any, named: list[str]) -> None:
    """And what is made of them, as doit does."""
    assert run("ignore", *named).code == 0
    ended = run("plan")
    assert [line.split()[0] for line in ended.out.splitlines()] == [MUG, "1"]
    assert ended.err == f"ignored, until `doit-provenance forget` names them: {TEA}, {TRAY}\n"
    assert run("run").code == 0
    assert tray.calls == [["mug"]]
    assert run("forget", *named).code == 0
    assert _actions(run) == {"tea": "build", "mug": "fresh", "tray": "build"}


def test_failing_discovery(run: Run, kettle: Any) -> None:
    kettle.discovery = ToolError("there is no kettle", hint="buy one")
    for form in ("json", "github"):
        ended = run("plan", "--format", form)
        assert ended.code == 1
        assert list(json.loads(ended.out).values()) == [[]]
        assert ended.err == "error: there is no kettle\nhint: buy one\n"
    assert run("plan", "kettle").code == 1
    ended = run("plan", "kettle:tea")
    assert (ended.code, ended.out, ended.err) == (1, "", "error: there is no kettle\nhint: buy one\n")


def test_workspace_without_artifacts(run: Run, kettle: Any) -> None:
    kettle.names = []
    assert _plan(run) == {}


@pytest.mark.parametrize("arguments", [["kettle:toa"], ["nothing*"], ["--format", "xml"], ["--frmat=json"]])
def test_wrong_usage(run: Run, kettle: Any, arguments: list[str]) -> None:
    ended = run("plan", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert kettle.calls == []


def test_did_you_mean(run: Run) -> None:
    assert "did you mean `kettle:tea`?" in run("plan", "kettle:toa").err


def test_names_can_not_steer_the_terminal(run: Run, kettle: Any) -> None:
    assert run("run").code == 0
    kettle.inputs = {"src/\x1b[31mmain": "b"}
    assert "\x1b" not in run("plan").out
    assert "\x1b" not in run("explain", "kettle").out


def test_damaged_database_is_no_obstacle(run: Run, root: Path, kettle: Any) -> None:
    assert run("ignore", "kettle").code == 0
    database = root / ".provenance" / "doit.db"
    database.write_bytes(b"nothing" * 1000)
    ended = run("plan")
    assert (ended.code, ended.out.split()[1]) == (0, "build")
    assert ended.err.count("\n") == 1
    assert "is damaged" in ended.err
    assert database.read_bytes() == b"nothing" * 1000
    assert run("run").code == 0
    assert kettle.calls == [["tea"]]
    assert (database.parent / "doit.db.damaged").exists()
