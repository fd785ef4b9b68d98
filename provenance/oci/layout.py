"""The OCI image layout, an image as a folder (image-spec v1.1, image-layout.md): read and verified."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..digest import Digest, digest_bytes
from ..errors import ProvenanceError, UnreadableError, VerificationError, about, quoted
from ..fs.folder import Folder, opened
from ..json import read_object
from . import LAYOUT_FILE
from .model import (
    CONFIG_LIMIT,
    MANIFEST_LIMIT,
    OCI_INDEX,
    Descriptor,
    Index,
    Manifest,
    check_bytes,
    encode,
    parse_index,
    read_manifest,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import BufferedReader
    from pathlib import Path

    from ..json import JSONValue

INDEX_FILE = "index.json"
BLOBS = "blobs/sha256"
_LAYOUT_VERSION = "1.0.0"
_LAYOUT_LIMIT = 4 << 10
_LISTED = 20


def blob_name(descriptor: Descriptor) -> str:
    """Return the path of a blob in a layout."""
    return f"{BLOBS}/{descriptor.sha256}"


def entry_files(root: Descriptor) -> dict[str, bytes]:
    """Return `index.json` and `oci-layout` of a layout of ours, by name.

    The entry has media type, digest and size alone: anything else, as a tag, would not be signed.
    """
    return files_listing(root.bare)


def files_listing(entry: Descriptor) -> dict[str, bytes]:
    """Return `index.json` and `oci-layout` of a layout with this entry, by name."""
    return {
        INDEX_FILE: encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry.to_json()]}),
        LAYOUT_FILE: encode({"imageLayoutVersion": _LAYOUT_VERSION}),
    }


def check_layout_file(data: bytes) -> None:
    """Check the content of `oci-layout`.

    Raises:
        UnreadableError: it is malformed, or of another version.
    """
    document = read_object(data, what=quoted(LAYOUT_FILE), limit=_LAYOUT_LIMIT)
    if document.text("imageLayoutVersion") != _LAYOUT_VERSION:
        raise document.error("imageLayoutVersion", f"must be `{_LAYOUT_VERSION}`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """An open layout.

    Attributes:
        path: for messages.
        index: its `index.json`.
    """

    path: Path
    index: Index
    folder: Folder

    @property
    def root(self) -> Descriptor:
        """The one entry of the index.

        Raises:
            UnreadableError: it has none or several.
        """
        if len(self.index.manifests) != 1:
            what = f"{len(self.index.manifests)} entries in index.json, not one"
            raise UnreadableError(f"the image layout {quoted(str(self.path))} has {what}")
        return self.index.manifests[0]

    def manifest(self, descriptor: Descriptor) -> Manifest | Index:
        """Return a manifest or an index, whose bytes are those of the descriptor.

        Raises:
            UnreadableError: it is missing, too large or malformed.
            VerificationError: it has other bytes.
        """
        with about(f"{quoted(self.path.name)}: {descriptor.digest}"):
            return read_manifest(self.folder.read(blob_name(descriptor), MANIFEST_LIMIT), descriptor)

    def config(self, manifest: Manifest) -> Mapping[str, JSONValue]:
        """Return the configuration of an image, whose bytes are those of the manifest's descriptor.

        Raises:
            UnreadableError: it is missing, too large or not a JSON object.
            VerificationError: it has other bytes.
        """
        with about(f"{quoted(self.path.name)}: {manifest.config.digest}"):
            data = self.folder.read(blob_name(manifest.config), CONFIG_LIMIT)
            check_bytes(data, manifest.config)
            return read_object(data, what="the image's configuration", limit=CONFIG_LIMIT).found

    @contextmanager
    def open(self, name: str) -> Iterator[BufferedReader]:
        """Open a file of the layout; the caller digests it, or has verified the layout before.

        Raises:
            UnreadableError: it is missing, not a regular file, or can't be read.
        """
        with ExitStack() as stack:
            with about(quoted(name)):
                stream = stack.enter_context(self.folder.open(name))
            yield stream

    @contextmanager
    def blob(self, descriptor: Descriptor) -> Iterator[BufferedReader]:
        """Open a blob, as `open`."""
        with self.open(blob_name(descriptor)) as stream:
            yield stream

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether there is something under the name of a blob."""
        with about(quoted(blob_name(descriptor))):
            return self.folder.has(blob_name(descriptor))

    def images(self) -> Iterator[tuple[Descriptor, Manifest]]:
        """Yield the root if it is a manifest, else each manifest that it lists, and those of indexes in it.

        Raises:
            UnreadableError: one is missing or malformed, or there are too many.
            VerificationError: one has other bytes than those of its descriptor.
        """
        for descriptor, document in walk([self.root], self.manifest, self.too_large):
            if isinstance(document, Manifest):
                yield descriptor, document

    def too_large(self, what: str) -> UnreadableError:
        """Return the error for a layout that has more than is read."""
        return UnreadableError(f"the image layout {quoted(str(self.path))} has {what}")


