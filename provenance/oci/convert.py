"""Docker's media types to OCI's: the manifests say the same afterwards, in the words of the OCI specifications.

image-spec v1.1, media-types.md, "Compatibility Matrix". Configurations and layers are the same bytes in both; so their
digests stay, compressed or not, and an equal source gives an equal image on every machine.
"""

from __future__ import annotations

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
"""What has a name in both; every other media type stays."""


def to_oci(descriptor: Descriptor, writer: LayoutWriter) -> Descriptor:
    """Convert a manifest, or an index with all in it; what is OCI's already stays, byte by byte.

    Args:
        descriptor: of it, in the layout that `writer` writes.
        writer: receives the converted documents; `finish` removes the others.

    Raises:
        UnreadableError: it is missing or malformed.
        StoreError: it can't be written.
    """
    match writer.manifest(descriptor):
        case Manifest() as manifest:
            changed = _manifest(manifest)
        case Index() as index:
            changed = _index(index, writer)
        case other:
            assert_never(other)
    media_type = _converted(descriptor.media_type)
    if changed is None:
        return descriptor
    written = writer.add(encode(changed), media_type)
    return _moved(descriptor, written)


def _manifest(manifest: Manifest) -> dict[str, JSONValue] | None:
    """Return the document of a converted manifest; `None`: there is nothing to convert."""
    references = [_named_as_oci(one) for one in manifest.references]
    if references == list(manifest.references) and manifest.document.get("mediaType") == model.OCI_MANIFEST:
        return None
    config, *layers = references
    return {
        **_begun(manifest.document, manifest.media_type),
        "config": config.to_json(),
        "layers": [layer.to_json() for layer in layers],
    }


def _index(index: Index, writer: LayoutWriter) -> dict[str, JSONValue] | None:
    entries = [
        to_oci(one, writer) if one.media_type in model.INDEXES | model.MANIFESTS and writer.has(one) else one
        for one in index.manifests
    ]
    if entries == list(index.manifests) and index.document.get("mediaType") == model.OCI_INDEX:
        return None
    return {
        **_begun(index.document, index.media_type),
        "manifests": [entry.to_json() for entry in entries],
    }


def _begun(document: Mapping[str, JSONValue], media_type: str) -> dict[str, JSONValue]:
    """Return a document with OCI's media type where OCI has it, its other members in their order."""
    head: dict[str, JSONValue] = {"schemaVersion": 2, "mediaType": _converted(media_type)}
    return head | {name: value for name, value in document.items() if name not in head}


def _named_as_oci(one: Descriptor) -> Descriptor:
    media_type = _converted(one.media_type)
    return (
        one
        if media_type == one.media_type
        else _moved(one, Descriptor(media_type=media_type, digest=one.digest, size=one.size))
    )


def _moved(descriptor: Descriptor, to: Descriptor) -> Descriptor:
    """Return a descriptor that refers to other bytes, and says of them what it said before."""
    return Descriptor(
        media_type=to.media_type,
        digest=to.digest,
        size=to.size,
        platform=descriptor.platform,
        annotations=descriptor.annotations,
        artifact_type=descriptor.artifact_type,
        rest={
            name: value for name, value in descriptor.rest.items() if name != "data" or to.digest == descriptor.digest
        },
        platform_rest=descriptor.platform_rest,
    )


def _converted(media_type: str) -> str:
    return TO_OCI.get(media_type, media_type)
