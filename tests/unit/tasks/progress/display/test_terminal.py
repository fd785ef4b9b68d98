from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.tasks.progress.display.terminal import Terminal
from doit_provenance.tasks.progress.progress import Step

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
