"""Descriptor, manifest and index: read strictly, kept byte by byte, and walked from index to manifest.

OCI image-spec v1.1, descriptor.md, manifest.md, image-index.md; docker's image manifest v2 schema 2 and its manifest
list have the same fields under other media types.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypedDict

from ..errors import UnreadableError, VerificationError, quoted
from ..json import JSONObject, read_object
from ..platform import Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ..errors import ProvenanceError
    from ..json import JSONValue

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
"""Layers that may be kept elsewhere (`urls`), as Windows' own: their bytes need not be part of the image."""

MANIFEST_LIMIT = 4 << 20
"""Bytes of a manifest or an index: what registries accept (distribution-spec v1.1, pushing manifests)."""
MANIFESTS_LIMIT = 32 << 20
"""Bytes of all manifests and indexes of one image; ten thousand of usual size have less."""
MOST_MANIFESTS = 10_000
DEEPEST = 4
"""Indexes inside each other."""
CONFIG_LIMIT = 8 << 20
"""Bytes of an image's configuration; it holds the history of every layer."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_MEDIA_TYPE = re.compile(r"[!-~]{1,127}/[ -~]{1,127}\Z")
_LARGEST = (1 << 63) - 1
_PLATFORM = ("os", "architecture", "variant", "os.version")
"""The members that make two platforms different (image-index.md, config.md)."""
_PLATFORM_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}\Z")

_DESCRIPTOR = ("mediaType", "digest", "size", "platform", "annotations", "artifactType")
_MANIFEST = ("schemaVersion", "mediaType", "config", "layers", "annotations", "subject", "artifactType", "manifests")


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A reference to a blob or a manifest (descriptor.md).

    Attributes:
        media_type: of the bytes.
        digest: `sha256:…`, the only algorithm that is supported.
        size: in bytes.
        platform: in an index, what the image runs on.
        annotations: of the reference, not of its target.
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
    def is_foreign(self) -> bool:
        """Whether the bytes need not be part of the image: a layer with addresses to fetch it from."""
        return self.media_type in FOREIGN_LAYERS and bool(self.rest.get("urls"))

    @property
    def is_manifest(self) -> bool:
        """Whether it refers to a manifest or an index."""
        return self.media_type in INDEXES | MANIFESTS

    @classmethod
    def of(cls, data: bytes, media_type: str) -> Descriptor:
        """Return the descriptor of `data`."""
        return cls(media_type=media_type, digest=f"sha256:{hashlib.sha256(data).hexdigest()}", size=len(data))

    @property
    def bare(self) -> Descriptor:
        """Media type, digest and size alone."""
        return Descriptor(media_type=self.media_type, digest=self.digest, size=self.size)

    def retarget(self, target: Descriptor) -> Descriptor:
        """Return a reference to `target` that keeps everything else; `data` only if the bytes are the same."""
        rest = {name: value for name, value in self.rest.items() if name != "data" or target.digest == self.digest}
        return replace(self, media_type=target.media_type, digest=target.digest, size=target.size, rest=rest)

    @classmethod
    def from_json(cls, source: JSONObject) -> Descriptor:
        """Read a descriptor; unknown members are kept.

        Raises:
            UnreadableError: it is malformed, or its digest is of another algorithm than sha256.
        """
        source.refuse_lookalikes(_DESCRIPTOR)
        media_type, digest, size = source.text("mediaType"), source.text("digest"), source.found.get("size")
        if not _MEDIA_TYPE.match(media_type):
            raise source.error("mediaType", f"is not a media type: {quoted(media_type)}")
        if not _DIGEST.match(digest):
            raise source.error("digest", f"must be `sha256:` and 64 digits, not {quoted(digest)}")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _LARGEST:
            raise source.error("size", "must be a number of bytes")
        platform = source.child("platform") if source.found.get("platform") is not None else None
        return cls(
            media_type=media_type,
            digest=digest,
            size=size,
            platform=_read_platform(platform) if platform else None,
            annotations=_texts(source, "annotations"),
            artifact_type=source.text("artifactType") if "artifactType" in source.found else None,
            rest={name: value for name, value in source.found.items() if name not in _DESCRIPTOR},
            platform_rest={n: v for n, v in platform.found.items() if n not in _PLATFORM} if platform else {},
        )

    def to_json(self) -> dict[str, JSONValue]:
        """Return the descriptor as a JSON object, its members in the specification's order."""
        document: dict[str, JSONValue] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        document.update(self.rest)
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        if self.platform is not None:
            document["platform"] = {**platform_json(self.platform), **self.platform_rest}
        if self.artifact_type is not None:
            document["artifactType"] = self.artifact_type
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a manifest and an index have in common.

    Attributes:
        raw: its bytes, whose digest it is known by.
        document: all of its members, unknown ones included.
    """

    raw: bytes
    media_type: str
    annotations: Mapping[str, str]
    subject: Descriptor | None
    artifact_type: str | None
    document: Mapping[str, JSONValue]


class _Common(TypedDict):
    """The fields of a `Document`."""

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
        """What belongs to it: configuration and layers, but not the manifest that it is about (`subject`)."""
        return (self.config, *self.layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index(Document):
    """A list of manifests, most often of one image for several platforms (image-index.md)."""

    manifests: tuple[Descriptor, ...]

    @property
    def references(self) -> tuple[Descriptor, ...]:
        """What belongs to it."""
        return self.manifests


def walk(
    roots: Iterable[Descriptor],
    read: Callable[[Descriptor], Manifest | Index | None],
    too_large: Callable[[str], ProvenanceError],
    *,
    most: int = MOST_MANIFESTS,
) -> Iterator[tuple[Descriptor, Manifest | Index]]:
    """Yield the manifests and indexes among `roots` and all that indexes list, each index before its entries.

    An index that is listed again is not entered again; manifests are yielded for each entry. References of other media
    types are left to the caller.

    Args:
        roots: where to begin.
        read: returns the document of a descriptor; `None`: it is to be passed over.
        too_large: returns the error for what goes beyond the limits, from words as "more than 10,000 manifests".
        most: manifests and indexes that are read.
    """
    waiting = [(root, 1) for root in reversed(tuple(roots))]
    entered: set[tuple[str, str]] = set()
    count = size = 0
    while waiting:
        descriptor, depth = waiting.pop()
        if not descriptor.is_manifest or (descriptor.digest, descriptor.media_type) in entered:
            continue
        if depth > DEEPEST:
            raise too_large(f"indexes more than {DEEPEST} deep")
        document = read(descriptor)
        if document is None:
            continue
        count, size = count + 1, size + len(document.raw)
        if count > most:
            raise too_large(f"more than {most:,} manifests")
        if size > MANIFESTS_LIMIT:
            raise too_large(f"manifests of more than {MANIFESTS_LIMIT:,} bytes")
        yield descriptor, document
        if isinstance(document, Index):
            entered.add((descriptor.digest, descriptor.media_type))
            waiting += [(entry, depth + 1) for entry in reversed(document.manifests)]


def read_manifest(data: bytes, descriptor: Descriptor) -> Manifest | Index:
    """Read the manifest or index that a descriptor refers to.

    Raises:
        UnreadableError: it is too large, of another media type, or malformed.
        VerificationError: the bytes are not those of the descriptor.
    """
    check_bytes(data, descriptor)
    return parse_manifest(data, descriptor.media_type)


def parse_manifest(data: bytes, media_type: str | None) -> Manifest | Index:
    """Read a manifest or an index whose digest is not known yet.

    Args:
        data: its bytes.
        media_type: which it must have; `None`: the one that it declares itself.

    Raises:
        UnreadableError: it is too large, of another media type, or malformed.
    """
    source = read_object(data, what="the manifest", limit=MANIFEST_LIMIT)
    source.refuse_lookalikes(_MANIFEST)
    version = source.found.get("schemaVersion")
    if version != 2 or isinstance(version, bool):  # noqa: PLR2004 - image-spec v1.1: it MUST be 2
        raise source.error("schemaVersion", "must be 2")
    declared = source.text("mediaType") if "mediaType" in source.found else None
    # A document that two readers take for different things may lead anywhere (CVE-2021-41190).
    if declared and media_type and declared != media_type:
        raise source.error("mediaType", f"is {quoted(declared)}, but its descriptor says {quoted(media_type)}")
    kind = media_type or declared or (OCI_INDEX if "manifests" in source.found else OCI_MANIFEST)
    if kind not in INDEXES | MANIFESTS:
        raise UnreadableError(f"{quoted(kind)} is the media type of neither a manifest nor an index")
    others, name = (("config", "layers"), "a manifest") if kind in INDEXES else (("manifests",), "an index")
    for key in others:
        if key in source.found:
            raise source.error(key, f"is a member of {name}, and this is another document")
    common = _Common(
        raw=data,
        media_type=kind,
        annotations=_texts(source, "annotations"),
        subject=Descriptor.from_json(source.child("subject")) if source.found.get("subject") is not None else None,
        artifact_type=source.text("artifactType") if "artifactType" in source.found else None,
        document=source.found,
    )
    if kind in INDEXES:
        return Index(manifests=tuple(map(Descriptor.from_json, source.children("manifests"))), **common)
    layers = tuple(map(Descriptor.from_json, source.children("layers")))
    return Manifest(config=Descriptor.from_json(source.child("config")), layers=layers, **common)


def parse_index(data: bytes) -> Index:
    """Read the `index.json` of a layout.

    Raises:
        UnreadableError: it is too large, of another media type, or malformed.
    """
    index = parse_manifest(data, OCI_INDEX)
    if not isinstance(index, Index):  # pragma: no cover - the media type is that of an index
        raise UnreadableError("the manifest is not an index")
    return index


def check_bytes(data: bytes, descriptor: Descriptor) -> None:
    """Compare bytes with the descriptor that refers to them.

    Raises:
        VerificationError: it refers to other bytes.
    """
    if len(data) != descriptor.size:
        raise VerificationError(f"has {len(data):,} bytes, not the {descriptor.size:,} of its descriptor")
    if hashlib.sha256(data).hexdigest() != descriptor.sha256:
        raise VerificationError(f"does not have the digest {descriptor.digest}")


def encode(document: Mapping[str, JSONValue]) -> bytes:
    """Return the bytes of a document of ours: compact, its members in the order given."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def platform_json(platform: Platform) -> dict[str, JSONValue]:
    """Return a platform as the member of a descriptor, or of an image's configuration."""
    members = {"architecture": platform.architecture, "os": platform.os}
    optional = {"os.version": platform.os_version, "variant": platform.variant}
    return {**members, **{name: value for name, value in optional.items() if value}}


def platform_of(config: Mapping[str, JSONValue]) -> Platform | None:
    """Return the platform of an image's configuration; `None`: it names none.

    Raises:
        UnreadableError: one of its values is malformed.
    """
    values = {name: value for name in _PLATFORM if isinstance(value := config.get(name), str) and value}
    return _platform(values) if {"os", "architecture"} <= values.keys() else None


def _read_platform(source: JSONObject) -> Platform:
    source.refuse_lookalikes(_PLATFORM)
    values = {name: source.text(name) for name in _PLATFORM if source.found.get(name) is not None}
    if not values.get("os") or not values.get("architecture"):
        raise source.error("architecture", "and `os` must both be there")
    return _platform(values)


def _platform(values: Mapping[str, str]) -> Platform:
    for name, value in values.items():  # they appear in messages, and two platforms must not look the same
        if value and not _PLATFORM_VALUE.match(value):
            raise UnreadableError(f"`{name}` of a platform is malformed: {quoted(value)}")
    return Platform(**{name.replace(".", "_"): value for name, value in values.items()})


def _texts(source: JSONObject, key: str) -> dict[str, str]:
    """Return an object of texts; Go's encoders write `null` for an empty one."""
    return source.texts(key) if source.found.get(key) is not None else {}
