from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from doit.exceptions import InvalidDodoFile, TaskFailed

from doit_provenance.provenance.errors import BuildError, ToolError
from doit_provenance.tasks import graph
from doit_provenance.tasks.reporter import Reporter, session_of
from doit_provenance.tasks.session import Session

if TYPE_CHECKING:
    from pathlib import Path

GREEN, BLACK = "kettle:tea-green@linux/amd64", "kettle:tea-black@linux/amd64"


@pytest.fixture
def tasks(root: Path, kettle_alone: Any) -> dict[str, dict[str, Any]]:
    assert root.is_dir()
    kettle_alone.names = ["tea-green", "tea-black"]
    _, task_artifacts = graph.workspace()
    return {task["basename"]: task for task in task_artifacts()}


def test_artifacts_are_tasks_and_names_and_builders_groups(tasks: dict[str, dict[str, Any]]) -> None:
    assert list(tasks) == [GREEN, BLACK, "kettle:tea-green", "kettle:tea-black", "kettle"]
    assert tasks["kettle:tea-green"]["task_dep"] == [GREEN]
    assert tasks["kettle"]["task_dep"] == [GREEN, BLACK]
    assert tasks["kettle"]["actions"] is None
    assert tasks[GREEN]["doc"] == "tea-green for linux/amd64, with its evidence"


def test_all_share_one_session(tasks: dict[str, dict[str, Any]]) -> None:
    sessions = {id(task["meta"]["doit-provenance"]) for task in tasks.values()}
    assert len(sessions) == 1
    assert isinstance(tasks[GREEN]["meta"]["doit-provenance"], Session)


def test_action_makes_the_artifact(tasks: dict[str, dict[str, Any]], root: Path) -> None:
    ((act, arguments),) = tasks[GREEN]["actions"]
    assert act(*arguments) is None
    assert (root / "dist" / "kettle" / "tea-green" / "linux-amd64" / "tea-green.record.json").is_file()


def _is_up_to_date(task: dict[str, Any]) -> bool:
    ((ask, arguments),) = task["uptodate"]
    found = ask(*arguments)
    assert isinstance(found, bool), "for doit, `None` is another answer"
    return found


def test_task_is_up_to_date_when_its_artifact_is_fresh(tasks: dict[str, dict[str, Any]], root: Path) -> None:
    session = tasks[GREEN]["meta"]["doit-provenance"]
    session.runs = True
    assert not _is_up_to_date(tasks[GREEN])
    ((act, arguments),) = tasks[GREEN]["actions"]
    assert act(*arguments) is None
    session.close()
    _, again = graph.workspace()
    found = {task["basename"]: task for task in again()}
    assert _is_up_to_date(found[GREEN])
    assert not _is_up_to_date(found[BLACK])
    (root / "dist" / "kettle" / "tea-green" / "linux-amd64" / "tea-green.spdx.json").unlink()
    _, again = graph.workspace()
    assert not _is_up_to_date(next(again()))


