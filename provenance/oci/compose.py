"""The index over the images of several platforms, each built where it could be, and joined by digest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UnreadableError, VerificationError, quoted
from .annotate import shared
from .layout import opened_layout
from .model import CONFIGS, OCI_INDEX, Descriptor, Manifest, encode
from .platforms import platform_of
from .writer import blob_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..json import JSONValue
    from ..platform import Platform
    from .layout import Layout
    from .writer import LayoutWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The image of one platform: a layout of ours, into which nobody writes any more."""

    platform: Platform
    path: Path


def compose(parts: Sequence[Part], annotations: Mapping[str, str], writer: LayoutWriter) -> Descriptor:
    """Write an index over images, and all that belongs to them; return its descriptor.

    The same images give the same index, in whatever order they come. It has the annotations that all images share, and
    of those given here the ones that they don't.

    Args:
        parts: one for each platform.
        annotations: of the index.
        writer: receives everything, by links where the filesystem has them.

    Raises:
        UnreadableError: a part is no layout of one manifest, or two are for one platform.
        VerificationError: a blob of a part is not what refers to it, or its configuration names another platform.
        StoreError: something can't be written.
    """
    ordered = sorted(parts, key=lambda part: str(part.platform))
    if len({part.platform for part in ordered}) != len(ordered) or not ordered:
        raise UnreadableError("an index needs one image for each platform")
    entries: list[JSONValue] = []
    images = []
    for part in ordered:
        with opened_layout(part.path) as layout:
            root, image = _one(layout)
            _refuse_other_platform(layout, image, part.platform)
            _take(layout, root, image, writer)
        entries.append(
            Descriptor(
                media_type=root.media_type,
                digest=root.digest,
                size=root.size,
                platform=part.platform,
                artifact_type=root.artifact_type,
                platform_rest=root.platform_rest,
            ).to_json()
        )
        images.append(image)
    document: dict[str, JSONValue] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    said: dict[str, JSONValue] = {**annotations, **shared(tuple(images))}
    if said:
        document["annotations"] = {key: said[key] for key in sorted(said)}
    return writer.add(encode(document), OCI_INDEX)


def _one(layout: Layout) -> tuple[Descriptor, Manifest]:
    root = layout.root
    image = layout.manifest(root)
    if not isinstance(image, Manifest):
        raise UnreadableError(f"{quoted(str(layout.path))} holds an index, where the image of one platform is needed")
    return root, image


def _refuse_other_platform(layout: Layout, image: Manifest, platform: Platform) -> None:
    """See that an engine which chooses by the index gets what it has chosen; the index knows the variant better."""
    said = platform_of(layout.config(image)) if image.config.media_type in CONFIGS else None
    if said is not None and (said.os, said.architecture) != (platform.os, platform.architecture):
        raise VerificationError(f"the image of `{platform}` says of itself that it is for `{said}`")


def _take(layout: Layout, root: Descriptor, image: Manifest, writer: LayoutWriter) -> None:
    for one in (root, *image.references):
        if one.lies_elsewhere and not layout.has(one):
            continue
        writer.link(layout.path / blob_name(one), one)
