"""An image as one archive, for engines and for people who carry it about: the layout, and docker's own index beside it.

The archive is an OCI layout (image-spec v1.1, image-layout.md, "may be archived in a tar file"). Engines before version
25 know none; for them it has a `manifest.json` that names the same configuration and layers, as BuildKit's
`type=docker` does. Manifests and blobs are the very bytes of the layout: no digest changes. Equal images of equal name
are equal archives.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, cast

from ..errors import VerificationError, quoted
from . import LAYOUT_FILE
from .docker_archive import REF_NAME
from .layout import opened_layout
from .model import OCI_INDEX, Descriptor, Manifest, encode
from .select import CONTAINERD_NAME
from .writer import INDEX_FILE, LAYOUT_VERSION, blob_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..json import JSONValue
    from .layout import Image, Layout
    from .reference import Reference

_DOCKER_FILE = "manifest.json"
_FORMAT = tarfile.PAX_FORMAT


def export(path: Path, image: Image, name: Reference | None, target: BinaryIO) -> None:
    """Write the archive of a layout.

    Args:
        path: of the layout.
        image: what it was when it was verified; it is held against that once more while it is copied.
        name: what an engine shall call the image, with a tag; `None`: nothing but its digest.
        target: receives the archive; the memory that is taken does not depend on the image's size.

    Raises:
        UnreadableError: a file of the layout is missing, or can't be read.
        VerificationError: one has other bytes than it was verified to have.
        OSError: the target can't be written; the caller knows what it is.
    """
    with opened_layout(path) as layout, tarfile.open(fileobj=target, mode="w", format=_FORMAT) as archive:
        small = _small(layout, image, name)
        for file, sha256 in image.files.items():  # sorted
            if file not in {INDEX_FILE, LAYOUT_FILE}:
                _copy(layout, file, sha256, archive)
        for file in sorted(small):
            archive.addfile(_header(file, len(small[file])), BytesIO(small[file]))


def _small(layout: Layout, image: Image, name: Reference | None) -> Mapping[str, bytes]:
    """Return the files that say what the blobs are."""
    root = image.descriptor
    annotations = {CONTAINERD_NAME: _called(name), REF_NAME: name.tag or ""} if name else {}
    entry = Descriptor(
        media_type=root.media_type,
        digest=root.digest,
        size=root.size,
        platform=root.platform,
        annotations=annotations,
    )
    found = {
        INDEX_FILE: encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry.to_json()]}),
        LAYOUT_FILE: encode({"imageLayoutVersion": LAYOUT_VERSION}),
    }
    manifest = layout.manifest(root)
    if isinstance(manifest, Manifest):  # docker's format has no word for several platforms of one image
        found[_DOCKER_FILE] = _for_docker(manifest, name)
    return found


def _for_docker(manifest: Manifest, name: Reference | None) -> bytes:
    layers: list[JSONValue] = [blob_name(layer) for layer in manifest.layers]
    tags: list[JSONValue] = [_called(name)] if name else []
    entry: dict[str, JSONValue] = {"Config": blob_name(manifest.config), "RepoTags": tags or None, "Layers": layers}
    return json.dumps([entry], separators=(",", ":")).encode()


def _called(name: Reference) -> str:
    return f"{name.name}:{name.tag}"


def _copy(layout: Layout, file: str, sha256: str, archive: tarfile.TarFile) -> None:
    with layout.tree.open(file) as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        counted = _Counted(stream, file)
        archive.addfile(_header(file, size), cast("BinaryIO", counted))
    if counted.sha256.hexdigest() != sha256:
        raise _changed(file)


class _Counted:
    """A stream that digests what is read of it."""

    def __init__(self, stream: BinaryIO, file: str) -> None:
        self._stream = stream
        self._file = file
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        data = self._stream.read(size)
        if size > 0 and not data:  # it is asked for as much as there was
            raise _changed(self._file)
        self.sha256.update(data)
        return data


def _changed(file: str) -> VerificationError:
    return VerificationError(f"{quoted(file)} changed while it was copied")


def _header(file: str, size: int) -> tarfile.TarInfo:
    """Return a header that says nothing of who wrote the archive, and when."""
    header = tarfile.TarInfo(file)
    header.size = size
    header.mode = 0o644
    return header