def test_error_of_judging_is_the_tasks_and_not_doits(
    tasks: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Doit would end with a traceback, and build nothing else."""
    session = tasks[GREEN]["meta"]["doit-provenance"]
    session.runs = True
    session.selected = [GREEN]
    ((act, arguments),) = tasks[GREEN]["actions"]
    assert act(*arguments) is None
    session.close()
    _, again = graph.workspace()
    task = next(again())
    builder = task["meta"]["doit-provenance"].judge.builders["kettle"]

    def fails(_artifact: object) -> None:
        raise ToolError("the kettle is gone", hint="buy one")

    monkeypatch.setattr(builder, "declare", fails)
    assert not _is_up_to_date(task)
    ((act, arguments),) = task["actions"]
    failed = act(*arguments)
    assert isinstance(failed, TaskFailed)
    assert failed.get_msg().strip() == "the kettle is gone\nhint: buy one"


def test_upstream_is_what_tasks_wait_for(root: Path, kettle_alone: Any) -> None:
    assert root.is_dir()
    kettle_alone.names, kettle_alone.upstream = ["tray", "tea"], {"tray": ("tea",)}
    _, task_artifacts = graph.workspace()
    found = {task["basename"]: task for task in task_artifacts()}
    assert found["kettle:tray@linux/amd64"]["task_dep"] == ["kettle:tea@linux/amd64"]
    assert found["kettle:tea@linux/amd64"]["task_dep"] == []


def test_failing_build_is_a_value_for_doit(tasks: dict[str, dict[str, Any]], kettle: Any) -> None:
    kettle.building = BuildError("the kettle leaks", hint="mend it")
    ((act, arguments),) = tasks[GREEN]["actions"]
    failed = act(*arguments)
    assert isinstance(failed, TaskFailed)
    assert failed.get_msg().strip() == "the kettle leaks\nhint: mend it"


def test_failing_discovery_is_one_failing_task(root: Path, kettle_alone: Any) -> None:
    assert root.is_dir()
    kettle_alone.discovery = ToolError("there is no kettle\nat all", hint="buy one")
    _, task_artifacts = graph.workspace()
    (task,) = task_artifacts()
    assert (task["basename"], task["doc"]) == ("kettle", "can't tell what kettle builds: there is no kettle")
    (action,) = task["actions"]
    assert action().get_msg().strip() == "there is no kettle\nat all\nhint: buy one"


def test_failing_discovery_stops_no_other_builder(
    root: Path, kettle_alone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        name = "broken"

        def discover(self) -> tuple[()]:
            raise ToolError("it is broken")

    assert root.is_dir()
    monkeypatch.setattr(graph, "BUILDERS", (lambda _workspace: Broken(), *graph.BUILDERS))
    _, task_artifacts = graph.workspace()
    assert [t["basename"] for t in task_artifacts()] == ["broken", "kettle:tea@linux/amd64", "kettle:tea", "kettle"]
    assert kettle_alone.calls == []


def test_nothing_found_is_no_task(root: Path, kettle_alone: Any) -> None:
    assert root.is_dir()
    kettle_alone.names = []
    _, task_artifacts = graph.workspace()
    assert list(task_artifacts()) == []


def test_wrong_configuration_is_an_error_of_the_whole(root: Path, kettle_alone: Any) -> None:
    (root / "provenance.toml").write_text("[cargo]\nprofil = 'x'\n[projekt]\n")
    _, task_artifacts = graph.workspace()
    with pytest.raises(InvalidDodoFile) as caught:
        list(task_artifacts())
    assert "profil" in str(caught.value)
    assert "projekt" in str(caught.value)
    assert kettle_alone.calls == []


def test_workspace_in_another_folder(root: Path, kettle_alone: Any) -> None:
    (root / "inner").mkdir()
    settings, task_artifacts = graph.workspace("inner")
    assert settings["dep_file"] == str(root / "inner" / ".provenance" / "doit.db")
    assert session_of(_Task(next(task_artifacts()))).workspace.root == root / "inner"  # type: ignore[union-attr] # it has one
    assert kettle_alone.calls == []


class _Task:
    def __init__(self, task: dict[str, Any]) -> None:
        self.meta = task["meta"]


def test_doits_settings(root: Path) -> None:
    settings = graph.doit_config(root)
    assert settings["reporter"] is Reporter
    assert settings["par_type"] == "thread", "builders share a session"
    assert settings["backend"] == "provenance"
    assert list(root.iterdir()) == [], "telling it writes nothing"


def test_nothing_is_written_by_listing(root: Path, kettle_alone: Any) -> None:
    settings, task_artifacts = graph.workspace()
    assert len(list(task_artifacts())) == 3
    assert settings["dep_file"] == str(root / ".provenance" / "doit.db")
    assert list(root.iterdir()) == []
    assert kettle_alone.calls == []


@pytest.mark.parametrize("meta", [None, {}, {"other": 1}, {"doit-provenance": "no session"}])
def test_tasks_of_the_users_own_have_no_session(meta: object) -> None:
    assert session_of(_Task({"meta": meta})) is None
