"""Exporting an image as one archive, an OCI layout that docker can load as well.

The archive is an OCI layout (image-spec v1.1, image-layout.md, "may be archived in a tar file"). Engines before version
25 do not read that; for them a `manifest.json` names the same configuration and layers, as BuildKit's `type=docker`
does. Manifests and blobs are the bytes of the layout: no digest changes. Equal images of equal name are equal archives.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, cast

from ..errors import VerificationError, quoted
from . import LAYOUT_FILE
from .annotations import CONTAINERD_NAME, REF_NAME
from .archive import DOCKER_FILE
from .layout import INDEX_FILE, blob_name, files_listing, opened_layout
from .model import Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..json import JSONValue
    from .layout import Image, Layout
    from .reference import Reference


def export(path: Path, image: Image, name: Reference | None, target: BinaryIO) -> None:
    """Write the archive of a layout.

    Args:
        path: of the layout.
        image: as it was verified; what is copied is compared with that again.
        name: the image's name in an engine, with a tag; `None`: nothing but its digest.
        target: receives the archive; memory use does not depend on the image's size.

    Raises:
        UnreadableError: a file of the layout is missing, or can't be read.
        VerificationError: one has other bytes than it was verified to have.
        OSError: the target can't be written.
    """
    with opened_layout(path) as layout, tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        small = _small(layout, image, name)
        for file, sha256 in image.files.items():  # sorted
            if file not in {INDEX_FILE, LAYOUT_FILE}:
                _copy(layout, file, sha256, archive)
        for file in sorted(small):
            archive.addfile(_header(file, len(small[file])), BytesIO(small[file]))


def _small(layout: Layout, image: Image, name: Reference | None) -> Mapping[str, bytes]:
    """Return the files that list the image."""
    annotations = {CONTAINERD_NAME: _tagged(name), REF_NAME: name.tag or ""} if name else {}
    entry = replace(image.descriptor.bare, platform=image.descriptor.platform, annotations=annotations)
    files = files_listing(entry)
    manifest = layout.manifest(image.descriptor)
    if isinstance(manifest, Manifest):  # docker's format can't list several platforms of one image
        files[DOCKER_FILE] = _docker_file(manifest, name)
    return files


def _docker_file(manifest: Manifest, name: Reference | None) -> bytes:
    layers: list[JSONValue] = [blob_name(layer) for layer in manifest.layers]
    tags: list[JSONValue] = [_tagged(name)] if name else []
    entry: dict[str, JSONValue] = {"Config": blob_name(manifest.config), "RepoTags": tags or None, "Layers": layers}
    return json.dumps([entry], separators=(",", ":")).encode()


def _tagged(name: Reference) -> str:
    return f"{name.name}:{name.tag}"


def _copy(layout: Layout, file: str, sha256: str, archive: tarfile.TarFile) -> None:
    with layout.open(file) as stream:
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
        if size > 0 and not data:  # `tarfile` asks for as many bytes as there were
            raise _changed(self._file)
        self.sha256.update(data)
        return data


def _changed(file: str) -> VerificationError:
    return VerificationError(f"{quoted(file)} changed while it was copied")


def _header(file: str, size: int) -> tarfile.TarInfo:
    """Return a header without owner and time."""
    header = tarfile.TarInfo(file)
    header.size = size
    header.mode = 0o644
    return header
