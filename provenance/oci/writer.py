"""Writing an image layout: each blob digested on its way, under its own name, once."""

from __future__ import annotations

import hashlib
import os
import secrets
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from ..errors import UnreadableError, VerificationError, quoted
from .model import OCI_INDEX, Descriptor, encode
from .tree import writing

if TYPE_CHECKING:
    from pathlib import Path

LAYOUT_FILE = "oci-layout"
INDEX_FILE = "index.json"
LAYOUT_VERSION = "1.0.0"
BLOBS = "blobs/sha256"
_CHUNK = 1 << 20


def blob_name(descriptor: Descriptor) -> str:
    """Return the path of a blob in a layout."""
    return f"{BLOBS}/{descriptor.sha256}"


class LayoutWriter:
    """Puts together a layout in `folder`, which must not be there yet or be empty.

    It is no layout until `finish`: whatever ends the work before leaves a folder that no reader takes for an image.

    Raises:
        StoreError: the folder can't be made, or is not empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blobs = folder / BLOBS
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "blobs").mkdir()
            self._blobs.mkdir()

    def add(
        self, source: bytes | BinaryIO, media_type: str, *, expected: Descriptor | None = None, limit: int | None = None
    ) -> Descriptor:
        """Write a blob and return its descriptor.

        Args:
            source: its bytes, or a stream of them, which is read to its end.
            media_type: of the bytes.
            expected: what was said of them; more bytes than that says are not read.
            limit: bytes that are taken at most, where nothing was said of them.

        Raises:
            VerificationError: they are not what was said.
            UnreadableError: there are more than `limit`.
            StoreError: they can't be written.
        """
        stream = BytesIO(source) if isinstance(source, bytes) else source
        most = expected.size if expected is not None else limit
        new = self._blobs / f".{secrets.token_hex(8)}"
        with writing(self._blobs):
            try:
                with new.open("xb") as target:
                    found = _copy(stream, target, media_type, most)
                _hold(found, expected, limit)
                new.replace(self.folder / blob_name(found))
            finally:
                new.unlink(missing_ok=True)
        return found

    def link(self, path: Path, descriptor: Descriptor) -> Descriptor:
        """Give a blob of another layout of ours a second name here; where that can't be, copy it.

        Nobody may write into that file any more. Its bytes are digested here.

        Raises:
            VerificationError: they are not what the descriptor names.
            StoreError: they can't be read or written.
        """
        target = self.folder / blob_name(descriptor)
        with writing(target):
            if target.exists():
                return descriptor
            try:
                os.link(path, target, follow_symlinks=False)
            except OSError:  # another filesystem, or one without links
                with path.open("rb") as stream:
                    self.add(stream, descriptor.media_type, expected=descriptor)
                return descriptor
            with target.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                size = stream.tell()
        if (digest, size) != (descriptor.sha256, descriptor.size):
            target.unlink()
            raise VerificationError(f"{quoted(str(path))} does not hold the bytes of {descriptor.digest}")
        return descriptor

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether a blob is written."""
        return (self.folder / blob_name(descriptor)).exists()

    def finish(self, root: Descriptor) -> None:
        """Make it a layout that holds `root`, which was added with all that it refers to.

        Raises:
            StoreError: it can't be written.
        """
        index = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [root.to_json()]})
        with writing(self.folder):
            (self.folder / INDEX_FILE).write_bytes(index)
            (self.folder / LAYOUT_FILE).write_bytes(encode({"imageLayoutVersion": LAYOUT_VERSION}))


def _copy(stream: BinaryIO, target: BinaryIO, media_type: str, most: int | None) -> Descriptor:
    """Copy a stream, one byte further than `most`, which tells that there is more."""
    sha256, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK if most is None else min(_CHUNK, most + 1 - size)):
        sha256.update(chunk)
        size += len(chunk)
        target.write(chunk)
    return Descriptor(media_type=media_type, digest=f"sha256:{sha256.hexdigest()}", size=size)


def _hold(found: Descriptor, expected: Descriptor | None, limit: int | None) -> None:
    """Hold what was written against what was said of it."""
    if expected is None:
        if limit is not None and found.size > limit:
            raise UnreadableError(f"larger than the {limit:,} bytes that are read of such a blob")
        return
    if found.size != expected.size:
        more = "more" if found.size > expected.size else f"{found.size:,}"
        raise VerificationError(f"{expected.digest} has {more} bytes, where {expected.size:,} are referred to")
    if found.digest != expected.digest:
        raise VerificationError(f"a blob that is referred to as {expected.digest} has the digest {found.digest}")
