"""Annotations of images (image-spec v1.1, annotations.md): their keys, from labels, added to manifests and indexes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ..json import JSONValue
    from .model import Descriptor, Document
    from .writer import LayoutWriter

_PREFIX = "org.opencontainers.image."
CREATED = f"{_PREFIX}created"
AUTHORS = f"{_PREFIX}authors"
URL = f"{_PREFIX}url"
DOCUMENTATION = f"{_PREFIX}documentation"
SOURCE = f"{_PREFIX}source"
VERSION = f"{_PREFIX}version"
REVISION = f"{_PREFIX}revision"
VENDOR = f"{_PREFIX}vendor"
LICENSES = f"{_PREFIX}licenses"
TITLE = f"{_PREFIX}title"
DESCRIPTION = f"{_PREFIX}description"
BASE_NAME = f"{_PREFIX}base.name"
BASE_DIGEST = f"{_PREFIX}base.digest"
KEYS = (
    *(CREATED, AUTHORS, URL, DOCUMENTATION, SOURCE, VERSION, REVISION, VENDOR, LICENSES, TITLE, DESCRIPTION),
    *(BASE_NAME, BASE_DIGEST),
)
"""The pre-defined keys that describe the image; `ref.name` describes an entry of a layout."""
REF_NAME = f"{_PREFIX}ref.name"
CONTAINERD_NAME = "io.containerd.image.name"


def labels(config: Mapping[str, JSONValue]) -> dict[str, str]:
    """Return the labels of an image's configuration that are pre-defined annotation keys, in the order of `KEYS`.

    Labels of a base image are among them, as the configuration inherits them.
    """
    match config.get("config"):
        case {"Labels": dict(found)}:
            return {key: value for key in KEYS if isinstance(value := found.get(key), str) and value}
    return {}


def rendered(time: datetime) -> str:
    """Return a UTC time as `created` has it (RFC 3339)."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def annotate(descriptor: Descriptor, wanted: Mapping[str, str], writer: LayoutWriter) -> Descriptor:
    """Add annotations to a manifest or an index unless it has them; existing ones are not changed.

    Args:
        descriptor: of it, in the layout that `writer` writes.
        wanted: key to value.
        writer: receives the new document; `finish` removes the one that it replaces.

    Raises:
        UnreadableError: it is missing or malformed.
        StoreError: it can't be written.
    """
    from .model import encode

    document = writer.manifest(descriptor)
    missing = {key: wanted[key] for key in sorted(wanted.keys() - document.annotations.keys())}
    if not missing:
        return descriptor
    annotations: dict[str, JSONValue] = {**document.annotations, **missing}
    written = writer.add(encode({**document.document, "annotations": annotations}), descriptor.media_type)
    return replace(descriptor, digest=written.digest, size=written.size, rest={})


def shared(images: Sequence[Document]) -> dict[str, str]:
    """Return the annotations that all of these have, with the same value."""
    first, *others = (image.annotations for image in images)
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
