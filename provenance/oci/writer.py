"""Writing an image layout: each blob is digested on the way and stored once; and copying one that others made."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from contextlib import contextmanager
from enum import StrEnum
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, Protocol

from ..errors import UnreadableError, VerificationError, about, quoted
from ..fs.store import writing
from ..json import read_object
from .layout import BLOBS, blob_name, entry_files, opened_layout
from .model import (
    CONFIG_LIMIT,
    MANIFEST_LIMIT,
    MANIFESTS_LIMIT,
    Descriptor,
    Manifest,
    check_bytes,
    parse_manifest,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from ..json import JSONValue
    from .model import Index

_CHUNK = 1 << 20


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, `size` at most; none at the end."""


class LayoutWriter:
    """Writes a layout into `folder`, which must not exist yet or be empty.

    Until `finish` it lacks the files by which readers recognise a layout.

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
        self, source: bytes | Readable, media_type: str, *, expected: Descriptor | None = None, limit: int | None = None
    ) -> Descriptor:
        """Write a blob and return its descriptor.

        Args:
            source: its bytes, or a stream that is read to its end.
            media_type: of the bytes.
            expected: descriptor that they must match; reading stops one byte beyond its size.
            limit: bytes that are read without `expected`.

        Raises:
            VerificationError: they do not match `expected`.
            UnreadableError: there are more than `limit`.
            StoreError: they can't be written.
        """
        stream = BytesIO(source) if isinstance(source, bytes) else source
        most = expected.size if expected is not None else limit
        new = self._blobs / f".{secrets.token_hex(8)}"
        with writing(self._blobs):
            try:
                with new.open("xb") as target:
                    written = _copy(stream, target, media_type, most)
                _compare(written, expected, limit)
                new.replace(self.folder / blob_name(written))
            finally:
                new.unlink(missing_ok=True)
        return written

    def link(self, path: Path, descriptor: Descriptor) -> Descriptor:
        """Add a blob of another layout of ours as a hard link, else as a copy; its bytes are digested.

        Nothing may write into that file any more.

        Raises:
            VerificationError: its bytes are not those of the descriptor.
            StoreError: it can't be read or written.
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
                raise VerificationError(f"{quoted(str(path))} is not a regular file")
            with target.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                size = stream.tell()
        if (digest, size) != (descriptor.sha256, descriptor.size):
            target.unlink()
            raise VerificationError(f"{quoted(str(path))} does not have the bytes of {descriptor.digest}")
        return descriptor

    def take(self, other: LayoutWriter, descriptor: Descriptor) -> Descriptor:
        """Link or copy a blob that another writer of this process has digested; return `descriptor`.

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

    def take_image(self, other: LayoutWriter, descriptor: Descriptor) -> Manifest:
        """Take a manifest, its configuration and its layers from another writer, and return the manifest.

        Raises:
            UnreadableError: it is not a manifest, or malformed.
            StoreError: something is not there, or can't be read or written.
        """
        manifest = other.manifest(descriptor)
        if not isinstance(manifest, Manifest):
            raise UnreadableError(f"{descriptor.digest} is an index, where the manifest of one image is needed")
        for reference in (descriptor, *manifest.references):
            if not reference.is_foreign or other.has(reference):
                self.take(other, reference)
        return manifest

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
            VerificationError: the descriptor has another size.
        """
        with self.open(descriptor) as stream:
            data = stream.read(limit + 1)
        if len(data) > limit:
            raise UnreadableError(
                f"{descriptor.digest} is larger than the {limit:,} bytes that are read of such a blob"
            )
        check_bytes(data, descriptor)
        return data

    def manifest(self, descriptor: Descriptor) -> Manifest | Index:
        """Return a manifest or an index that was written.

        Raises:
            UnreadableError: it was not, is malformed, or there are too many.
            VerificationError: the descriptor has another size.
        """
        key = (descriptor.digest, descriptor.media_type)
        document = self._manifests.get(key)
        if document is None or descriptor.size != len(document.raw):
            document = parse_manifest(self.read(descriptor, MANIFEST_LIMIT), descriptor.media_type)
            self._left -= len(document.raw)
            if self._left < 0:
                raise self.too_large(f"manifests of more than {MANIFESTS_LIMIT:,} bytes")
            self._manifests[key] = document
        return document

    def config(self, manifest: Manifest) -> Mapping[str, JSONValue]:
        """Return the configuration of an image that was written.

        Raises:
            UnreadableError: it was not, or is not a JSON object.
            VerificationError: the manifest gives another size.
        """
        data = self.read(manifest.config, CONFIG_LIMIT)
        return read_object(data, what="the image's configuration", limit=CONFIG_LIMIT).found

    def finish(self, root: Descriptor) -> None:
        """Complete the layout of `root` (`entry_files`); blobs that do not belong to it are removed.

        Raises:
            UnreadableError: something that belongs to it is missing or malformed.
            StoreError: it can't be written.
        """
        needed = self._complete(root)
        with writing(self._blobs):
            for path in self._blobs.iterdir():
                if path.name not in needed:
                    path.unlink()
        with writing(self.folder):
            for name, data in entry_files(root).items():
                (self.folder / name).write_bytes(data)

    def too_large(self, what: str) -> UnreadableError:
        """Return the error for an image that has more than is read."""
        return UnreadableError(f"the image has {what}")

    def _complete(self, root: Descriptor) -> set[str]:
        """Return the names of all blobs that belong to `root`, none of which is missing."""
        needed: set[str] = set()

        def need(references: Iterable[Descriptor]) -> None:
            for reference in references:
                if self.has(reference):
                    needed.add(reference.sha256)
                elif not reference.is_foreign:
                    missing = f"{reference.digest} ({reference.media_type})"
                    raise UnreadableError(f"{missing} is missing: the image is not complete")

        need((root,))
        for _, document in walk([root], self.manifest, self.too_large):
            need(document.references)
        return needed


