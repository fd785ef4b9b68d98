from __future__ import annotations

import io
import json
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import BuildError
from doit_provenance.tasks.progress import displays
from doit_provenance.tasks.progress.displays import (
    Events,
    Folded,
    Folds,
    Terminal,
    choose_display,
    fold,
    without_commands,
)
from doit_provenance.tasks.progress.progress import Display, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

HIDDEN, VISIBLE = "\x1b[?25l", "\x1b[?25h"
TEA, MUG = "kettle:tea@any", "kettle:mug@any"


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "10")
    return Screen()


@pytest.fixture
def display(screen: Screen) -> Iterator[Terminal]:
    terminal = Terminal(screen, colours=True)
    yield terminal
    terminal.close()


def _lines(display: Terminal) -> list[str]:
    return display._lines().plain.splitlines()


def test_one_line_for_each_artifact_at_work(display: Terminal) -> None:
    display.step(TEA, Step.SIGNING)
    display.step(MUG, Step.DESCRIBING)
    first, second = _lines(display)
    assert re.fullmatch(r"kettle:tea@any  signing        0\.\d s", first)
    assert re.fullmatch(r"kettle:mug@any  describing     0\.\d s", second)
    display.ended(TEA, "artifact.built", {})
    assert [line.split()[0] for line in _lines(display)] == [MUG]


def test_call_for_many_is_one_line_with_what_the_tool_said_last(display: Terminal, call: Any) -> None:
    seen: list[str] = []

    def line(_: object) -> None:
        seen.extend(_lines(display))

    display.step(TEA, Step.WAITING)
    display.line = line  # type: ignore[method-assign] # to look while the tool runs
    call(display, "tea", "mug", wrote=b"\x1b[32mCompiling\x1b[0m\tleaf\n")
    (row,) = seen
    assert re.fullmatch(r"kettle:tea@any and 1 more  building       0\.\d s  Compiling leaf", row)
    assert _lines(display) == []


def test_terminal_is_left_as_it_was(display: Terminal, screen: Screen) -> None:
    display.step(TEA, Step.SIGNING)
    assert HIDDEN in screen.getvalue()
    display.close()
    display.close()
    assert screen.getvalue().count(HIDDEN) == screen.getvalue().count(VISIBLE) == 1
    display.step(MUG, Step.SIGNING)
    assert screen.getvalue().count(HIDDEN) == 1, "threads that go on draw nothing any more"


def test_nothing_is_drawn_while_somebody_else_has_the_screen(display: Terminal, screen: Screen) -> None:
    display.step(TEA, Step.SIGNING)
    display.suspend()
    display.suspend()
    drawn = len(screen.getvalue())
    display.step(MUG, Step.SIGNING)
    display.resume()
    assert len(screen.getvalue()) == drawn
    display.resume()
    assert len(screen.getvalue()) > drawn


@pytest.mark.parametrize("drawn", [False, True])
def test_notice_stays(display: Terminal, screen: Screen, *, drawn: bool) -> None:
    if drawn:
        display.step(TEA, Step.SIGNING)
    display.notice("lock.waiting", "waiting for `doit [bold]x` (process 7)", {})
    display.close()
    assert "waiting for `doit [bold]x` (process 7)" in re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())


def test_more_artifacts_than_lines(display: Terminal) -> None:
    for number in range(30):
        display.step(f"kettle:cup{number}@any", Step.SIGNING)
    lines = _lines(display)
    assert len(lines) == 9
    assert lines[-1] == "and 22 more"


def test_terminal_that_is_gone() -> None:
    class Gone(Screen):
        def write(self, text: str) -> int:
            raise OSError(5, text)

        def flush(self) -> None:
            raise OSError(5, "gone")

    display = Terminal(Gone(), colours=False)
    display.notice("lock.waiting", "waiting", {})
    display.step(TEA, Step.SIGNING)
    display.close()


