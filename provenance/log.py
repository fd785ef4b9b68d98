"""Structured events as JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping
    from typing import Any, TextIO

    from structlog.typing import FilteringBoundLogger


def json_events(stream: TextIO, redact: Callable[[str], str]) -> FilteringBoundLogger:
    """Return a logger that writes each event to `stream`, as one line of JSON without what `redact` takes out of texts.

    A line has `timestamp` (RFC 3339, UTC), `level` (`info`, `warning`, `error`), `event` (as `artifact.built`) and the
    fields of the event. It may be used from any thread, and sets up nothing that other users of structlog would see.
    """
    import structlog

    def redacted(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        return {name: _without_secrets(value, redact) for name, value in event.items()}

    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=[
            redacted,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        cache_logger_on_first_use=True,
    )
    return logger


def _without_secrets(value: object, redact: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list | tuple):
        return [_without_secrets(item, redact) for item in value]
    return value