def _copy(stream: Readable, target: BinaryIO, media_type: str, most: int | None) -> Descriptor:
    """Copy a stream, one byte further than `most`, which tells that there is more."""
    sha256, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK if most is None else min(_CHUNK, most + 1 - size)):
        sha256.update(chunk)
        size += len(chunk)
        target.write(chunk)
    return Descriptor(media_type=media_type, digest=f"sha256:{sha256.hexdigest()}", size=size)


def _compare(written: Descriptor, expected: Descriptor | None, limit: int | None) -> None:
    if expected is None:
        if limit is not None and written.size > limit:
            raise UnreadableError(f"larger than the {limit:,} bytes that are read of such a blob")
        return
    if written.size != expected.size:
        more = "more" if written.size > expected.size else f"{written.size:,}"
        raise VerificationError(f"{expected.digest} has {more} bytes, not the {expected.size:,} of its descriptor")
    if written.digest != expected.digest:
        raise VerificationError(f"a blob that is referred to as {expected.digest} has the digest {written.digest}")


class Means(StrEnum):
    """How `copy_layout` adds a blob."""

    COPY = "copy"
    """Its owner may write into the file later."""
    LINK = "link"
    """Nothing will: the layout is ours, as the output of a build in a folder of ours."""


def copy_layout(path: Path, writer: LayoutWriter, means: Means = Means.COPY) -> tuple[Descriptor, ...]:
    """Add all that a layout's index lists to the layout that is written; return the entries, each once.

    Entries whose blobs are missing are passed over, as engines list platforms that they have not pulled; `finish`
    reports those that are needed.

    Raises:
        UnreadableError: it is not a layout, or a manifest is malformed.
        VerificationError: a blob is not that of its descriptor.
        StoreError: a blob can't be written.
    """
    with opened_layout(path) as layout, about(quoted(str(path))):
        entries = tuple({entry.digest: entry for entry in layout.index.manifests}.values())

        def add(references: Iterable[Descriptor]) -> None:
            for descriptor in references:
                if writer.has(descriptor) or not layout.has(descriptor):
                    continue
                if means is Means.LINK:
                    writer.link(path / blob_name(descriptor), descriptor)
                else:
                    with layout.blob(descriptor) as stream:
                        writer.add(stream, descriptor.media_type, expected=descriptor)

        def read(descriptor: Descriptor) -> Manifest | Index | None:
            return writer.manifest(descriptor) if writer.has(descriptor) else None

        add(entries)
        for _, document in walk(entries, read, writer.too_large):
            add(document.references)
        return entries