@contextmanager
def opened_layout(path: Path) -> Iterator[Layout]:
    """Open the layout at `path`.

    Raises:
        UnreadableError: it is missing, a link, not a layout of a known version, or can't be read.
    """
    with opened(path, follow=False) as folder:
        with about(f"{quoted(str(path))} is not an OCI image layout"):
            with about(quoted(LAYOUT_FILE)):
                check_layout_file(folder.read(LAYOUT_FILE, _LAYOUT_LIMIT))
            with about(quoted(INDEX_FILE)):
                index = parse_index(folder.read(INDEX_FILE, MANIFEST_LIMIT))
        yield Layout(path=path, index=index, folder=folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A verified layout.

    Attributes:
        descriptor: of its manifest or index.
        digest: of that manifest or index.
        files: of the whole layout: path in it to sha256 in hex.
    """

    descriptor: Descriptor
    digest: Digest
    files: Mapping[str, str]


def verify_layout(path: Path) -> Image:
    """Verify a layout by computing every digest and size in it.

    1. It is a folder with `oci-layout` and an `index.json` of one entry.
    2. All that is reached from that entry is there, as regular files, with the digests and sizes of the descriptors;
       layers that may be kept elsewhere need not be there.
    3. There is nothing else.

    Raises:
        UnreadableError: it is not a layout, or holds none or several images.
        VerificationError: something is missing, differs, is a link, or is not referred to; a line for each.
    """
    with opened_layout(path) as layout:
        root = layout.root
        if not root.is_manifest:
            raise UnreadableError(f"index.json refers to {quoted(root.media_type)}, neither a manifest nor an index")
        check = _Check(layout=layout, present=frozenset(layout.folder.files()))
        check.run(root)
        if check.failures:
            more = len(check.failures) - _LISTED
            raise VerificationError(
                "\n".join([*check.failures[:_LISTED], *([f"and {more:,} more failures"] if more > 0 else [])])
            )
        raw = layout.manifest(root).raw
    return Image(descriptor=root, digest=digest_bytes(raw), files=dict(sorted(check.files.items())))


@dataclass(slots=True, kw_only=True)
class _Check:
    """One verification.

    Attributes:
        present: path of every file.
        files: path of those that were read to sha256; empty: it can't be read.
        failures: a line for each.
        complete: all manifests could be read, so that files without a reference are known.
    """

    layout: Layout
    present: frozenset[str]
    files: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    complete: bool = True
    _sizes: dict[str, int] = field(default_factory=dict)

    def run(self, root: Descriptor) -> None:
        for name in (LAYOUT_FILE, INDEX_FILE):
            self._digest(name)
        self._blob(root)
        for _, document in walk([root], self._document, self.layout.too_large):
            for reference in document.references:
                self._blob(reference)
        for name in sorted(self.present - self.files.keys()) if self.complete else ():
            self._fail(f"{quoted(name)} is not part of the image")

    def _document(self, descriptor: Descriptor) -> Manifest | Index | None:
        name = blob_name(descriptor)
        if self.files[name] == descriptor.sha256 and self._sizes[name] == descriptor.size:
            try:
                return self.layout.manifest(descriptor)
            except ProvenanceError as error:
                self.failures.append(error.message)
        self.complete = False
        return None

    def _blob(self, descriptor: Descriptor) -> None:
        name = blob_name(descriptor)
        if name not in self.files:
            if descriptor.is_foreign and name not in self.present:
                return
            self._digest(name)
            if self.files[name] not in {"", descriptor.sha256}:
                self._fail(f"{quoted(name)} has the digest sha256:{self.files[name]}")
        if self.files[name] and self._sizes[name] != descriptor.size:
            self._fail(f"{quoted(name)} has {self._sizes[name]:,} bytes, not the {descriptor.size:,} of its descriptor")

    def _digest(self, name: str) -> None:
        self.files[name] = ""
        try:
            with self.layout.open(name) as stream:
                self.files[name] = hashlib.file_digest(stream, "sha256").hexdigest()
                self._sizes[name] = stream.tell()
        except UnreadableError as error:
            self._fail(error.message)
        except OSError as error:
            self._fail(f"{quoted(name)} can't be read: {error.strerror}")

    def _fail(self, reason: str) -> None:
        self.failures.append(f"{quoted(self.layout.path.name)}: {reason}")
