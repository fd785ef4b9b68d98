"""doit's own commands with artifacts: they tell the truth, and end without a traceback."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import ToolError

if TYPE_CHECKING:
    from pathlib import Path

Run = Any  # what the fixture `run` returns
TEA, MUG = "kettle:tea@linux/amd64", "kettle:mug@linux/amd64"


def _status(run: Run, *arguments: str) -> dict[str, str]:
    lines = run("list", "--status", "-q", *arguments).out.splitlines()
    return {name: status for status, name in (line.split() for line in lines)}


def test_list_tells_the_status(run: Run, kettle: Any, root: Path) -> None:
    kettle.names = ["tea", "mug"]
    assert set(_status(run).values()) == {"R"}
    assert list(root.iterdir()) == []
    assert run("run").code == 0
    assert set(_status(run).values()) == {"U"}
    (root / "dist" / "kettle" / "tea" / "linux-amd64" / "tea.spdx.json").unlink()
    assert _status(run) == {"kettle": "R", "kettle:tea": "R", TEA: "R", "kettle:mug": "U", MUG: "U"}
    assert run("ignore", "kettle:mug").code == 0
    assert _status(run) == {"kettle": "R", "kettle:tea": "R", TEA: "R", "kettle:mug": "I", MUG: "I"}
    assert _status(run, TEA) == {TEA: "R"}


def test_list_lacks_what_a_builder_can_not_tell(run: Run, kettle: Any) -> None:
    kettle.discovery = ToolError("there is no kettle", hint="buy one")
    ended = run("list", "--status")
    assert (ended.code, ended.err) == (1, "error: there is no kettle\nhint: buy one\n")
    assert ended.out.startswith("E kettle   can't tell what kettle builds")


def test_status_that_can_not_be_told(run: Run, kettle: Any, root: Path) -> None:
    assert run("run").code == 0
    (root / "team.pub").write_text("no key")
    (root / "provenance.toml").write_text('[signing]\npublic-keys = ["team.pub"]\n')
    for command in (["list", "--status"], ["info", TEA], ["plan"]):
        ended = run(*command)
        assert ended.code == 2, command
        assert ended.err.startswith("error: "), command
    assert run("list").code == 0
    assert kettle.calls == [["tea"]]


def test_info(run: Run, kettle: Any) -> None:
    ended = run("info", TEA)
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.splitlines() == [
        "",
        TEA,
        "",
        "tea for linux/amd64, with its evidence",
        "",
        "status     : run",
        " - never built",
        "",
        "targets    : ",
        " - dist/kettle/tea/linux-amd64/",
    ]
    assert run("run").code == 0
    ended = run("info", "kettle")
    assert (ended.code, ended.err) == (0, "")
    assert f"status     : up-to-date\n\ntask_dep   : \n - {TEA}\n" in ended.out
    assert "status" not in run("info", "--no-status", TEA).out
    assert kettle.calls == [["tea"]]


@pytest.mark.parametrize("arguments", [[], ["kettle:toa"], [TEA, "kettle"]])
def test_info_of_none(run: Run, arguments: list[str]) -> None:
    ended = run("info", *arguments)
    assert ended.code == 3
    assert ended.err.startswith("ERROR: ")
    assert "Traceback" not in ended.err


def test_info_of_what_can_not_be_found(run: Run, kettle: Any) -> None:
    kettle.discovery = ToolError("there is no kettle")
    ended = run("info", "kettle")
    assert (ended.code, ended.err) == (1, "")
    assert "there is no kettle" in ended.out


def test_ignore_and_forget(run: Run, kettle: Any) -> None:
    kettle.names = ["tea", "mug"]
    assert run("ignore", "kettle:tea").out == f"ignoring {TEA}\n"
    assert run("dumpdb").out == json.dumps({TEA: {"ignore:": "1"}}) + "\n"
    assert run("run").code == 0
    assert kettle.calls == [["mug"]]
    ended = run("forget", "kettle:tea")
    assert ended.out.splitlines()[0] == f"forgetting {TEA}"
    assert "`doit-provenance run -a TASK` builds it again" in ended.out
    assert run("dumpdb").out == ""
    assert run("run").code == 0
    assert kettle.calls == [["mug"], ["tea"]]


@pytest.mark.parametrize("arguments", [[], ["--all"], ["-s", "kettle"]])
def test_forget_all(run: Run, kettle: Any, arguments: list[str]) -> None:
    kettle.names = ["tea", "mug"]
    assert run("ignore", TEA, MUG).code == 0
    ended = run("forget", *arguments)
    assert (ended.code, ended.err) == (0, "")
    assert run("dumpdb").out == ""


@pytest.mark.parametrize("command", ["ignore", "forget", "clean", "reset-dep", "list"])
def test_unknown_names(run: Run, command: str) -> None:
    ended = run(command, "kettle:toa")
    assert ended.code == 3
    assert ended.err == "ERROR: 'kettle:toa' is not a task.\n"


def test_reset_dep_and_strace(run: Run, kettle: Any) -> None:
    ended = run("reset-dep")
    assert (ended.code, ended.err) == (0, "")
    assert run("dumpdb").out == ""
    ended = run("strace", TEA)
    assert ended.code == 3
    assert f"`{TEA}` runs no shell command to trace" in ended.err
    assert kettle.calls == []


def test_clean(run: Run, kettle: Any, root: Path) -> None:
    kettle.names = ["tea", "mug"]
    assert run("run").code == 0
    ended = run("clean", "-n")
    assert (ended.code, ended.err) == (0, "")
    assert f"{TEA} - removing `dist/kettle/tea/linux-amd64`, 8 files\n" in ended.out
    assert (root / "dist" / "kettle" / "tea" / "linux-amd64" / "tea").exists()
    assert run("clean", "kettle:tea").out == f"{TEA} - removing `dist/kettle/tea/linux-amd64`, 8 files\n"
    assert sorted(p.name for p in (root / "dist" / "kettle").iterdir()) == ["mug"]
    assert run("clean", "-a", "--forget").code == 0
    assert [p.name for p in (root / "dist").iterdir()] == [".gitignore"]
    ended = run("clean")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_clean_keeps_what_is_not_ours(run: Run, built: Path) -> None:
    (built / "notes.txt").write_text("mine")
    ended = run("clean")
    assert ended.out.splitlines() == [
        f"{TEA} - removing `dist/kettle/tea/linux-amd64`, 8 files",
        f"{TEA} - keeping `dist/kettle/tea/linux-amd64/notes.txt`: not written by a build",
    ]
    assert [p.name for p in built.iterdir()] == ["notes.txt"]
    assert run("clean").out == (
        f"{TEA} - keeping `dist/kettle/tea/linux-amd64`: it contains no record, so no build may have written it\n"
    )


def test_clean_follows_no_link(run: Run, built: Path, root: Path) -> None:
    elsewhere = root.parent / "elsewhere"
    shutil.move(built, elsewhere)
    built.symlink_to(elsewhere)
    ended = run("clean")
    assert ended.out == f"{TEA} - keeping `dist/kettle/tea/linux-amd64`: `{built}` is a link\n"
    assert len(list(elsewhere.iterdir())) == 8


def test_clean_that_can_not_be_done(run: Run, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", full)
    ended = run("clean")
    assert ended.code == 1
    assert ended.err.startswith("error: can't remove `")
    assert not built.exists(), "no reader finds half of it"
