from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import BuildError, ToolError
from doit_provenance.tasks import graph, main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from doit_provenance.tasks.session import Session

Run = Any  # what the fixture `run` returns


def _events(ended: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.err.splitlines()]


def test_builds_all_and_says_so(run: Run, kettle: Any) -> None:
    kettle.names = ["tea", "mug"]
    ended = run("run")
    assert ended.code == 0
    first, second, place = ended.out.splitlines()
    assert re.fullmatch(r"kettle:tea@linux/amd64  built  sha256:[0-9a-f]{64}  1 package  \d\.\d s", first)
    assert second.startswith("kettle:mug@linux/amd64  built  sha256:")
    assert place == "in `dist/`, each with its evidence"


def test_events_for_machines(run: Run, kettle: Any) -> None:
    kettle.names = ["tea"]
    ended = run("run")
    (event,) = _events(ended)
    assert datetime.fromisoformat(event.pop("timestamp")).tzinfo is not None
    assert 0 <= event.pop("seconds") < 10
    assert event.pop("digest") in ended.out
    assert event == {"event": "artifact.built", "artifact": "kettle:tea@linux/amd64", "level": "info"}


def test_lines_are_columns(run: Run, kettle: Any) -> None:
    kettle.names = ["tea", "teapot"]
    first, second, _ = run("run").out.splitlines()
    assert first.index("  built  ") == second.index("  built  ")


def test_second_time_all_is_fresh(run: Run, kettle: Any) -> None:
    """Which takes one line, and not even the import of what writes events."""
    kettle.names = ["tea", "mug"]
    assert "  built  " in run().out
    ended = run()
    assert (ended.code, ended.out, ended.err) == (0, "2 artifacts are fresh\n", "")


