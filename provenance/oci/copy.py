"""A layout that somebody else has made, taken into one that is being written."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ..errors import UnreadableError, VerificationError, quoted
from .layout import Layout, opened_layout
from .model import INDEXES, MANIFESTS, Descriptor
from .writer import LayoutWriter, blob_name

if TYPE_CHECKING:
    from pathlib import Path


class Means(StrEnum):
    """How a blob comes into the other layout."""

    COPY = "copy"
    """Its owner may write into the file later."""
    LINK = "link"
    """Nobody will: the layout is ours, as what a build left in a folder of ours."""


def copy_layout(path: Path, writer: LayoutWriter, means: Means = Means.COPY) -> tuple[Descriptor, ...]:
    """Add all that a layout's index lists to the one that is written; return the entries, each once.

    What an index lists but the layout does not hold is passed over, as engines list platforms that they have not
    pulled; whoever needs it is told so then.

    Raises:
        UnreadableError: it is no layout, or a manifest is malformed.
        VerificationError: a blob is not what refers to it.
        StoreError: a blob can't be written.
    """
    with opened_layout(path) as layout:
        try:
            _copy_all(layout, writer, means)
        except (UnreadableError, VerificationError) as error:
            raise type(error)(f"{quoted(str(path))}: {error.message}") from error
        return tuple({one.digest: one for one in layout.index.manifests}.values())


def _copy_all(layout: Layout, writer: LayoutWriter, means: Means) -> None:
    waiting, seen = list(layout.index.manifests), set[tuple[str, str]]()
    while waiting:
        one = waiting.pop()
        step = (one.digest, one.media_type)
        if step in seen or not layout.has(one):
            continue
        seen.add(step)
        if means is Means.LINK:
            writer.link(layout.path / blob_name(one), one)
        elif not writer.has(one):
            with layout.blob(one) as stream:
                writer.add(stream, one.media_type, expected=one)
        if one.media_type in INDEXES | MANIFESTS:
            waiting += writer.manifest(one).references
