from __future__ import annotations

import io

import pytest

from doit_provenance.tasks.progress.display.choice import choose_display
from doit_provenance.tasks.progress.display.events import Events
from doit_provenance.tasks.progress.display.folded import Folded
from doit_provenance.tasks.progress.display.terminal import Terminal
from doit_provenance.tasks.progress.progress import Display


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


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
