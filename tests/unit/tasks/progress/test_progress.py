from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import BuildError, ToolError
from doit_provenance.tasks.artifacts import Artifact
from doit_provenance.tasks.progress.progress import Display, Progress, Step, duration

if TYPE_CHECKING:
    from pathlib import Path

    from doit_provenance.tasks.progress.transcript import Transcript


def _artifact(name: str) -> Artifact:
    return Artifact(builder="kettle", name=name, platform="any", group="g", file=name)


TEA, MUG = _artifact("tea"), _artifact("mug")


class Heard(Display):
    """Takes note of what it is told."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def step(self, artifact: str, step: Step) -> None:
        self.heard.append((artifact, step))

    def begin(self, call: Transcript) -> None:
        self.heard.append(("begin", call.artifacts, call.command, call.log))

    def line(self, call: Transcript) -> None:
        self.heard.append(("line", call.latest))

    def end(self, call: Transcript) -> None:
        self.heard.append(("end", call.failure))

    def notice(self, event: str, text: str, fields: Any) -> None:
        self.heard.append((event, text, fields))

    def suspend(self) -> None:
        self.heard.append("suspended")

    def resume(self) -> None:
        self.heard.append("resumed")


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    return Progress(tmp_path, tmp_path / ".provenance")


@pytest.fixture
def heard(progress: Progress) -> list[Any]:
    display = progress.display = Heard()
    return display.heard


def _fails(progress: Progress, error: Exception, wrote: bytes, *arguments: str) -> None:
    """Let a call of a tool end by an error."""
    with progress.call([TEA, MUG], ["boil", *arguments]) as sink:
        sink(wrote)
        raise error


def test_display_hears_of_a_call(progress: Progress, heard: list[Any]) -> None:
    with progress.call([TEA, MUG], ["boil", "water"]) as sink:
        sink(b"hot\n")
    progress.step(TEA.id, Step.SIGNING)
    log = ".provenance/logs/kettle/tea/any.log"
    assert heard == [
        ("begin", (TEA.id, MUG.id), "boil water", log),
        ("line", "hot"),
        ("end", None),
        (TEA.id, Step.SIGNING),
    ]
    assert progress.log_of(MUG) == ".provenance/logs/kettle/mug/any.log"
    assert progress.log_of(_artifact("pot")) is None


def test_failing_build_names_its_log(progress: Progress, tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        _fails(progress, BuildError("`boil` failed", hint="mend it"), b"it leaks\n")
    log = ".provenance/logs/kettle/tea/any.log"
    assert str(caught.value) == f"`boil` failed\nhint: mend it\nlog: {log}"
    assert "# failed after 0.0 s: `boil` failed\n" in (tmp_path / log).read_text()
    call = progress.failed_call(MUG.id)
    assert call is not None
    assert call.shown == "it leaks\n"


def test_other_errors_are_not_the_tools(progress: Progress) -> None:
    with pytest.raises(ToolError):
        _fails(progress, ToolError("nobody understands the kettle"), b"all is well\n")
    assert progress.failed_call(TEA.id) is None


def test_interrupted_call_is_told_to_be_so(progress: Progress, heard: list[Any]) -> None:
    with pytest.raises(KeyboardInterrupt), progress.call([TEA], ["boil"]):
        raise KeyboardInterrupt
    assert heard[-1] == ("end", "interrupted")


@pytest.mark.parametrize("name", ["DOIT_PROVENANCE_PASSPHRASE", "DOIT_PROVENANCE_KEY"])
def test_no_secret_is_logged(
    progress: Progress, tmp_path: Path, heard: list[Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "hunter2")
    with pytest.raises(BuildError):
        _fails(progress, BuildError("hunter2 leaks"), b"its name is hunter2\n", "--with=hunter2")
    text = (tmp_path / ".provenance/logs/kettle/tea/any.log").read_text()
    assert text.count("***") == 3
    assert "hunter2" not in text
    assert "hunter2" not in repr(heard[:2])


def test_passphrase_that_somebody_types_is_never_shown(progress: Progress, tmp_path: Path, heard: list[Any]) -> None:
    """And whoever types it has the screen."""

    def prompt(text: str) -> str:
        heard.append(text)
        return "hunter2"

    assert progress.asking(prompt)("passphrase: ") == "hunter2"
    assert heard == ["suspended", "passphrase: ", "resumed"]
    with progress.call([TEA], ["boil"]) as sink:
        sink(b"hunter2\n")
    assert "hunter2" not in (tmp_path / ".provenance/logs/kettle/tea/any.log").read_text()
    progress.notice("key.made", "made hunter2", path="p")
    assert heard[-1] == ("key.made", "made ***", {"path": "p"})


def test_logs_that_can_not_be_written_fail_no_build(progress: Progress, tmp_path: Path, heard: list[Any]) -> None:
    (tmp_path / ".provenance").mkdir()
    (tmp_path / ".provenance" / "logs").write_text("something else")
    for _ in range(2):
        with progress.call([TEA], ["boil"]) as sink:
            sink(b"hot\n")
    told = [entry for entry in heard if entry[0] == "log.unwritable"]
    assert told == [
        (
            "log.unwritable",
            "warning: can't write logs to `.provenance/logs`: Not a directory; the build continues without them",
            {"folder": ".provenance/logs"},
        )
    ]
    assert progress.log_of(TEA) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1 min 00 s"), (754.9, "12 min 34 s")]
)
def test_length_of_time(seconds: float, text: str) -> None:
    assert duration(seconds) == text