@pytest.mark.parametrize(
    ("stream", "environ", "kind"),
    [
        (Screen(), {"TERM": "xterm"}, Terminal),
        (Screen(), {"TERM": "dumb"}, Folded),
        (Screen(), {}, Folded),
        (Screen(), {"TERM": "xterm", "CI": "true"}, Folded),
        (io.StringIO(), {"TERM": "xterm"}, Events),
        (io.StringIO(), {"GITHUB_ACTIONS": "true"}, Folded),
        (None, {"TERM": "xterm"}, Display),
    ],
)
def test_display_of_a_run(stream: io.StringIO | None, environ: dict[str, str], kind: type) -> None:
    assert type(choose_display(stream, environ, str)) is kind


@pytest.mark.parametrize(("environ", "colours"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)])
def test_colours_unless_nobody_wants_them(environ: dict[str, str], *, colours: bool) -> None:
    assert choose_display(Screen(), {"TERM": "xterm", **environ}, str).colours is colours


BODY = r"\$ boil water\n# begun [^\n]*\nhot\n# ended after 0\.\d s\n"


@pytest.mark.parametrize(
    ("environ", "folds"),
    [
        ({"GITHUB_ACTIONS": "true"}, Folds.GITHUB),
        ({"GITLAB_CI": "true"}, Folds.GITLAB),
        ({"BUILDKITE": "true"}, Folds.NONE),
        ({}, Folds.NONE),
    ],
)
def test_how_a_ci_system_folds(environ: dict[str, str], folds: Folds) -> None:
    assert Folds.of(environ) is folds


@pytest.mark.parametrize(
    ("folds", "pattern"),
    [
        (
            Folds.GITHUB,
            rf"::group::kettle:tea@any: built in 0\.\d s\n::stop-commands::(\w{{32}})\n{BODY}::\1::\n::endgroup::\n",
        ),
        (
            Folds.GITLAB,
            (
                r"\x1b\[0Ksection_start:\d+:([a-z0-9_]+)\[collapsed=true\]\r\x1b\[0K"
                rf"kettle:tea@any: built in 0\.\d s\n{BODY}\x1b\[0Ksection_end:\d+:\1\r\x1b\[0K\n"
            ),
        ),
        (Folds.NONE, rf"== kettle:tea@any: built in 0\.\d s\n{BODY}"),
    ],
)
def test_call_is_one_piece(call: Any, folds: Folds, pattern: str) -> None:
    stream = io.StringIO()
    display = Folded(stream, folds)
    call(display, "tea")
    display.close()
    assert re.fullmatch(rf"kettle:tea@any: building\n{pattern}", stream.getvalue()), stream.getvalue()