def test_where_all_is_fresh_doit_has_no_task(run: Run, kettle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kettle.names = ["tea", "mug"]
    assert run().code == 0
    monkeypatch.setattr(main, "tasks", lambda _session: pytest.fail("tasks were made"))
    for selection, count in (((), 2), (("kettle",), 2), (("kettle:m*",), 1), (("-n", "2", "kettle:tea"), 1)):
        ended = run(*selection)
        assert (ended.code, ended.err) == (0, "")
        assert ended.out == f"{count} artifact{'s are' if count > 1 else ' is'} fresh\n"


@pytest.mark.parametrize(
    "arguments",
    [["-a"], ["-r", "json"], ["-o", "results"], ["--single"], ["run", "-r", "console"], ["kettle:t*", "x*"]],
)
def test_what_only_doit_knows_goes_the_ordinary_way(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    assert run().code == 0
    made: list[object] = []
    tasks = main.tasks

    def noticed(session: Session) -> Iterator[graph.Task]:
        made.append(session)
        return tasks(session)

    monkeypatch.setattr(main, "tasks", noticed)
    run(*arguments)
    assert len(made) == 1


def test_ignored_tasks_go_the_ordinary_way(run: Run, kettle: Any) -> None:
    kettle.names = ["tea", "mug"]
    assert run().code == 0
    assert run("ignore", "kettle:mug").code == 0
    assert run().out.splitlines() == ["!! kettle:mug@linux/amd64", "!! kettle:mug", "!! kettle", "1 artifact is fresh"]


@pytest.mark.parametrize("own", [{}, {"task_x": lambda: {"actions": None}}])
def test_tasks_of_the_user_s_own_go_the_ordinary_way(root: Path, kettle_alone: Any, own: dict[str, Any]) -> None:
    assert kettle_alone.names
    _, task_all = graph.workspace()
    namespace: dict[str, Any] = {"workspace": graph.workspace, "task_all": task_all, **own}
    assert (graph.only_source(namespace, ()) is None) == bool(own)
    assert graph.only_source(namespace, ["all"]) is None
    assert root.is_dir()


def test_few_fresh_ones_are_shown_beside_others(run: Run, kettle: Any) -> None:
    kettle.names = ["tea", "mug"]
    assert run("run", "kettle:tea").code == 0
    fresh, built, _ = run("run").out.splitlines()
    assert fresh.split()[:2] == ["kettle:tea@linux/amd64", "fresh"]
    assert built.split()[:2] == ["kettle:mug@linux/amd64", "built"]


def test_many_fresh_ones_are_counted(run: Run, kettle: Any) -> None:
    kettle.names = [f"cup{i}" for i in range(4)]
    assert run("run").code == 0
    kettle.names.append("mug")
    built, counted, _ = run("run").out.splitlines()
    assert built.split()[:2] == ["kettle:mug@linux/amd64", "built"]
    assert counted == "4 other artifacts are fresh"


def test_what_was_reused_is_said(run: Run, kettle: Any) -> None:
    assert run("run").code == 0
    kettle.inputs = {"src/main.tea": "c" * 64}
    line, *rest = run("run").out.splitlines()
    assert line.split()[1] == "rebuilt"
    assert line.endswith("  same bytes: provenance of 2024-05-17 kept")
    assert rest == []


@pytest.mark.parametrize(
    ("selection", "calls"),
    [
        (["kettle:tea-hot@linux/amd64"], [["tea-hot"]]),
        (["kettle:tea-hot"], [["tea-hot"]]),
        (["kettle"], [["tea-hot", "tea-iced"], ["mug"]]),
        (["*tea*"], [["tea-hot", "tea-iced"]]),
        (["kettle:mug", "kettle:tea-iced"], [["mug"], ["tea-iced"]]),
    ],
)
@pytest.mark.parametrize("command", [[], ["run"]])
def test_selection(run: Run, kettle: Any, command: list[str], selection: list[str], calls: list[list[str]]) -> None:
    kettle.names = ["tea-hot", "tea-iced", "mug"]
    assert run(*command, *selection).code == 0
    assert kettle.calls == calls


@pytest.mark.parametrize("kind", [(), ("-P", "process")])
def test_parallel(run: Run, kettle: Any, kind: tuple[str, ...]) -> None:
    """By threads, whatever is asked for: processes would share no builder."""
    kettle.names = ["tea-hot", "tea-iced", "mug", "pot"]
    ended = run("run", "-n", "3", *kind)
    assert ended.code == 0
    assert sorted(kettle.calls) == [["mug"], ["pot"], ["tea-hot", "tea-iced"]]
    assert [line.split()[1] for line in ended.out.splitlines()[:-1]] == ["built"] * 4
    assert [event["event"] for event in _events(ended)] == ["artifact.built"] * 4


def test_another_reporter(run: Run, kettle: Any) -> None:
    kettle.names = ["tea-hot", "tea-iced"]
    assert run("run", "-r", "zero").code == 0
    assert sorted(name for call in kettle.calls for name in call) == ["tea-hot", "tea-iced"]


@pytest.mark.parametrize("pattern", ["kettle:te*x", "*nothing*"])
def test_each_wildcard_must_match(run: Run, kettle: Any, pattern: str) -> None:
    ended = run("run", "kettle:tea*", pattern)
    assert ended.code != 0
    assert f"`{pattern}` matches no task" in ended.err
    assert "Traceback" not in ended.err
    assert kettle.calls == []


def test_unknown_name(run: Run, kettle: Any) -> None:
    ended = run("run", "kettle:toa")
    assert ended.code == 3
    assert ended.err.splitlines() == [
        "ERROR: `kettle:toa` is not a command, a task, or a target of a task; did you mean `kettle:tea`?",
        "hint: `doit-provenance list` shows the tasks",
    ]
    assert kettle.calls == []


@pytest.mark.parametrize("name", ["kettle:tea", "kettle:te*"])
def test_name_of_what_could_not_be_found(run: Run, kettle: Any, name: str) -> None:
    """It is not the name that is wrong."""
    kettle.discovery = ToolError("there is no kettle", hint="buy one")
    ended = run("run", name)
    assert ended.code == 3
    first, *rest = ended.err.splitlines()
    assert first.startswith(f"ERROR: `{name}` ")
    assert first.endswith("; but not all could be found")
    assert rest == ["`kettle` can't tell what it builds: there is no kettle", "hint: buy one"]


def test_failing_group_is_explained_once(run: Run, kettle: Any, root: Path) -> None:
    kettle.names = ["tea-hot", "tea-iced"]
    kettle.building = BuildError("the kettle leaks", hint="mend it")
    ended = run("run", "--continue")
    assert ended.code == 1
    assert ended.out == (
        "error: `kettle:tea-hot@linux/amd64`, `kettle:tea-iced@linux/amd64`: the kettle leaks\nhint: mend it\n"
    )
    assert [event["event"] for event in _events(ended)] == ["artifact.failed"] * 2
    assert "Traceback" not in ended.err
    assert not (root / "dist").exists()


def test_what_was_not_reached_is_said(run: Run, kettle: Any) -> None:
    kettle.names = ["tea", "mug", "pot"]
    kettle.building = BuildError("the kettle leaks")
    ended = run("run")
    assert ended.code == 1
    first, second = ended.out.splitlines()
    assert first == "2 artifacts were not reached; `doit run --continue` continues after failures"
    assert second == "error: `kettle:tea@linux/amd64`: the kettle leaks"


@pytest.mark.parametrize("reporter", ["console", "executed-only", "zero", "error-only", "json"])
@pytest.mark.parametrize("fails", [False, True])
def test_reporters_of_doits_own(run: Run, kettle: Any, reporter: str, *, fails: bool) -> None:
    kettle.names = ["tea", "mug"]
    kettle.building = BuildError("the kettle leaks") if fails else None
    ended = run("run", "-r", reporter, "--continue")
    assert ended.code == (1 if fails else 0)
    assert "Traceback" not in ended.out + ended.err
    assert ("the kettle leaks" in ended.out) == (fails and reporter != "zero")
    if reporter == "json":
        assert {task["name"] for task in json.loads(ended.out)["tasks"]} >= {"kettle:tea@linux/amd64"}


def test_results_into_a_file(run: Run, root: Path) -> None:
    ended = run("run", "-o", "said.txt", "-v", "0")
    assert (ended.code, ended.out) == (0, "")
    assert "  built  " in (root / "said.txt").read_text()


def test_failing_discovery(run: Run, kettle: Any) -> None:
    kettle.discovery = ToolError("there is no kettle", hint="buy one")
    ended = run("run")
    assert ended.code == 1
    assert "error: `kettle`: there is no kettle\nhint: buy one" in ended.out + ended.err
    assert "can't tell what kettle builds: there is no kettle" in run("list").out


def test_list(run: Run) -> None:
    ended = run("list")
    assert (ended.code, ended.err) == (0, "")
    assert [line.split()[0] for line in ended.out.splitlines()] == ["kettle", "kettle:tea", "kettle:tea@linux/amd64"]


def test_version(run: Run) -> None:
    assert run("--version").out.startswith("doit-provenance ")
