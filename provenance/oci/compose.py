"""The index over the images of several platforms, each built on its own, referred to by digest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import UnreadableError, VerificationError, quoted
from .annotations import shared
from .model import CONFIGS, OCI_INDEX, Descriptor, Manifest, encode, platform_of
from .writer import Means, copy_layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..json import JSONValue
    from ..platform import Platform
    from .writer import LayoutWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The image of one platform: a layout of ours, into which nothing writes any more."""

    platform: Platform
    path: Path


def compose(parts: Sequence[Part], annotations: Mapping[str, str], writer: LayoutWriter) -> Descriptor:
    """Write an index over images, and all that belongs to them; return its descriptor.

    Equal images give an equal index, in whatever order they come. It has the annotations that all images share, and
    those given here whose keys they do not share.

    Args:
        parts: one for each platform.
        annotations: of the index.
        writer: receives everything, by links where the filesystem has them.

    Raises:
        UnreadableError: a part is not a layout of one manifest, or two are for one platform.
        VerificationError: a blob of a part is not that of its descriptor, or its configuration has another platform.
        StoreError: something can't be written.
    """
    ordered = sorted(parts, key=lambda part: str(part.platform))
    if len({part.platform for part in ordered}) != len(ordered) or not ordered:
        raise UnreadableError("an index needs one image for each platform")
    images = [_take(part, writer) for part in ordered]
    entries: list[JSONValue] = [entry.to_json() for entry, _ in images]
    document: dict[str, JSONValue] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    if merged := {**annotations, **shared([image for _, image in images])}:
        document["annotations"] = {key: merged[key] for key in sorted(merged)}
    return writer.add(encode(document), OCI_INDEX)


def _take(part: Part, writer: LayoutWriter) -> tuple[Descriptor, Manifest]:
    """Copy a part, and return its entry in the index and its manifest."""
    entries = copy_layout(part.path, writer, Means.LINK)
    image = writer.manifest(entries[0]) if len(entries) == 1 else None
    if not isinstance(image, Manifest):
        raise UnreadableError(f"{quoted(str(part.path))} must hold one manifest: the image of one platform")
    # An engine chooses by the index, which is more exact on the variant, and must get what it has chosen.
    own = platform_of(writer.config(image)) if image.config.media_type in CONFIGS else None
    if own is not None and (own.os, own.architecture) != (part.platform.os, part.platform.architecture):
        raise VerificationError(f"the image of `{part.platform}` is for `{own}` by its own configuration")
    return replace(entries[0], platform=part.platform, annotations={}, rest={}), image
