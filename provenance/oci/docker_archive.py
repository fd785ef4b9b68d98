"""The images of docker's own archive format, which has configurations and layers but no manifests (image-spec v1.2).

github.com/moby/docker-image-spec, "Combined Image JSON + Filesystem Changeset Format".
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ..attest.document import JSONObject, read_object
from ..errors import UnreadableError, VerificationError, quoted
from ..json import read_json
from .expand import GZIP, ZSTD, expanded
from .model import (
    CONFIG_LIMIT,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    Descriptor,
    encode,
)
from .platforms import platform_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..json import JSONValue
    from .writer import LayoutWriter

REF_NAME = "org.opencontainers.image.ref.name"
_CHUNK = 1 << 20
_LAYERS = 1000
_IMAGES = 100


def images(data: bytes, blobs: Mapping[str, Descriptor], writer: LayoutWriter) -> tuple[Descriptor, ...]:
    """Write a manifest for each image of an archive; return their descriptors.

    Args:
        data: of the archive's `manifest.json`.
        blobs: path in the archive to the blob that the file there has become.
        writer: has these blobs.

    Raises:
        UnreadableError: it is malformed, or names a file that is not there.
        VerificationError: a layer is not the one that the image's configuration names.
    """
    try:
        document = read_json(data)
    except ValueError as error:
        raise UnreadableError(f"`manifest.json` is not strict JSON: {error}") from error
    if not isinstance(document, list) or not document:
        raise UnreadableError("`manifest.json` lists no image")
    if len(document) > _IMAGES:
        raise UnreadableError(f"`manifest.json` lists more than {_IMAGES} images")
    found: dict[str, Descriptor] = {}
    diff_ids: dict[str, str] = {}
    for number, one in enumerate(document):
        if not isinstance(one, dict):
            raise UnreadableError(f"`manifest.json`: `[{number}]` must be an object")
        entry = JSONObject(what="`manifest.json`", path=f"[{number}]", found=one)
        descriptor = _image(entry, blobs, writer, diff_ids)
        found.setdefault(descriptor.digest, descriptor)
    return tuple(found.values())


def _image(
    entry: JSONObject, blobs: Mapping[str, Descriptor], writer: LayoutWriter, diff_ids: dict[str, str]
) -> Descriptor:
    config = _blob(entry.text("Config"), blobs)
    raw = writer.read(config, CONFIG_LIMIT)
    settings = read_object(raw, what="the image's configuration", limit=CONFIG_LIMIT)
    names = _texts(entry, "Layers")
    if len(names) > _LAYERS:
        raise UnreadableError(f"`manifest.json` names more than {_LAYERS:,} layers of one image")
    layers = [_layer(_blob(name, blobs), writer) for name in names]
    _hold_against(settings, layers, writer, diff_ids)
    document: dict[str, JSONValue] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": Descriptor.of(raw, OCI_CONFIG).to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    written = writer.add(encode(document), OCI_MANIFEST)
    tags = _texts(entry, "RepoTags") if entry.found.get("RepoTags") is not None else []
    return Descriptor(
        media_type=OCI_MANIFEST,
        digest=written.digest,
        size=written.size,
        platform=platform_of(settings.found),
        annotations={REF_NAME: tags[0]} if tags else {},
    )


def _blob(name: str, blobs: Mapping[str, Descriptor]) -> Descriptor:
    found = blobs.get(name.removeprefix("./"))
    if found is None:
        raise UnreadableError(f"`manifest.json` names {quoted(name)}, which is not in the archive")
    return found


def _layer(blob: Descriptor, writer: LayoutWriter) -> Descriptor:
    """Return the descriptor of a layer, of the media type that its first bytes tell."""
    with writer.open(blob) as stream:
        first = stream.read(4)
    kind = OCI_LAYER
    if first.startswith(GZIP):
        kind = OCI_LAYER_GZIP
    elif first.startswith(ZSTD):
        kind = OCI_LAYER_ZSTD
    return Descriptor(media_type=kind, digest=blob.digest, size=blob.size)


def _hold_against(
    settings: JSONObject, layers: Sequence[Descriptor], writer: LayoutWriter, diff_ids: dict[str, str]
) -> None:
    """Hold layers against the digests that the configuration has of them, uncompressed (image-spec v1.1, config.md).

    `diff_ids` has those that were computed already, by the digests of the blobs: each is expanded once.
    """
    expected = _texts(settings.child("rootfs"), "diff_ids")
    if len(expected) != len(layers):
        raise VerificationError(f"the configuration names {len(expected)} layers, `manifest.json` {len(layers)}")
    for layer, diff_id in zip(layers, expected, strict=True):
        if layer.digest not in diff_ids:
            diff_ids[layer.digest] = layer.digest if layer.media_type == OCI_LAYER else _diff_id(layer, writer)
        found = diff_ids[layer.digest]
        if found != diff_id:
            raise VerificationError(f"a layer has the digest {found}, the configuration names {quoted(diff_id)}")


def _diff_id(layer: Descriptor, writer: LayoutWriter) -> str:
    """Return the digest of what a compressed layer expands to."""
    sha256 = hashlib.sha256()
    try:
        with writer.open(layer) as stream:
            content = expanded(stream)
            while chunk := content.read(_CHUNK):
                sha256.update(chunk)
    except UnreadableError as error:
        raise UnreadableError(f"the layer {layer.digest}: {error.message}") from error
    return f"sha256:{sha256.hexdigest()}"


def _texts(found: JSONObject, key: str) -> list[str]:
    value = found.found.get(key)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise found.error(key, "must be a list of texts")
    return [text for text in value if isinstance(text, str)]
