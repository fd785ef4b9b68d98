"""Writing an image layout: each blob digested on its way, under its own name, once."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from ..attest.document import read_object
from ..errors import UnreadableError, VerificationError, quoted
from . import LAYOUT_FILE
from .model import (
    CONFIG_LIMIT,
    INDEXES,
    MANIFEST_LIMIT,
    MANIFESTS,
    MANIFESTS_LIMIT,
    OCI_INDEX,
    Descriptor,
    encode,
    parse_manifest,
    refuse_others,
)
from .tree import writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ..json import JSONValue
    from .model import Index, Manifest

INDEX_FILE = "index.json"
LAYOUT_VERSION = "1.0.0"
BLOBS = "blobs/sha256"
_CHUNK = 1 << 20


def blob_name(descriptor: Descriptor) -> str:
    """Return the path of a blob in a layout."""
    return f"{BLOBS}/{descriptor.sha256}"


def entry_files(root: Descriptor) -> dict[str, bytes]:
    """Return the files by which a layout of ours is entered, by name.

    They say nothing of `root` but what its digest holds: whatever else stood there, as a tag, nobody would have signed.
    """
    bare = Descriptor(media_type=root.media_type, digest=root.digest, size=root.size)
    return {
        INDEX_FILE: encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [bare.to_json()]}),
        LAYOUT_FILE: encode({"imageLayoutVersion": LAYOUT_VERSION}),
    }


class LayoutWriter:
    """Puts together a layout in `folder`, which must not be there yet or be empty.

    It is no layout until `finish`: whatever ends the work before leaves a folder that no reader takes for an image.

    Raises:
        StoreError: the folder can't be made, or is not empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blobs = folder / BLOBS
        self._manifests: dict[tuple[str, str], Manifest | Index] = {}
        self._left = MANIFESTS_LIMIT
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
            if not stat.S_ISREG(target.lstat().st_mode):
                target.unlink()
                raise VerificationError(f"{quoted(str(path))} is no regular file")
            with target.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                size = stream.tell()
        if (digest, size) != (descriptor.sha256, descriptor.size):
            target.unlink()
            raise VerificationError(f"{quoted(str(path))} does not hold the bytes of {descriptor.digest}")
        return descriptor

    def take(self, other: LayoutWriter, descriptor: Descriptor) -> Descriptor:
        """Take over a blob that another writer of this process has digested; return `descriptor`.

        Raises:
            StoreError: it is not there, or can't be read or written.
        """
        target = self.folder / blob_name(descriptor)
        with writing(target):
            if not target.exists():
                try:
                    os.link(other.folder / blob_name(descriptor), target, follow_symlinks=False)
                except OSError:  # a filesystem without links
                    with other.open(descriptor) as stream:
                        self.add(stream, descriptor.media_type, expected=descriptor)
        return descriptor

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether a blob is written."""
        return (self.folder / blob_name(descriptor)).exists()

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[BinaryIO]:
        """Open a blob that was written.

        Raises:
            UnreadableError: it was not.
        """
        try:
            stream = (self.folder / blob_name(descriptor)).open("rb")
        except OSError as error:
            raise UnreadableError(f"{descriptor.digest} is not part of the image: {error.strerror}") from error
        with stream:
            yield stream

    def read(self, descriptor: Descriptor, limit: int) -> bytes:
        """Return the bytes of a blob that was written.

        Raises:
            UnreadableError: it was not, or is larger than `limit`.
            VerificationError: the descriptor gives another size.
        """
        with self.open(descriptor) as stream:
            data = stream.read(limit + 1)
        if len(data) > limit:
            raise UnreadableError(
                f"{descriptor.digest} is larger than the {limit:,} bytes that are read of such a blob"
            )
        refuse_others(data, descriptor)
        return data

    def manifest(self, descriptor: Descriptor) -> Manifest | Index:
        """Return a manifest or an index that was written.

        Raises:
            UnreadableError: it was not, is malformed, or there are too many.
            VerificationError: the descriptor gives another size.
        """
        step = (descriptor.digest, descriptor.media_type)
        found = self._manifests.get(step)
        if found is None or descriptor.size != len(found.raw):
            found = parse_manifest(self.read(descriptor, MANIFEST_LIMIT), descriptor.media_type)
            self._left -= len(found.raw)
            if self._left < 0:
                raise UnreadableError(f"the image has manifests of more than {MANIFESTS_LIMIT:,} bytes")
            self._manifests[step] = found
        return found

    def config(self, manifest: Manifest) -> Mapping[str, JSONValue]:
        """Return the configuration of an image that was written.

        Raises:
            UnreadableError: it was not, or is no JSON object.
            VerificationError: the manifest gives another size.
        """
        data = self.read(manifest.config, CONFIG_LIMIT)
        return read_object(data, what="the image's configuration", limit=CONFIG_LIMIT).found

    def finish(self, root: Descriptor) -> None:
        """Make it a layout that holds `root` and what belongs to it; other blobs that were added are removed.

        What the descriptor says beside type, digest and size is said of a place in another index, and not of the image:
        a name, a time. It is left out, so that equal images are equal folders.

        Raises:
            UnreadableError: something that belongs to it is missing or malformed.
            StoreError: it can't be written.
        """
        needed = self._reached(root)
        with writing(self._blobs):
            for path in self._blobs.iterdir():
                if path.name not in needed:
                    path.unlink()
        with writing(self.folder):
            for name, data in entry_files(root).items():
                (self.folder / name).write_bytes(data)

    def _reached(self, root: Descriptor) -> frozenset[str]:
        """Return the names of all blobs that belong to `root`."""
        waiting, found, walked = [root], set[str](), set[tuple[str, str]]()
        while waiting:
            one = waiting.pop()
            if one.lies_elsewhere and not self.has(one):
                continue
            if not self.has(one):
                raise UnreadableError(f"{one.digest} ({one.media_type}) is missing: the image is not complete")
            found.add(one.sha256)
            step = (one.digest, one.media_type)
            if one.media_type in INDEXES | MANIFESTS and step not in walked:
                walked.add(step)
                waiting += self.manifest(one).references
        return frozenset(found)


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
