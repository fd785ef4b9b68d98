"""A run for machines: events as JSON, one a line."""

from __future__ import annotations

import contextlib
import threading
from functools import cached_property
from typing import TYPE_CHECKING

from ..progress import Display

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TextIO

    from structlog.typing import FilteringBoundLogger

    from ....provenance.json import JSONValue
    from ..transcript import Transcript


class Events(Display):
    """Writes `tool.started`, `tool.ended`, how each artifact's way ended, and notices; what tools write is in the logs.

    The library that writes them takes long to import: nothing of it happens before the first event.
    """

    def __init__(self, stream: TextIO, redact: Callable[[str], str]) -> None:
        self._stream = stream
        self._redact = redact
        self._lock = threading.Lock()

    def begin(self, call: Transcript) -> None:
        """Write which tool was called for what."""
        self._write("info", "tool.started", artifacts=list(call.artifacts), command=call.command, log=call.log)

    def end(self, call: Transcript) -> None:
        """Write how it ended."""
        seconds = round(call.seconds, 3)
        self._write(
            "info" if call.failure is None else "error",
            "tool.ended",
            artifacts=list(call.artifacts),
            error=call.failure,
            log=call.log,
            seconds=seconds,
        )

    def ended(self, artifact: str, event: str, fields: Mapping[str, JSONValue]) -> None:
        """Write what became of an artifact."""
        self._write("error" if event.endswith(".failed") else "info", event, artifact=artifact, **fields)

    def notice(self, event: str, text: str, fields: Mapping[str, JSONValue]) -> None:
        """Write what is about the whole run."""
        self._write("warning", event, message=text, **fields)

    @cached_property
    def _events(self) -> FilteringBoundLogger:
        from ....provenance.log import json_events

        return json_events(self._stream, self._redact)

    def _write(self, level: str, event: str, **fields: JSONValue) -> None:
        present = {name: value for name, value in fields.items() if value is not None}
        # Nobody may be reading any more, or the disk be full.
        with self._lock, contextlib.suppress(OSError):
            getattr(self._events, level)(event, **present)
            self._stream.flush()
