"""One file out of an archive that a derivation takes, as nixpkgs packs vendored crates and some sources."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from ...errors import UnreadableError
from ..image.inflate import Budget, Source, inflated
from ..image.limits import Limits
from ..image.tar import Archive, Type

if TYPE_CHECKING:
    import re
    from pathlib import Path

_LIMITS = Limits(layer=16 << 30, image=16 << 30)


def packed_file(path: Path, wanted: re.Pattern[str], limit: int) -> bytes | None:
    """Return the first file of the tar archive at `path`, plain, gzip or zstd, whose whole path matches `wanted`.

    Nothing is unpacked. `None`: it is no such archive, is damaged before the file comes, has none, or has one of more
    than `limit` bytes.
    """
    try:
        with path.open("rb") as stream:
            pieces = inflated(Source(stream), path.name, _LIMITS, Budget(left=_LIMITS.image))
            with closing(pieces):
                archive = Archive(pieces, path.name, _LIMITS)
                for count, member in enumerate(archive.members()):
                    if count >= _LIMITS.entries:
                        return None
                    is_it = member.type is Type.FILE and wanted.fullmatch(member.path) is not None
                    if is_it and member.size > limit:
                        return None
                    content = [bytes(piece) if is_it else b"" for piece in archive.content(member.size)]
                    if is_it:
                        return b"".join(content)
    except (OSError, UnreadableError):
        return None
    return None
