"""An image as a folder: the OCI image layout (image-spec v1.1, image-layout.md), read and verified."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from ..attest.document import read_object
from ..digest import Digest, digest_bytes
from ..errors import ProvenanceError, UnreadableError, VerificationError, quoted
from . import LAYOUT_FILE
from .model import (
    CONFIG_LIMIT,
    INDEXES,
    MANIFEST_LIMIT,
    MANIFESTS,
    MANIFESTS_LIMIT,
    OCI_INDEX,
    Descriptor,
    Index,
    Manifest,
    parse_manifest,
    read_manifest,
    refuse_others,
)
from .tree import Tree, opened_tree
from .writer import INDEX_FILE, LAYOUT_VERSION, LayoutWriter, blob_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ..json import JSONValue

__all__ = ["Image", "Layout", "LayoutWriter", "opened_layout", "verify_layout"]

_LAYOUT_LIMIT = 4 << 10
_DEEPEST = 4
"""Indexes inside each other that are followed."""
_MOST = 10_000
"""Manifests of one layout that are read."""
_CHUNK = 4 << 20
_LISTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """An open layout.

    Attributes:
        path: for messages.
        index: its `index.json`, whose entries are what it holds.
    """

    path: Path
    index: Index
    tree: Tree

    @property
    def root(self) -> Descriptor:
        """What it holds, where that is one thing.

        Raises:
            UnreadableError: it is none or several.
        """
        if len(self.index.manifests) != 1:
            raise UnreadableError(f"{self._named} has {len(self.index.manifests)} entries in index.json, not one")
        return self.index.manifests[0]

    def manifest(self, descriptor: Descriptor) -> Manifest | Index:
        """Return a manifest or an index, whose bytes are those that the descriptor names.

        Raises:
            UnreadableError: it is missing, too large or malformed.
            VerificationError: it has other bytes.
        """
        with self._about(descriptor):
            return read_manifest(self.tree.read(blob_name(descriptor), MANIFEST_LIMIT), descriptor)

    def config(self, manifest: Manifest) -> Mapping[str, JSONValue]:
        """Return the configuration of an image, whose bytes are those that its manifest names.

        Raises:
            UnreadableError: it is missing, too large or no JSON object.
            VerificationError: it has other bytes.
        """
        with self._about(manifest.config):
            data = self.tree.read(blob_name(manifest.config), CONFIG_LIMIT)
            refuse_others(data, manifest.config)
            return read_object(data, what="the image's configuration", limit=CONFIG_LIMIT).found

    @contextmanager
    def blob(self, descriptor: Descriptor) -> Iterator[BinaryIO]:
        """Open a blob. Whoever reads it digests it, or has verified the layout before.

        Raises:
            UnreadableError: it is missing, no regular file, or can't be read.
        """
        with self.tree.open(blob_name(descriptor)) as stream:
            yield stream

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether there is something under the name of a blob."""
        return self.tree.has(blob_name(descriptor))

    def images(self) -> Iterator[tuple[Descriptor, Manifest]]:
        """Yield the root, if it is a manifest, or each manifest of the index that it is, and of indexes in that.

        Raises:
            UnreadableError: one is missing or malformed, or there are too many.
            VerificationError: one has other bytes than its descriptor names.
        """
        for descriptor, found in self.walk(self.root):
            if isinstance(found, Manifest):
                yield descriptor, found

    def walk(self, *roots: Descriptor) -> Iterator[tuple[Descriptor, Manifest | Index]]:
        """Yield all manifests and indexes that are reached from `roots`, each index before what is in it.

        Raises:
            UnreadableError: one is missing or malformed, there are too many, or they are nested too deeply.
            VerificationError: one has other bytes than its descriptor names.
        """
        waiting = [(root, 1) for root in reversed(roots)]
        indexes: set[str] = set()
        read, left = 0, MANIFESTS_LIMIT
        while waiting:
            descriptor, depth = waiting.pop()
            if descriptor.media_type not in INDEXES | MANIFESTS or descriptor.digest in indexes:
                continue  # an index that is listed again says nothing new
            read, left = read + 1, left - descriptor.size
            if read > _MOST or depth > _DEEPEST:
                what = f"more than {_MOST:,} manifests" if read > _MOST else f"indexes more than {_DEEPEST} deep"
                raise UnreadableError(f"{self._named} has {what}")
            if left < 0:
                raise UnreadableError(f"{self._named} has manifests of more than {MANIFESTS_LIMIT:,} bytes")
            found = self.manifest(descriptor)
            yield descriptor, found
            if isinstance(found, Index):
                indexes.add(descriptor.digest)
                waiting += [(one, depth + 1) for one in reversed(found.manifests)]

    @property
    def _named(self) -> str:
        return f"the image layout {quoted(str(self.path))}"

    @contextmanager
    def _about(self, descriptor: Descriptor) -> Iterator[None]:
        """Name the blob in an error that the block raises."""
        try:
            yield
        except ProvenanceError as error:
            raise type(error)(f"{quoted(self.path.name)}: {descriptor.digest}: {error.message}") from error


@contextmanager
def opened_layout(path: Path) -> Iterator[Layout]:
    """Open the layout at `path`.

    Raises:
        UnreadableError: it is missing, a link, no layout of a version that is known, or can't be read.
    """
    with opened_tree(path) as tree:
        yield Layout(path=path, index=_read_index(path, tree), tree=tree)


