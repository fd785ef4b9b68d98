"""The documents of an image: descriptor, manifest and index, read strictly and kept byte by byte.

OCI image-spec v1.1, descriptor.md, manifest.md, image-index.md; docker's image manifest v2 schema 2 and its manifest
list have the same shapes under other media types.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..attest.document import JSONObject, read_object
from ..errors import UnreadableError, VerificationError, quoted
from .platforms import NAMES, as_platform, platform_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..json import JSONValue
    from ..platform import Platform

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
OCI_FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar"
OCI_FOREIGN_LAYER_GZIP = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
OCI_FOREIGN_LAYER_ZSTD = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar"
DOCKER_FOREIGN_LAYER_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})
FOREIGN_LAYERS = frozenset(
    {OCI_FOREIGN_LAYER, OCI_FOREIGN_LAYER_GZIP, OCI_FOREIGN_LAYER_ZSTD, DOCKER_FOREIGN_LAYER, DOCKER_FOREIGN_LAYER_GZIP}
)
"""Layers that may lie elsewhere (`urls`), as Windows' own: their bytes need not be part of the image."""

MANIFEST_LIMIT = 4 << 20
"""Bytes of a manifest or an index that are read: what registries take (distribution-spec v1.1, pushing manifests)."""
MANIFESTS_LIMIT = 32 << 20
"""Bytes of all manifests and indexes of one layout, each counted once; ten thousand of usual size have less."""
CONFIG_LIMIT = 8 << 20
"""Bytes of an image's configuration that are read; it holds the history of every layer."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_MEDIA_TYPE = re.compile(r"[!-~]{1,127}/[ -~]{1,127}\Z")
_LARGEST = (1 << 63) - 1

_DESCRIPTOR = ("mediaType", "digest", "size", "platform", "annotations", "artifactType")
_MANIFEST = ("schemaVersion", "mediaType", "config", "layers", "annotations", "subject", "artifactType", "manifests")


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What refers to a blob or a manifest: its media type, its digest and its size (descriptor.md).

    Attributes:
        media_type: of the bytes.
        digest: `sha256:…`, the only algorithm that is read.
        size: in bytes.
        platform: in an index, what the image runs on.
        annotations: of the reference, not of what it refers to.
        artifact_type: of the manifest that it refers to.
        rest: unknown members, and `urls` and `data`, as they were read.
        platform_rest: likewise of the platform, as `os.features`.
    """

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str | None = None
    rest: Mapping[str, JSONValue] = field(default_factory=dict)
    platform_rest: Mapping[str, JSONValue] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """The digest in hex alone."""
        return self.digest.removeprefix("sha256:")

    @property
    def lies_elsewhere(self) -> bool:
        """Whether the bytes need not be part of the image: a layer with addresses to fetch it from."""
        return self.media_type in FOREIGN_LAYERS and bool(self.rest.get("urls"))

    @classmethod
    def of(cls, data: bytes, media_type: str) -> Descriptor:
        """Return the descriptor of `data`."""
        return cls(media_type=media_type, digest=f"sha256:{hashlib.sha256(data).hexdigest()}", size=len(data))

    @classmethod
    def from_json(cls, found: JSONObject) -> Descriptor:
        """Read a descriptor; members that this program does not know are kept.

        Raises:
            UnreadableError: it is none, or its digest is of another algorithm than sha256.
        """
        found.refuse_lookalikes(_DESCRIPTOR)
        media_type, digest, size = found.text("mediaType"), found.text("digest"), found.found.get("size")
        if not _MEDIA_TYPE.match(media_type):
            raise found.error("mediaType", f"is no media type: {quoted(media_type)}")
        if not _DIGEST.match(digest):
            raise found.error("digest", f"must be `sha256:` and 64 digits, not {quoted(digest)}")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _LARGEST:
            raise found.error("size", "must be a number of bytes")
        place = found.child("platform") if found.found.get("platform") is not None else None
        return cls(
            media_type=media_type,
            digest=digest,
            size=size,
            platform=_platform(place) if place else None,
            annotations=_texts(found, "annotations"),
            artifact_type=found.text("artifactType") if "artifactType" in found.found else None,
            rest={name: value for name, value in found.found.items() if name not in _DESCRIPTOR},
            platform_rest={n: v for n, v in place.found.items() if n not in NAMES} if place else {},
        )

    def to_json(self) -> dict[str, JSONValue]:
        """Return the descriptor as a JSON object, its members in the specification's order."""
        found: dict[str, JSONValue] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        found.update(self.rest)
        if self.annotations:
            found["annotations"] = dict(self.annotations)
        if self.platform is not None:
            found["platform"] = {**platform_json(self.platform), **self.platform_rest}
        if self.artifact_type is not None:
            found["artifactType"] = self.artifact_type
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a manifest and an index have in common.

    Attributes:
        raw: its bytes, of which the digest is.
        document: all that they say, unknown members included.
    """

    raw: bytes
    media_type: str
    annotations: Mapping[str, str]
    subject: Descriptor | None
    artifact_type: str | None
    document: Mapping[str, JSONValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(Document):
    """The manifest of an image for one platform, or of another artifact (manifest.md)."""

    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def references(self) -> tuple[Descriptor, ...]:
        """All that belongs to it: the configuration and the layers. What it is about (`subject`) does not."""
        return (self.config, *self.layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index(Document):
    """A list of manifests, most often of one image for several platforms (image-index.md)."""

    manifests: tuple[Descriptor, ...]

    @property
    def references(self) -> tuple[Descriptor, ...]:
        """All that belongs to it."""
        return self.manifests


def read_manifest(data: bytes, descriptor: Descriptor) -> Manifest | Index:
    """Read the manifest or index that a descriptor refers to.

    Raises:
        UnreadableError: it is too large, of another media type, or malformed.
        VerificationError: these are not the bytes that the descriptor names.
    """
    refuse_others(data, descriptor)
    return parse_manifest(data, descriptor.media_type)


def parse_manifest(data: bytes, media_type: str | None) -> Manifest | Index:
    """Read a manifest or an index of which no digest is known yet.

    Args:
        data: its bytes.
        media_type: of which it has to be; `None`: what it says itself.

    Raises:
        UnreadableError: it is too large, of another media type, or malformed.
    """
    found = read_object(data, what="the manifest", limit=MANIFEST_LIMIT)
    found.refuse_lookalikes(_MANIFEST)
    version = found.found.get("schemaVersion")
    if version != 2 or isinstance(version, bool):  # noqa: PLR2004 - image-spec v1.1: it MUST be 2
        raise found.error("schemaVersion", "must be 2")
    said = found.text("mediaType") if "mediaType" in found.found else None
    # Whoever takes one document for another thing than the signer did may be led anywhere (CVE-2021-41190).
    if said and media_type and said != media_type:
        raise found.error("mediaType", f"is {quoted(said)}, where {quoted(media_type)} is referred to")
    kind = media_type or said or (OCI_INDEX if "manifests" in found.found else OCI_MANIFEST)
    if kind not in INDEXES | MANIFESTS:
        raise UnreadableError(f"{quoted(kind)} is the media type of neither a manifest nor an index")
    return _index(found, data, kind) if kind in INDEXES else _manifest(found, data, kind)


def refuse_others(data: bytes, descriptor: Descriptor) -> None:
    """Hold bytes against the descriptor that refers to them.

    Raises:
        VerificationError: it refers to other bytes.
    """
    if len(data) != descriptor.size:
        raise VerificationError(f"has {len(data):,} bytes, not the {descriptor.size:,} that are referred to")
    if hashlib.sha256(data).hexdigest() != descriptor.sha256:
        raise VerificationError(f"does not have the digest {descriptor.digest}")


def encode(document: Mapping[str, JSONValue]) -> bytes:
    """Return the bytes of a document of ours: compact, its members in the order given."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _index(found: JSONObject, data: bytes, media_type: str) -> Index:
    for key in ("config", "layers"):
        if key in found.found:
            raise found.error(key, "is a member of a manifest, not of an index")
    return Index(
        raw=data,
        media_type=media_type,
        manifests=tuple(Descriptor.from_json(one) for one in found.children("manifests")),
        annotations=_texts(found, "annotations"),
        subject=Descriptor.from_json(found.child("subject")) if found.found.get("subject") is not None else None,
        artifact_type=found.text("artifactType") if "artifactType" in found.found else None,
        document=found.found,
    )


def _manifest(found: JSONObject, data: bytes, media_type: str) -> Manifest:
    if "manifests" in found.found:
        raise found.error("manifests", "is a member of an index, not of a manifest")
    return Manifest(
        raw=data,
        media_type=media_type,
        config=Descriptor.from_json(found.child("config")),
        layers=tuple(Descriptor.from_json(one) for one in found.children("layers")),
        annotations=_texts(found, "annotations"),
        subject=Descriptor.from_json(found.child("subject")) if found.found.get("subject") is not None else None,
        artifact_type=found.text("artifactType") if "artifactType" in found.found else None,
        document=found.found,
    )


def _texts(found: JSONObject, key: str) -> dict[str, str]:
    """Return a table of texts; Go's encoders write `null` where there is none."""
    return found.texts(key) if found.found.get(key) is not None else {}


def _platform(found: JSONObject) -> Platform:
    found.refuse_lookalikes(NAMES)
    read = {name: found.text(name) for name in NAMES if found.found.get(name) is not None}
    if not read.get("os") or not read.get("architecture"):
        raise found.error("architecture", "and `os` must both be there")
    return as_platform(read)
