"""Which display a run has, by where its standard error leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....provenance.sign.place import is_ci
from ..progress import Display

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TextIO


def choose_display(stream: TextIO | None, environ: Mapping[str, str], redact: Callable[[str], str]) -> Display:
    """Return the display for a run whose standard error is `stream`; `None`: it has none.

    In CI it folds, on a terminal it is live, elsewhere it is JSON. CI comes first: some CI systems have terminals.
    """
    if stream is None:
        return Display()
    if is_ci(environ):
        from .folded import Folded, Folds

        return Folded(stream, Folds.of(environ))
    if not stream.isatty():
        from .events import Events

        return Events(stream, redact)
    if environ.get("TERM", "") in {"", "dumb"}:
        from .folded import Folded, Folds

        return Folded(stream, Folds.NONE)
    from .terminal import Terminal

    return Terminal(stream, colours=not environ.get("NO_COLOR"))