def _read_index(path: Path, tree: Tree) -> Index:
    try:
        said = read_object(tree.read(LAYOUT_FILE, _LAYOUT_LIMIT), what=quoted(LAYOUT_FILE), limit=_LAYOUT_LIMIT)
        if said.text("imageLayoutVersion") != LAYOUT_VERSION:
            raise said.error("imageLayoutVersion", f"must be `{LAYOUT_VERSION}`")
        found = parse_manifest(tree.read(INDEX_FILE, MANIFEST_LIMIT), OCI_INDEX)
    except UnreadableError as error:
        raise UnreadableError(f"{quoted(str(path))} is no OCI image layout: {error.message}") from error
    if not isinstance(found, Index):  # pragma: no cover - an index was asked for
        raise UnreadableError(f"{quoted(str(path))}: index.json is no index")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A layout of which every byte is accounted for.

    Attributes:
        descriptor: of what it holds: a manifest, or an index over several.
        digest: of the bytes of that manifest or index.
        files: of the whole layout: path in it to sha256 in hex.
    """

    descriptor: Descriptor
    digest: Digest
    files: Mapping[str, str]


def verify_layout(path: Path) -> Image:
    """Verify a layout: compute every digest and size in it again.

    1. It is a folder with `oci-layout` and an `index.json` of one entry.
    2. All that is reached from that entry is there, as regular files, with the digests and sizes of the descriptors;
       layers that may lie elsewhere need not be there.
    3. There is nothing else.

    Raises:
        UnreadableError: it is no layout, or holds none or several things.
        VerificationError: something is missing, differs, is a link, or belongs to nothing; a line for each.
    """
    with opened_layout(path) as layout:
        check = _Check(layout=layout)
        check.run()
        if check.failures:
            more = len(check.failures) - _LISTED
            raise VerificationError(
                "\n".join([*check.failures[:_LISTED], *([f"and {more:,} more failures"] if more > 0 else [])])
            )
        root = layout.root
        raw = layout.manifest(root).raw
    return Image(descriptor=root, digest=digest_bytes(raw), files=dict(sorted(check.files.items())))


@dataclass(slots=True, kw_only=True)
class _Check:
    """One verification, on its way.

    Attributes:
        files: path to sha256 of what was read; empty: it could not be.
        failures: a line for each.
    """

    layout: Layout
    files: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    _sizes: dict[str, int] = field(default_factory=dict)
    _present: frozenset[str] = frozenset()

    def run(self) -> None:
        root = self.layout.root
        if root.media_type not in INDEXES | MANIFESTS:
            raise UnreadableError(f"index.json refers to {quoted(root.media_type)}, neither a manifest nor an index")
        self._present = frozenset(self.layout.tree.files())
        for name in (LAYOUT_FILE, INDEX_FILE):
            self._file(name)
        if self._all_below(root):  # else what is missed can't be told from what belongs to nothing
            for name in sorted(self._present - self.files.keys()):
                self._fail(f"{quoted(name)} belongs to nothing in the image")

    def _all_below(self, root: Descriptor) -> bool:
        """Check all that is reached from `root`; tell whether all of it could be read."""
        waiting, seen, all_read, left = [root], set(), True, MANIFESTS_LIMIT
        while waiting:
            descriptor = waiting.pop()
            holds = self._blob(descriptor)
            # Whatever refers to it, and however often, what it refers to itself is looked at once.
            step = (descriptor.digest, descriptor.media_type)
            if descriptor.media_type not in INDEXES | MANIFESTS or step in seen:
                continue
            seen.add(step)
            left -= descriptor.size
            if left < 0:
                raise UnreadableError(f"it has manifests of more than {MANIFESTS_LIMIT:,} bytes")
            if not holds:
                all_read = False
                continue
            try:
                waiting += reversed(self.layout.manifest(descriptor).references)
            except ProvenanceError as error:
                self.failures.append(error.message)
                all_read = False
        return all_read

    def _blob(self, descriptor: Descriptor) -> bool:
        name = blob_name(descriptor)
        if name not in self.files:
            if descriptor.lies_elsewhere and name not in self._present:
                return False
            self._file(name)
            if self.files[name] not in {"", descriptor.sha256}:
                self._fail(f"{quoted(name)} has the digest sha256:{self.files[name]}")
        if self.files[name] and self._sizes[name] != descriptor.size:
            self._fail(f"{quoted(name)} has {self._sizes[name]:,} bytes, not the {descriptor.size:,} of its descriptor")
        return self.files[name] == descriptor.sha256 and self._sizes[name] == descriptor.size

    def _file(self, name: str) -> None:
        self.files[name] = ""
        try:
            with self.layout.tree.open(name) as stream:
                sha256, size = hashlib.sha256(), 0
                while chunk := stream.read(_CHUNK):
                    sha256.update(chunk)
                    size += len(chunk)
            self.files[name], self._sizes[name] = sha256.hexdigest(), size
        except UnreadableError as error:
            self._fail(error.message)
        except OSError as error:
            self._fail(f"{quoted(name)} can't be read: {error.strerror}")

    def _fail(self, reason: str) -> None:
        self.failures.append(f"{quoted(self.layout.path.name)}: {reason}")
