"""One file out of an archive that a derivation takes, as nixpkgs packs vendored crates and some sources."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from ...archive.decompress import Bounds, FileSource, decompressed
from ...archive.tar import TarReader, Type
from ...errors import UnreadableError

if TYPE_CHECKING:
    import re
    from pathlib import Path

_BOUNDS = Bounds(size=16 << 30, ratio=400)
_MEMBERS = 1_000_000


def packed_file(path: Path, wanted: re.Pattern[str], limit: int) -> bytes | None:
    """Return the first file of the tar archive at `path`, plain, gzip or zstd, whose whole path matches `wanted`.

    Nothing is unpacked. `None`: it is no such archive, is damaged before the file comes, has none, or has one of more
    than `limit` bytes.
    """
    try:
        with path.open("rb") as stream, closing(decompressed(FileSource(stream), path.name, _BOUNDS)) as pieces:
            archive = TarReader(pieces, path.name)
            for count, member in enumerate(archive.members()):
                if count >= _MEMBERS:
                    return None
                if member.type is Type.FILE and wanted.fullmatch(member.path) is not None:
                    return b"".join(archive.content()) if member.size <= limit else None
    except (OSError, UnreadableError):
        return None
    return None
