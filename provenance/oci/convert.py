"""Conversion of docker's media types to OCI's.

image-spec v1.1, media-types.md, "Compatibility Matrix". Configurations and layers have the same bytes in both, so their
digests stay, compressed or not, and equal sources give equal images on every machine.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from . import model
from .model import Descriptor, Index, Manifest, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..json import JSONValue
    from .writer import LayoutWriter

TO_OCI: Mapping[str, str] = {
    model.DOCKER_LIST: model.OCI_INDEX,
    model.DOCKER_MANIFEST: model.OCI_MANIFEST,
    model.DOCKER_CONFIG: model.OCI_CONFIG,
    model.DOCKER_LAYER: model.OCI_LAYER,
    model.DOCKER_LAYER_GZIP: model.OCI_LAYER_GZIP,
    model.DOCKER_LAYER_ZSTD: model.OCI_LAYER_ZSTD,
    model.DOCKER_FOREIGN_LAYER: model.OCI_FOREIGN_LAYER,
    model.DOCKER_FOREIGN_LAYER_GZIP: model.OCI_FOREIGN_LAYER_GZIP,
}
"""Media types that exist in both; all others stay."""


def to_oci(descriptor: Descriptor, writer: LayoutWriter) -> Descriptor:
    """Convert a manifest, or an index with its entries; what is OCI's already stays, byte by byte.

    Args:
        descriptor: of it, in the layout that `writer` writes.
        writer: receives the converted documents; `finish` removes the others.

    Raises:
        UnreadableError: it is missing or malformed.
        StoreError: it can't be written.
    """
    document = writer.manifest(descriptor)
    converted: dict[str, JSONValue]
    match document:
        case Manifest():
            config, *layers = references = tuple(map(_converted, document.references))
            converted = {"config": config.to_json(), "layers": [layer.to_json() for layer in layers]}
        case Index():
            references = tuple(
                to_oci(entry, writer) if entry.is_manifest and writer.has(entry) else entry
                for entry in document.manifests
            )
            converted = {"manifests": [entry.to_json() for entry in references]}
        case other:
            assert_never(other)
    media_type = TO_OCI.get(document.media_type, document.media_type)
    if references == document.references and document.document.get("mediaType") == media_type:
        return descriptor
    head: dict[str, JSONValue] = {"schemaVersion": 2, "mediaType": media_type}
    others = {name: value for name, value in document.document.items() if name not in head}
    return descriptor.retarget(writer.add(encode({**head, **others, **converted}), media_type))


def _converted(descriptor: Descriptor) -> Descriptor:
    media_type = TO_OCI.get(descriptor.media_type, descriptor.media_type)
    return descriptor.retarget(replace(descriptor.bare, media_type=media_type))
