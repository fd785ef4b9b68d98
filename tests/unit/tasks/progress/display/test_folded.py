from __future__ import annotations

import io
import re
import threading
from typing import Any

import pytest

from doit_provenance.provenance.errors import BuildError
from doit_provenance.tasks.progress.display import folded
from doit_provenance.tasks.progress.display.folded import Folded, Folds, fold, without_commands

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
    monkeypatch.setattr(folded, "_PULSE", 0.01)
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
