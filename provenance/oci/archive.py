"""Images as archives: what `docker save`, `skopeo copy`, `nix build` and others write.

An archive is read once, from its beginning to its end; each file goes straight into the layout that is written, and is
digested on its way. So memory does not grow with the image, and what can't be read leaves no image.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..attest.document import read_object
from ..errors import UnreadableError, VerificationError, quoted
from . import LAYOUT_FILE, docker_archive
from .model import MANIFEST_LIMIT, OCI_INDEX, Descriptor, Index, parse_manifest
from .tar import opened_tar
from .writer import INDEX_FILE, LAYOUT_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from .tar import Member
    from .writer import LayoutWriter

DOCKER_FILE = "manifest.json"
_SMALL = frozenset({INDEX_FILE, LAYOUT_FILE, DOCKER_FILE})
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})\Z|([0-9a-f]{64})\.json\Z")
"""Names that are the digest of the file: blobs, and configurations of docker's old format."""
_BYTES = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What an archive holds, once its files are blobs of a layout that is being written.

    Attributes:
        blobs: path in the archive to the descriptor of the blob.
        links: path to the path that a link leads to.
        small: the files that say what the others are.
    """

    blobs: dict[str, Descriptor] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    small: dict[str, bytes] = field(default_factory=dict)


def read_archive(path: Path, writer: LayoutWriter) -> tuple[Descriptor, ...]:
    """Add all that an archive holds to a layout, and return what its index lists: one entry for each image.

    Engines from version 25 write both formats into one archive; then the OCI index counts. An entry has the image's
    name in an annotation, where the archive knows one (`select.name_of`).

    Raises:
        UnreadableError: it is missing, truncated, damaged, or no archive of images.
        VerificationError: a file is not what its name, or what refers to it, says.
        StoreError: a blob can't be written.
    """
    try:
        files = Files()
        with opened_tar(path) as members:
            for member in members:
                _take(member, files, writer)
        return _entries(files, writer)
    except (UnreadableError, VerificationError) as error:
        raise type(error)(f"{quoted(str(path))}: {error.message}", hint=error.hint) from error


def _entries(files: Files, writer: LayoutWriter) -> tuple[Descriptor, ...]:
    if INDEX_FILE in files.small and LAYOUT_FILE in files.small:
        return _index(files)
    if DOCKER_FILE in files.small:
        linked = {name: files.blobs[to] for name, to in files.links.items() if to in files.blobs}
        return docker_archive.images(files.small[DOCKER_FILE], files.blobs | linked, writer)
    raise UnreadableError(f"no archive of images: it has neither `{INDEX_FILE}` nor `{DOCKER_FILE}`")


def _take(member: Member, files: Files, writer: LayoutWriter) -> None:
    if member.content is None:
        files.links[member.name] = member.target or ""
    elif member.name in _SMALL:
        if member.size > MANIFEST_LIMIT:
            raise UnreadableError(f"{quoted(member.name)} is larger than the {MANIFEST_LIMIT:,} bytes that are read")
        files.small[member.name] = member.content.read()
    else:
        named = _BLOB.match(member.name)
        digest = f"sha256:{named[1] or named[2]}" if named else None
        expected = Descriptor(media_type=_BYTES, digest=digest, size=member.size) if digest else None
        files.blobs[member.name] = writer.add(member.content, _BYTES, expected=expected)


def _index(files: Files) -> tuple[Descriptor, ...]:
    said = read_object(files.small[LAYOUT_FILE], what=f"`{LAYOUT_FILE}`", limit=MANIFEST_LIMIT)
    if said.text("imageLayoutVersion") != LAYOUT_VERSION:
        raise said.error("imageLayoutVersion", f"must be `{LAYOUT_VERSION}`")
    index = parse_manifest(files.small[INDEX_FILE], OCI_INDEX)
    if not isinstance(index, Index):  # pragma: no cover - an index was asked for
        raise UnreadableError(f"`{INDEX_FILE}` is no index")
    return tuple({one.digest: one for one in index.manifests}.values())
