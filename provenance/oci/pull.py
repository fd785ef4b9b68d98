"""Bringing an image here from a registry (distribution-spec v1.1, "Pulling manifests" and "Pulling blobs")."""

from __future__ import annotations

import io
import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from ..errors import RegistryError, UnreadableError, VerificationError
from .model import INDEXES, MANIFEST_LIMIT, MANIFESTS, Descriptor, Index, Manifest, parse_manifest, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

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
_DEEPEST = 4
"""Indexes inside each other that are followed."""
_MOST = 10_000
"""Manifests of one image that are fetched."""
_RESUMED = 3
"""Times that the connection of one blob may break."""
_WINDOW = 1 << 20
_PARTIAL = 206


def resolve(registry: Registry, reference: Reference) -> Descriptor:
    """Return what a reference names at this moment: a manifest, or an index of several.

    Only the answer's headers are read where they say it all; whoever fetches the bytes holds them against it.

    Raises:
        RegistryError: there is no such image, or one may not read it.
        VerificationError: it is not what the reference's digest says.
    """
    path = f"manifests/{reference.wanted}"
    with registry.ask("HEAD", reference, path, headers={"Accept": _ACCEPTED}) as answer:
        said = _said(answer)
    if said is None or (reference.digest and said.digest != reference.digest):
        said = _fetched(registry, reference)
    return said


def fetch(registry: Registry, reference: Reference, descriptor: Descriptor) -> Manifest | Index:
    """Fetch a manifest or an index of a repository.

    Raises:
        RegistryError: it is not there, or one may not read it.
        UnreadableError: it is none.
        VerificationError: the registry sent other bytes than the descriptor names.
    """
    with _about(reference, descriptor):
        return read_manifest(_manifest_bytes(registry, reference, descriptor), descriptor)


def pull(registry: Registry, reference: Reference, root: Descriptor, writer: LayoutWriter) -> None:
    """Write a manifest or an index, and all that belongs to it, into a layout; `finish` is left to the caller.

    Layers whose media type says that they must be fetched elsewhere, as those of Windows, are not fetched.

    Raises:
        RegistryError: something is not there, or one may not read it.
        UnreadableError: a manifest is none, or there are too many, or they are nested too deeply.
        VerificationError: the registry sent other bytes than a descriptor names.
        StoreError: they can't be written.
    """
    waiting = [(root, 1)]
    read = 0
    while waiting:
        descriptor, depth = waiting.pop()
        if writer.has(descriptor):
            continue
        read += 1
        if read > _MOST or depth > _DEEPEST:
            what = f"more than {_MOST:,} manifests" if read > _MOST else f"indexes more than {_DEEPEST} deep"
            raise RegistryError(f"`{reference}` has {what}")
        with _about(reference, descriptor):
            data = _manifest_bytes(registry, reference, descriptor)
            writer.add(data, descriptor.media_type, expected=descriptor)
            if descriptor.media_type not in INDEXES | MANIFESTS:
                continue  # a kind that only a later version knows; what it refers to is not of this image
            found = read_manifest(data, descriptor)
        if isinstance(found, Index):
            waiting += [(one, depth + 1) for one in reversed(found.manifests)]
        else:
            _pull_blobs(registry, reference, found, writer)


def _pull_blobs(registry: Registry, reference: Reference, manifest: Manifest, writer: LayoutWriter) -> None:
    for descriptor in manifest.references:
        if writer.has(descriptor) or descriptor.lies_elsewhere:
            continue
        with (
            _about(reference, descriptor),
            io.BufferedReader(_Blob(registry, reference, descriptor), _WINDOW) as stream,
        ):
            writer.add(stream, descriptor.media_type, expected=descriptor)


def _said(answer: Answer) -> Descriptor | None:
    """Return what an answer's headers say of a manifest; `None`: they don't say it all."""
    digest, size = answer.headers.get("Docker-Content-Digest", ""), answer.headers.get("Content-Length", "")
    media_type = _media_type(answer)
    if not _DIGEST.match(digest) or not _SIZE.match(size) or media_type not in INDEXES | MANIFESTS:
        return None
    return Descriptor(media_type=media_type, digest=digest, size=int(size))


def _fetched(registry: Registry, reference: Reference) -> Descriptor:
    """Return what a reference names from its bytes."""
    headers = {"Accept": _ACCEPTED}
    with registry.ask("GET", reference, f"manifests/{reference.wanted}", headers=headers) as answer:
        data, media_type = _whole(answer, MANIFEST_LIMIT), _media_type(answer)
    if media_type in _OUTDATED:
        hint = "pull it with docker and push it again, which brings it into today's format"
        raise UnreadableError(f"`{reference}` is an image of docker's first format, schema 1", hint=hint)
    try:
        found = parse_manifest(data, media_type if media_type in INDEXES | MANIFESTS else None)
    except UnreadableError as error:
        raise UnreadableError(f"`{reference}`: {error}") from error
    said = Descriptor.of(data, found.media_type)
    if reference.digest and said.digest != reference.digest:
        raise VerificationError(f"`{reference.registry}` sent other bytes than those of `{reference}`: {said.digest}")
    return said


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
    """Say in an error about bytes whose they are."""
    try:
        yield
    except (UnreadableError, VerificationError) as error:
        raise type(error)(f"{descriptor.digest} of `{reference.name}`: {error.message}", hint=error.hint) from error


class _Blob(io.RawIOBase):
    """The bytes of a blob as they come; a connection that breaks is made again, from where it broke."""

    def __init__(self, registry: Registry, reference: Reference, descriptor: Descriptor) -> None:
        super().__init__()
        self._registry, self._reference, self._path = registry, reference, f"blobs/{descriptor.digest}"
        self._open = ExitStack()
        self._at = 0
        self._answer = self._asked()
        self._left = _RESUMED

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        while True:
            try:
                piece = self._answer.read(len(view))
            except RegistryError:
                if not self._left:
                    raise
                self._left -= 1
                self._resume()
            else:
                break
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def close(self) -> None:
        self._open.close()
        super().close()

    def _resume(self) -> None:
        """Ask again: for the rest, or, of a registry that does not give parts (RFC 9110, 14.2), for all of it."""
        self._open.close()
        self._answer = self._asked()
        skipped = self._at if self._answer.status != _PARTIAL else 0
        while skipped and (piece := self._answer.read(min(skipped, _WINDOW))):
            skipped -= len(piece)

    def _asked(self) -> Answer:
        headers = {"Range": f"bytes={self._at}-"} if self._at else {}
        return self._open.enter_context(self._registry.ask("GET", self._reference, self._path, headers=headers))
