"""Reading images from archives: docker-archive and oci-archive, as `docker save`, `skopeo` and `nix build` write them.

An archive is read once, in order; each file goes straight into the layout that is written and is digested on the way.
Memory use does not grow with the image, and an archive that can't be read leaves no image. An oci-archive is a layout
in a tar file (image-spec v1.1, image-layout.md); a docker-archive has configurations and layers but no manifests, which
are made here (docker-image-spec v1.2, "Combined Image JSON + Filesystem Changeset Format").
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..archive.decompress import GZIP, ZSTD, Bounds, FileSource, decompressed, too_large
from ..archive.tar import Type, opened_tar
from ..errors import UnreadableError, VerificationError, quoted
from ..json import JSONObject, read_json, read_object
from . import LAYOUT_FILE
from .annotations import REF_NAME
from .layout import INDEX_FILE, check_layout_file
from .model import (
    CONFIG_LIMIT,
    MANIFEST_LIMIT,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    Descriptor,
    encode,
    parse_index,
    platform_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ..archive.tar import Member, TarReader
    from ..json import JSONValue
    from .writer import LayoutWriter

DOCKER_FILE = "manifest.json"
_SMALL = frozenset({INDEX_FILE, LAYOUT_FILE, DOCKER_FILE})
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})\Z|([0-9a-f]{64})\.json\Z")
"""Names that are the digest of the file: blobs, and configurations in docker's format."""
_BYTES = "application/octet-stream"
_MEMBERS = 50_000
_LAYERS = 1000
_IMAGES = 100
_LAYER = Bounds(ratio=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """The files of an archive, which are blobs of the layout that is written.

    Attributes:
        blobs: path in the archive to the descriptor of the blob.
        links: path of a symbolic link to the path of its target.
        small: the files that list the images.
    """

    blobs: dict[str, Descriptor] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    small: dict[str, bytes] = field(default_factory=dict)


def read_archive(path: Path, writer: LayoutWriter) -> tuple[Descriptor, ...]:
    """Add all blobs of an archive to a layout, and return the entries of its index: one for each image.

    Engines from version 25 write both formats into one archive; then the OCI index counts. An entry has the image's
    name in an annotation, where the archive has one (`select.name_of`).

    Raises:
        UnreadableError: it is missing, truncated, damaged, or not an archive of images.
        VerificationError: a file does not have the digest by which it is named or referred to.
        StoreError: a blob can't be written.
    """
    files = _Files()
    try:
        with opened_tar(path) as archive:
            for member in _image_members(archive):
                _take(archive, member, files, writer)
        if {INDEX_FILE, LAYOUT_FILE} <= files.small.keys():
            check_layout_file(files.small[LAYOUT_FILE])
            return tuple({entry.digest: entry for entry in parse_index(files.small[INDEX_FILE]).manifests}.values())
        if DOCKER_FILE in files.small:
            linked = {name: files.blobs[to] for name, to in files.links.items() if to in files.blobs}
            return _DockerArchive(blobs=files.blobs | linked, writer=writer).images(files.small[DOCKER_FILE])
        raise UnreadableError(f"not an archive of images: it has neither `{INDEX_FILE}` nor `{DOCKER_FILE}`")
    except (UnreadableError, VerificationError) as error:
        raise type(error)(f"{quoted(str(path))}: {error.message}", hint=error.hint) from error


def is_image_archive(path: Path) -> bool:
    """Tell whether a file is an archive of images, by the names of its members."""
    try:
        with opened_tar(path) as archive:
            names = {member.path for member in _image_members(archive)}
    except UnreadableError:
        return False
    return DOCKER_FILE in names or {INDEX_FILE, LAYOUT_FILE} <= names


def _image_members(archive: TarReader) -> Iterator[Member]:
    """Yield files and symbolic links; no image needs other types, nor two members of one name."""
    seen: set[str] = set()
    for number, member in enumerate(archive.members()):
        if number == _MEMBERS:
            raise too_large(archive.name, f"has more than {_MEMBERS:,} members")
        if member.absolute:
            raise UnreadableError(f"the name {quoted(f'/{member.path}')} leads outside the archive")
        if member.type is Type.FOLDER:
            continue
        if member.type not in {Type.FILE, Type.SYMBOLIC_LINK}:
            raise UnreadableError(f"{quoted(member.path)} is a {member.type.value}, not a file")
        if member.path in seen:
            raise UnreadableError(f"{quoted(member.path)} is in it twice")
        seen.add(member.path)
        yield member


def _take(archive: TarReader, member: Member, files: _Files, writer: LayoutWriter) -> None:
    if member.type is Type.SYMBOLIC_LINK:
        files.links[member.path] = _target(member)
    elif member.path in _SMALL:
        if member.size > MANIFEST_LIMIT:
            raise UnreadableError(f"{quoted(member.path)} is larger than {MANIFEST_LIMIT:,} bytes")
        files.small[member.path] = b"".join(archive.content())
    else:
        named = _BLOB.match(member.path)
        digest = f"sha256:{named[1] or named[2]}" if named else None
        expected = Descriptor(media_type=_BYTES, digest=digest, size=member.size) if digest else None
        files.blobs[member.path] = writer.add(archive, _BYTES, expected=expected)


def _target(link: Member) -> str:
    """Return the path of a link's target from the archive's root."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(link.path), link.link))
    if target in {".", ".."} or target.startswith(("/", "../")):
        raise UnreadableError(f"the link {quoted(link.path)} leads to {quoted(link.link)}, outside the archive")
    return target


@dataclass(frozen=True, slots=True, kw_only=True)
class _DockerArchive:
    """The images of a docker-archive.

    Attributes:
        blobs: path in the archive to the descriptor of the file there.
        writer: has these blobs, and receives the manifests.
        diff_ids: digest of a layer's blob to the digest of the uncompressed layer; each is decompressed once.
    """

    blobs: Mapping[str, Descriptor]
    writer: LayoutWriter
    diff_ids: dict[str, str] = field(default_factory=dict)

    def images(self, data: bytes) -> tuple[Descriptor, ...]:
        """Write a manifest for each image that `manifest.json` lists; return their descriptors."""
        try:
            document = read_json(data)
        except ValueError as error:
            raise UnreadableError(f"`manifest.json` is not strict JSON: {error}") from error
        if not isinstance(document, list) or not document:
            raise UnreadableError("`manifest.json` lists no image")
        if len(document) > _IMAGES:
            raise UnreadableError(f"`manifest.json` lists more than {_IMAGES} images")
        images: dict[str, Descriptor] = {}
        for number, entry in enumerate(document):
            if not isinstance(entry, dict):
                raise UnreadableError(f"`manifest.json`: `[{number}]` must be an object")
            image = self._image(JSONObject(what="`manifest.json`", path=f"[{number}]", found=entry))
            images.setdefault(image.digest, image)
        return tuple(images.values())

    def _image(self, entry: JSONObject) -> Descriptor:
        raw = self.writer.read(self._blob(entry.text("Config")), CONFIG_LIMIT)
        config = read_object(raw, what="the image's configuration", limit=CONFIG_LIMIT)
        names = _texts(entry, "Layers")
        if len(names) > _LAYERS:
            raise UnreadableError(f"`manifest.json` names more than {_LAYERS:,} layers of one image")
        layers = [self._layer(self._blob(name)) for name in names]
        self._check_diff_ids(config, layers)
        document: dict[str, JSONValue] = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": Descriptor.of(raw, OCI_CONFIG).to_json(),
            "layers": [layer.to_json() for layer in layers],
        }
        written = self.writer.add(encode(document), OCI_MANIFEST)
        tags = _texts(entry, "RepoTags") if entry.found.get("RepoTags") is not None else []
        return Descriptor(
            media_type=OCI_MANIFEST,
            digest=written.digest,
            size=written.size,
            platform=platform_of(config.found),
            annotations={REF_NAME: tags[0]} if tags else {},
        )

    def _blob(self, name: str) -> Descriptor:
        blob = self.blobs.get(name.removeprefix("./"))
        if blob is None:
            raise UnreadableError(f"`manifest.json` names {quoted(name)}, which is not in the archive")
        return blob

    def _layer(self, blob: Descriptor) -> Descriptor:
        """Return the descriptor of a layer, with the media type of its first bytes."""
        with self.writer.open(blob) as stream:
            first = stream.read(len(ZSTD))
        media_type = OCI_LAYER_GZIP if first.startswith(GZIP) else OCI_LAYER_ZSTD if first == ZSTD else OCI_LAYER
        return Descriptor(media_type=media_type, digest=blob.digest, size=blob.size)

    def _check_diff_ids(self, config: JSONObject, layers: Sequence[Descriptor]) -> None:
        """Compare layers with the digests of uncompressed layers in the configuration (image-spec v1.1, config.md)."""
        expected = _texts(config.child("rootfs"), "diff_ids")
        if len(expected) != len(layers):
            raise VerificationError(f"the configuration names {len(expected)} layers, `manifest.json` {len(layers)}")
        for layer, diff_id in zip(layers, expected, strict=True):
            if layer.digest not in self.diff_ids:
                self.diff_ids[layer.digest] = layer.digest if layer.media_type == OCI_LAYER else self._diff_id(layer)
            if (found := self.diff_ids[layer.digest]) != diff_id:
                raise VerificationError(f"a layer has the digest {found}, the configuration names {quoted(diff_id)}")

    def _diff_id(self, layer: Descriptor) -> str:
        """Return the digest of a compressed layer's content."""
        sha256 = hashlib.sha256()
        with (
            self.writer.open(layer) as stream,
            closing(decompressed(FileSource(stream), f"the layer {layer.digest}", _LAYER)) as pieces,
        ):
            for piece in pieces:
                sha256.update(piece)
        return f"sha256:{sha256.hexdigest()}"


def _texts(source: JSONObject, key: str) -> list[str]:
    value = source.found.get(key)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise source.error(key, "must be a list of texts")
    return [text for text in value if isinstance(text, str)]
