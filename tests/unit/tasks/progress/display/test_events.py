from __future__ import annotations

import io
import json
from typing import Any

import pytest

from doit_provenance.provenance.errors import BuildError
from doit_provenance.tasks.progress.display.events import Events


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
