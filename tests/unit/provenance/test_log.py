from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import datetime, timedelta

from doit_provenance.provenance.log import json_events
from doit_provenance.provenance.redaction import Redactor


def test_event_is_a_line_of_json() -> None:
    stream = io.StringIO()
    log = json_events(stream, Redactor())
    log.info("artifact.built", artifact="cargo:wash", seconds=1.5, names=["a\nb"])
    log.error("artifact.failed", artifact="cargo:wash")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert datetime.fromisoformat(first.pop("timestamp")).utcoffset() == timedelta(0)
    assert first == {
        "event": "artifact.built",
        "level": "info",
        "artifact": "cargo:wash",
        "seconds": 1.5,
        "names": ["a\nb"],
    }
    assert (second["event"], second["level"]) == ("artifact.failed", "error")


def test_no_field_holds_a_secret() -> None:
    stream = io.StringIO()
    log = json_events(stream, Redactor.of(['hunter"2']))
    log.info("tool.started", command='x hunter"2', artifacts=['a hunter"2', ("b", 'hunter"2')])
    assert json.loads(stream.getvalue())["artifacts"] == ["a ***", ["b", "***"]]
    assert "hunter" not in stream.getvalue()


def test_others_who_use_structlog_see_nothing_of_it() -> None:
    """Nothing is configured for the whole process, and nothing is imported before the first logger."""
    code = (
        "import sys\nfrom doit_provenance.provenance import log\nassert 'structlog' not in sys.modules\n"
        "log.json_events(sys.stderr, str)\nimport structlog\nassert not structlog.is_configured()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