def test_pieces_of_parallel_calls_never_mix(call: Any) -> None:
    stream = io.StringIO()
    display = Folded(stream, Folds.NONE)
    begun = threading.Barrier(4)
    texts = {name: f"{name}\n".encode() * 200 for name in ("tea", "mug", "pot", "cup")}

    def build(name: str) -> None:
        begun.wait()
        call(display, name, wrote=texts[name])

    threads = [threading.Thread(target=build, args=(name,)) for name in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    display.close()
    for text in texts.values():
        assert text.decode() in stream.getvalue()


def test_no_tool_gives_commands_to_github(call: Any) -> None:
    stream = io.StringIO()
    display = Folded(stream, Folds.GITHUB)
    call(display, "tea", wrote=b"::add-path::/evil\n::endgroup::\n##[group]x\nno end")
    display.close()
    assert _obeyed(stream.getvalue()) == ["group", "endgroup"]


@pytest.mark.parametrize("text", ["::error::x\n", "  ::error::x\n", "##[error]x\n", "::stop-commands::a\n::a::\n"])
def test_guarded_text_is_nothing_but_text(text: str) -> None:
    guarded = Folded(io.StringIO(), Folds.GITHUB).guarded(text)
    assert text in guarded
    assert _obeyed(guarded) == []
    assert Folded(io.StringIO(), Folds.NONE).guarded(text) == text


def _obeyed(text: str) -> list[str]:
    """Return the commands that GitHub's runner would obey, as it reads a log (actions/runner, ActionCommand)."""
    found, token = [], None
    for line in text.splitlines():
        command = re.match(r"\s*::([\w-]+)[^:]*::(.*)", line) or re.search(r"##\[([\w-]+)\](.*)", line)
        if command and token is not None:
            token = None if command[1] == token else token
        elif command and command[1] == "stop-commands":
            token = command[2]
        elif command:
            found.append(command[1])
    assert token is None, "commands are never heard again"
    return found


def test_token_can_not_be_guessed() -> None:
    assert without_commands("x\n").splitlines()[0] != without_commands("x\n").splitlines()[0]


def test_failure_is_an_annotation_once(call: Any) -> None:
    stream = io.StringIO()
    display = Folded(stream, Folds.GITHUB)
    with pytest.raises(BuildError):
        call(display, "tea", error=BuildError("it leaks"))
    display.close()
    assert "::group::kettle:tea@any: failed in 0." in stream.getvalue()
    stream.truncate(stream.seek(0))
    for name in ("tea", "mug"):
        display.ended(f"kettle:{name}@any", "artifact.failed", {"error": "100 %\nsure, it: leaks"})
    display.ended("kettle:pot@any", "artifact.built", {})
    assert stream.getvalue() == "::error title=kettle%3Atea@any::100 %25%0Asure, it: leaks\n"


def test_other_systems_have_no_annotations() -> None:
    stream = io.StringIO()
    Folded(stream, Folds.GITLAB).ended("kettle:tea@any", "artifact.failed", {"error": "it leaks"})
    assert stream.getvalue() == ""


def test_piece_ends_with_a_line() -> None:
    assert fold(Folds.NONE, "title", "no end") == "== title\nno end\n"


def test_signs_of_life(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """CI systems end jobs that are silent for long."""
    monkeypatch.setattr(displays, "_PULSE", 0.01)
    alive = threading.Event()

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            if "building for" in text:
                alive.set()
            return super().write(text)

    class Slow(Folded):
        def line(self, call: Any) -> None:
            assert alive.wait(10)
            super().line(call)

    stream = Stream()
    display = Slow(stream, Folds.NONE)
    call(display, "tea")
    display.close()
    assert "kettle:tea@any: building for 0." in stream.getvalue()


def _events(stream: io.StringIO) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    for event in events:
        del event["timestamp"]
    return events


def test_call_is_told_without_what_the_tool_wrote(call: Any) -> None:
    stream = io.StringIO()
    call(Events(stream, str), "tea", "mug")
    started, ended = _events(stream)
    common = {"artifacts": ["kettle:tea@any", "kettle:mug@any"], "log": ".provenance/logs/kettle/tea/any.log"}
    assert started == {"event": "tool.started", "level": "info", "command": "boil water", **common}
    assert 0 <= ended.pop("seconds") < 10
    assert ended == {"event": "tool.ended", "level": "info", **common}


def test_failing_call(call: Any) -> None:
    stream = io.StringIO()
    with pytest.raises(BuildError):
        call(Events(stream, str), "tea", error=BuildError("it leaks"))
    ended = _events(stream)[-1]
    assert (ended["event"], ended["level"], ended["error"]) == ("tool.ended", "error", "it leaks")


def test_artifacts_and_notices() -> None:
    stream = io.StringIO()
    display = Events(stream, lambda text: text.replace("hunter2", "***"))
    display.ended("kettle:tea@any", "artifact.built", {"digest": "sha256:0", "log": None})
    display.ended("kettle:mug@any", "artifact.failed", {"error": "hunter2"})
    display.notice("lock.waiting", "waiting", {"holder": "doit"})
    assert _events(stream) == [
        {"event": "artifact.built", "level": "info", "artifact": "kettle:tea@any", "digest": "sha256:0"},
        {"event": "artifact.failed", "level": "error", "artifact": "kettle:mug@any", "error": "***"},
        {"event": "lock.waiting", "level": "warning", "message": "waiting", "holder": "doit"},
    ]


def test_nobody_reads_any_more() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(text)

    Events(Closed(), str).notice("lock.waiting", "waiting", {})
