from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import BuildError, ToolError

if TYPE_CHECKING:
    from pathlib import Path

Run = Any  # what the fixture `run` returns


def test_builds_all_and_says_so(run: Run, kettle: Any) -> None:
    kettle.names = ["tea", "mug"]
    ended = run("run")
    assert (ended.code, ended.err) == (0, "")
    first, second = ended.out.splitlines()
    assert first.startswith("kettle:tea@linux/amd64  built  sha256:")
    assert first.endswith("  1 package  dist/kettle/tea/linux-amd64/")
    assert second.startswith("kettle:mug@linux/amd64  built  sha256:")


def test_lines_are_columns(run: Run, kettle: Any) -> None:
    kettle.names = ["tea", "teapot"]
    first, second = run("run").out.splitlines()
    assert first.index("  built  ") == second.index("  built  ")


def test_second_time_is_unchanged(run: Run) -> None:
    assert "  built  " in run().out
    ended = run()
    assert (ended.code, ended.out.split()[1]) == (0, "unchanged")


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


def test_parallel(run: Run, kettle: Any) -> None:
    kettle.names = ["tea-hot", "tea-iced", "mug", "pot"]
    ended = run("run", "-n", "3")
    assert ended.code == 0
    assert sorted(kettle.calls) == [["mug"], ["pot"], ["tea-hot", "tea-iced"]]
    assert len(ended.out.splitlines()) == 4


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
    assert ended.code != 0
    assert "kettle:toa" in ended.err
    assert "Traceback" not in ended.err
    assert kettle.calls == []


def test_failing_group_is_explained_once(run: Run, kettle: Any, root: Path) -> None:
    kettle.names = ["tea-hot", "tea-iced"]
    kettle.building = BuildError("the kettle leaks", hint="mend it")
    ended = run("run", "--continue")
    assert ended.code != 0
    said = ended.out + ended.err
    assert said.count("the kettle leaks") == 1
    assert "error: `kettle:tea-iced@linux/amd64`: failed with its group, see above" in said
    assert "hint: mend it" in said
    assert "Traceback" not in said
    assert not (root / "dist").exists()


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
