"""Pulling an image from a registry (distribution-spec v1.1, "Pulling manifests" and "Pulling blobs")."""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from ..errors import RegistryError, UnreadableError, VerificationError, about
from .model import INDEXES, MANIFEST_LIMIT, MANIFESTS, Descriptor, Index, Manifest, parse_manifest, read_manifest, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .reference import Reference
    from .registry import Answer, Registry
    from .writer import LayoutWriter

_ACCEPTED = ", ".join(sorted(INDEXES | MANIFESTS))
_OUTDATED = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_SIZE = re.compile(r"[1-9][0-9]{0,7}\Z")
_RESUMED = 3
"""Times that the connection of one blob may break."""
_WINDOW = 1 << 20
_PARTIAL = 206


def resolve(registry: Registry, reference: Reference) -> Descriptor:
    """Return what a reference names at this moment: a manifest, or an index of several.

    The headers of the answer are enough if they are complete; bytes that are fetched later are checked against them.

    Raises:
        RegistryError: there is no such image, or it may not be read.
        VerificationError: it is not that of the reference's digest.
    """
    path = f"manifests/{reference.wanted}"
    with registry.ask("HEAD", reference, path, headers={"Accept": _ACCEPTED}) as answer:
        descriptor = _descriptor(answer)
    if descriptor is None or (reference.digest and descriptor.digest != reference.digest):
        descriptor = _fetched(registry, reference)
    return descriptor


def fetch(registry: Registry, reference: Reference, descriptor: Descriptor) -> Manifest | Index:
    """Fetch a manifest or an index of a repository.

    Raises:
        RegistryError: it is not there, or may not be read.
        UnreadableError: it is malformed.
        VerificationError: the registry sent other bytes than those of the descriptor.
    """
    with _about(reference, descriptor):
        return read_manifest(_manifest_bytes(registry, reference, descriptor), descriptor)


def pull(registry: Registry, reference: Reference, root: Descriptor, writer: LayoutWriter) -> None:
    """Write a manifest or an index, and all that belongs to it, into a layout; `finish` is left to the caller.

    Foreign layers, as those of Windows, are not fetched.

    Raises:
        RegistryError: something is not there, or may not be read; there are too many manifests, or too deep indexes.
        UnreadableError: a manifest is malformed.
        VerificationError: the registry sent other bytes than those of a descriptor.
        StoreError: they can't be written.
    """

    def read(descriptor: Descriptor) -> Manifest | Index | None:
        if writer.has(descriptor):
            return None
        document = fetch(registry, reference, descriptor)
        writer.add(document.raw, descriptor.media_type)
        return document

    def too_large(what: str) -> RegistryError:
        return RegistryError(f"`{reference}` has {what}")

    for _, document in walk([root], read, too_large):
        for descriptor in document.references:
            if isinstance(document, Manifest):
                _add_blob(registry, reference, descriptor, writer)
            elif not descriptor.is_manifest and not writer.has(descriptor):  # of a later version of the specification
                with _about(reference, descriptor):
                    data = _manifest_bytes(registry, reference, descriptor)
                    writer.add(data, descriptor.media_type, expected=descriptor)


def _add_blob(registry: Registry, reference: Reference, descriptor: Descriptor, writer: LayoutWriter) -> None:
    if not writer.has(descriptor) and not descriptor.is_foreign:
        with _about(reference, descriptor), _Blob(registry, reference, descriptor) as stream:
            writer.add(stream, descriptor.media_type, expected=descriptor)


def _descriptor(answer: Answer) -> Descriptor | None:
    """Return the descriptor of a manifest from an answer's headers; `None`: they are not complete."""
    digest, size = answer.headers.get("Docker-Content-Digest", ""), answer.headers.get("Content-Length", "")
    media_type = _media_type(answer)
    if not _DIGEST.match(digest) or not _SIZE.match(size) or media_type not in INDEXES | MANIFESTS:
        return None
    return Descriptor(media_type=media_type, digest=digest, size=int(size))


def _fetched(registry: Registry, reference: Reference) -> Descriptor:
    """Return the descriptor of what a reference names, from its bytes."""
    headers = {"Accept": _ACCEPTED}
    with registry.ask("GET", reference, f"manifests/{reference.wanted}", headers=headers) as answer:
        data, media_type = _whole(answer, MANIFEST_LIMIT), _media_type(answer)
    if media_type in _OUTDATED:
        hint = "pull it with docker and push it again, which converts it"
        raise UnreadableError(f"`{reference}` is an image of docker's first format, schema 1", hint=hint)
    with about(f"`{reference}`"):
        document = parse_manifest(data, media_type if media_type in INDEXES | MANIFESTS else None)
    descriptor = Descriptor.of(data, document.media_type)
    if reference.digest and descriptor.digest != reference.digest:
        raise VerificationError(
            f"`{reference.registry}` sent other bytes than those of `{reference}`: {descriptor.digest}"
        )
    return descriptor


def _manifest_bytes(registry: Registry, reference: Reference, descriptor: Descriptor) -> bytes:
    headers = {"Accept": f"{descriptor.media_type}, {_ACCEPTED}"}
    with registry.ask("GET", reference, f"manifests/{descriptor.digest}", headers=headers) as answer:
        return _whole(answer, MANIFEST_LIMIT)


def _whole(answer: Answer, limit: int) -> bytes:
    pieces, size = [], 0
    while piece := answer.read(limit + 1 - size):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise UnreadableError(f"`{answer.host}` sent more than the {limit:,} bytes that are read of a manifest")
    return b"".join(pieces)


def _media_type(answer: Answer) -> str:
    return answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()


@contextmanager
def _about(reference: Reference, descriptor: Descriptor) -> Iterator[None]:
    """Name the blob in an error about its bytes; errors of the connection name what was asked for."""
    try:
        yield
    except (UnreadableError, VerificationError) as error:
        error.message = f"{descriptor.digest} of `{reference.name}`: {error.message}"
        raise


class _Blob(ExitStack):
    """A stream of a blob's bytes; a connection that breaks is made again, from where it broke."""

    def __init__(self, registry: Registry, reference: Reference, descriptor: Descriptor) -> None:
        super().__init__()
        self._registry, self._reference, self._path = registry, reference, f"blobs/{descriptor.digest}"
        self._position = 0
        self._retries = _RESUMED
        self._answer = self._request()

    def read(self, size: int, /) -> bytes:
        """Return the next bytes; none at the end."""
        while True:
            try:
                piece = self._answer.read(size)
            except RegistryError:
                if not self._retries:
                    raise
                self._retries -= 1
                self._resume()
            else:
                self._position += len(piece)
                return piece

    def _resume(self) -> None:
        """Request the rest, or all of it from a registry without range requests (RFC 9110, 14.2)."""
        self.close()
        self._answer = self._request()
        skipped = self._position if self._answer.status != _PARTIAL else 0
        while skipped and (piece := self._answer.read(min(skipped, _WINDOW))):
            skipped -= len(piece)

    def _request(self) -> Answer:
        headers = {"Range": f"bytes={self._position}-"} if self._position else {}
        return self.enter_context(self._registry.ask("GET", self._reference, self._path, headers=headers))
