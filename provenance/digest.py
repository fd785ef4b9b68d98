"""Computing digests of bytes."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from .errors import UnreadableError, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CHUNK = 4 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_SHA512 = re.compile(r"[0-9a-f]{128}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """The sha256 and sha512 of the same bytes, in lower-case hex, and how many bytes they were.

    SLSA and OCI name things by sha256; BSI TR-03183-2 asks for sha512. Both are computed in one pass.
    """

    sha256: str
    sha512: str
    size: int

    def __post_init__(self) -> None:
        """Validate the fields."""
        if not (_SHA256.match(self.sha256) and _SHA512.match(self.sha512) and self.size >= 0):
            raise ValueError(f"not a digest: {self.sha256!r}, {self.sha512!r}, {self.size!r}")

    def __str__(self) -> str:
        """`sha256:HEX`, as OCI and in-toto tools print it."""
        return f"sha256:{self.sha256}"

    def as_digest_set(self) -> Mapping[str, str]:
        """Return the in-toto DigestSet (in-toto attestation spec v1, field type DigestSet)."""
        return {"sha256": self.sha256, "sha512": self.sha512}


def digest_bytes(data: bytes) -> Digest:
    """Digest `data`."""
    return Digest(sha256=hashlib.sha256(data).hexdigest(), sha512=hashlib.sha512(data).hexdigest(), size=len(data))


def digest_stream(stream: BinaryIO, copy_to: BinaryIO | None = None) -> Digest:
    """Digest what is left in `stream`; write the same bytes to `copy_to` where given.

    sha512, the slower hash, runs in a parallel thread.
    """
    from concurrent.futures import ThreadPoolExecutor

    sha256, sha512, size = hashlib.sha256(), hashlib.sha512(), 0
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="sha512") as beside:
        while chunk := stream.read(_CHUNK):
            slower = beside.submit(sha512.update, chunk)
            sha256.update(chunk)
            size += len(chunk)
            if copy_to is not None:
                copy_to.write(chunk)
            slower.result()
    return Digest(sha256=sha256.hexdigest(), sha512=sha512.hexdigest(), size=size)


def digest_file(path: Path) -> Digest:
    """Digest the file at `path`.

    Raises:
        UnreadableError: it is missing, a folder, or may not be read.
    """
    try:
        with path.open("rb") as stream:
            return digest_stream(stream)
    except OSError as error:
        raise UnreadableError(f"can't read {quoted(str(path))}: {error.strerror}") from error


def sha256_file(path: Path) -> str:
    """Return the sha256 of the file at `path` in hex, for inputs, which need only one digest.

    Raises:
        OSError: it can't be read; the caller knows what the file was for.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_limited(path: Path, limit: int) -> bytes:
    """Return the bytes of an untrusted file, up to a size limit.

    Raises:
        UnreadableError: it can't be read, or is larger than `limit` bytes.
    """
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size > limit:
                raise UnreadableError(
                    f"{quoted(str(path))} is larger than the {limit:,} bytes that are read of such a file"
                )
            data = stream.read(limit + 1)
    except OSError as error:
        raise UnreadableError(f"can't read {quoted(str(path))}: {error.strerror}") from error
    if len(data) > limit:
        raise UnreadableError(f"{quoted(str(path))} is larger than the {limit:,} bytes that are read of such a file")
    return data
