from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from doit_provenance.tasks.artifacts import Artifact
from doit_provenance.tasks.progress.logs import Log, Logs

if TYPE_CHECKING:
    from pathlib import Path


def _artifact(name: str) -> Artifact:
    return Artifact(builder="kettle", name=name, platform="linux/amd64", group="g", file=name)


TEA, MUG = _artifact("tea"), _artifact("mug.d")


def _never(error: OSError) -> None:
    pytest.fail(str(error))


def _written(logs: Logs, *artifacts: Artifact, text: str) -> Log:
    log = logs.open(artifacts)
    log.write(text)
    log.close()
    return log


def test_each_artifact_has_its_log(tmp_path: Path) -> None:
    logs = Logs(tmp_path / "logs", _never)
    assert logs.path(MUG) == tmp_path / "logs" / "kettle" / "mug.d" / "linux-amd64.log"
    _written(logs, TEA, MUG, text="hot\n")
    assert [logs.path(a).read_text() for a in (TEA, MUG)] == ["hot\n"] * 2
    assert logs.has(TEA) == logs.path(TEA)
    assert logs.has(_artifact("pot")) is None


def test_run_replaces_what_an_earlier_one_left(tmp_path: Path) -> None:
    """But not that of an artifact that only the earlier one built, though its log was the same file."""
    _written(Logs(tmp_path, _never), TEA, MUG, text="old\n")
    logs = Logs(tmp_path, _never)
    _written(logs, TEA, text="new\n")
    assert (logs.path(TEA).read_text(), logs.path(MUG).read_text()) == ("new\n", "old\n")


def test_second_call_of_a_run_is_added(tmp_path: Path) -> None:
    logs = Logs(tmp_path, _never)
    _written(logs, TEA, MUG, text="one\n")
    second = _written(logs, TEA, MUG, text="two\n")
    assert logs.path(MUG).read_text() == "one\ntwo\n"
    assert second.read() == "two\n", "what is read is what this call wrote"


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    logs = Logs(tmp_path / "logs", _never)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    logs.path(TEA).parent.mkdir(parents=True)
    logs.path(TEA).symlink_to(victim)
    _written(logs, TEA, text="hot\n")
    assert (victim.read_text(), logs.path(TEA).read_text()) == ("precious", "hot\n")


def test_filesystem_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", link)
    logs = Logs(tmp_path, _never)
    _written(logs, TEA, MUG, text="hot\n")
    assert logs.path(MUG).is_symlink()
    assert logs.path(MUG).read_text() == "hot\n"


def test_logs_that_can_not_be_written_are_told_once(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file of the user's")
    told: list[OSError] = []
    logs = Logs(tmp_path / "logs", told.append)
    for artifact in (TEA, MUG):
        log = _written(logs, artifact, text="hot\n")
        assert (log.path, log.read()) == (None, None)
    assert len(told) == 1


def test_full_disk_stops_the_log_and_nothing_else() -> None:
    told: list[OSError] = []
    log = Log(told.append)
    with open("/dev/full", "ab") as full:  # noqa: PTH123 - a device
        log.attach(os.dup(full.fileno()), full.name)  # type: ignore[arg-type] # never read
    log.write("hot\n")
    log.write("hotter\n")
    assert [error.strerror for error in told] == ["No space left on device"]
    assert log.read() is None
