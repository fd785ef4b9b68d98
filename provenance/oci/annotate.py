"""What an image says of itself: OCI's annotations, from labels and from what a caller knows; none is replaced.

image-spec v1.1, annotations.md, "Pre-Defined Annotation Keys".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .keys import KEYS
from .model import Descriptor, Index, Manifest, encode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ..json import JSONValue
    from .writer import LayoutWriter


def labels(config: Mapping[str, JSONValue]) -> dict[str, str]:
    """Return what the labels of an image's configuration say under the keys of annotations, in the order of `KEYS`.

    Labels that a base image has come along with the rest of its configuration, and are then among them.
    """
    match config.get("config"):
        case {"Labels": dict(found)}:
            return {key: value for key in KEYS if isinstance(value := found.get(key), str) and value}
    return {}


def rendered(time: datetime) -> str:
    """Return a UTC time as `created` has it (RFC 3339)."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def annotate(descriptor: Descriptor, wanted: Mapping[str, str], writer: LayoutWriter) -> Descriptor:
    """Add annotations to a manifest or an index, where it does not have them yet; nothing that is there is changed.

    Args:
        descriptor: of it, in the layout that `writer` writes.
        wanted: key to value.
        writer: receives the document; `finish` removes the one that it replaces.

    Raises:
        UnreadableError: it is missing or malformed.
        StoreError: it can't be written.
    """
    found = writer.manifest(descriptor)
    missing = {key: wanted[key] for key in sorted(wanted.keys() - found.annotations.keys())}
    if not missing:
        return descriptor
    annotations: dict[str, JSONValue] = {**found.annotations, **missing}
    document: dict[str, JSONValue] = {**found.document, "annotations": annotations}
    written = writer.add(encode(document), descriptor.media_type)
    return Descriptor(
        media_type=written.media_type,
        digest=written.digest,
        size=written.size,
        platform=descriptor.platform,
        annotations=descriptor.annotations,
        artifact_type=descriptor.artifact_type,
        platform_rest=descriptor.platform_rest,
    )


def shared(images: tuple[Manifest | Index, ...]) -> dict[str, str]:
    """Return the annotations that all of these have, with one value."""
    first, *others = (image.annotations for image in images)
    return {key: value for key, value in first.items() if all(one.get(key) == value for one in others)}
