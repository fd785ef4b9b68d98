"""The artifact itself: its digest, computed from the bytes that stand in a folder, whether it is a file or an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..digest import digest_bytes
from ..errors import MissingFileError, UnreadableError, VerificationError
from ..record import IMAGE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..digest import Digest
    from ..fs.folder import Folder
    from ..record import FileNames


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """An artifact as it stands in a folder.

    Attributes:
        digest: of a file's bytes; of an image's manifest or index, each of whose blobs was digested too.
        media_type: of that manifest or index; `None`: it is a file.
        files: path from the folder, with `/`, to sha256, of all that the artifact consists of.
    """

    digest: Digest
    media_type: str | None
    files: Mapping[str, str]

    @classmethod
    def of_file(cls, name: str, digest: Digest) -> Measured:
        """Return what is said of a file of this name, whose bytes were just digested."""
        return cls(digest=digest, media_type=None, files={name: digest.sha256})


def measure(folder: Folder, names: FileNames, *, media_type: str | None) -> Measured:
    """Measure the artifact with these `names`, which is an image if there is a media type.

    Raises:
        UnreadableError: it is missing, or can't be read.
        VerificationError: a blob of the image is not what its descriptor says, or its media type is another one.
    """
    if media_type is None:
        return Measured.of_file(names.artifact, folder.digest(names.artifact))
    if IMAGE not in folder.names:
        raise MissingFileError("missing")
    try:
        found = measure_image(folder.path)
    except MissingFileError as error:  # a file of the image, which itself is there
        raise UnreadableError(error.message, hint=error.hint) from error
    if found.media_type != media_type:
        raise VerificationError(f"its media type is `{found.media_type}`, the record says `{media_type}`")
    return found


def measure_image(folder: Path) -> Measured:
    """Measure the image whose layout lies in `folder`.

    Raises:
        UnreadableError: it is missing, or no layout.
        VerificationError: a blob is not what its descriptor says, or a file is not part of it.
    """
    from ..oci.layout import entry_files, verify_layout

    image = verify_layout(folder / IMAGE)
    for name, data in entry_files(image.descriptor).items():
        if image.files[name] != digest_bytes(data).sha256:
            raise VerificationError(f"`{IMAGE}/{name}` contains unsigned data")
    files = {f"{IMAGE}/{name}": sha256 for name, sha256 in image.files.items()}
    return Measured(digest=image.digest, media_type=image.descriptor.media_type, files=files)
