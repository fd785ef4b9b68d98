"""What is remembered of one artifact, so that judging it again reads nothing: its files' signatures and digests."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .inputs import FileStamp, settled, signature_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...provenance.json import JSONValue
    from .inputs import Inputs, Signature


_SIZES = frozenset({1, 5})
"""Of an entry: a digest, and the numbers of a signature if there is one."""


class RememberedFiles(Mapping[str, FileStamp]):
    """What is known of the files of a folder, by name, as it is in the state; each entry is read when it is asked for.

    Where nothing is to be done it only has to be compared, and there may be a hundred thousand entries.
    """

    __slots__ = ("_entries",)

    def __init__(self, entries: dict[str, JSONValue]) -> None:
        self._entries = entries

    @classmethod
    def from_json(cls, found: dict[str, JSONValue]) -> RememberedFiles:
        """Read what is known of several files.

        Raises:
            ValueError: an entry is malformed.
        """
        if not all(isinstance(entry, list) and len(entry) in _SIZES for entry in found.values()):
            raise ValueError("an entry is malformed")
        return cls(found)

    def __getitem__(self, name: str) -> FileStamp:
        """Return what is known of a file; a malformed entry is as good as none."""
        known = FileStamp.from_json(self._entries[name])
        if known is None:
            raise KeyError(name)
        return known

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self._entries)

    def are_in(self, place: str) -> bool:
        """Tell whether a folder holds exactly these files, each with the signature that is known: one scan tells it."""
        entries = self._entries
        count = 0
        try:
            with os.scandir(place) as scanned:
                for entry in scanned:
                    known = entries.get(entry.name)
                    status = entry.stat(follow_symlinks=False)
                    signature = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
                    if not isinstance(known, list) or known[1:] != signature or not stat.S_ISREG(status.st_mode):
                        return False
                    count += 1
        except OSError:
            return False
        return count == len(entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """An artifact whose folder was judged and held.

    Attributes:
        by: what it was judged by: keys that are trusted, key that signs, mode, version of the program.
        digest: of the artifact: sha256, sha512, size.
        files: of its folder, by name.
        values: inputs that are no files, or files that must not be there, by key.
        inputs: inputs that are files, by key.
        since: when it was last built or attested, as RFC 3339; for people.
    """

    by: str
    digest: tuple[str, str, int]
    files: Mapping[str, FileStamp]
    values: Inputs
    inputs: Mapping[str, FileStamp]
    since: str

    def recorded(self) -> dict[str, str]:
        """Return all inputs as the record has them."""
        return {**self.values, **{of: known.sha256 for of, known in self.inputs.items()}}

    def to_json(self) -> JSONValue:
        """Return what is put into the state."""
        return {
            "by": self.by,
            "digest": list(self.digest),
            "files": {name: known.to_json() for name, known in self.files.items()},
            "values": dict(self.values),
            "inputs": {of: known.to_json() for of, known in self.inputs.items()},
            "since": self.since,
        }

    @classmethod
    def from_json(cls, found: Any) -> Remembered | None:
        """Read what `to_json` returned; another version of this program may have written it in another shape."""
        try:
            sha256, sha512, size = found["digest"]
            return cls(
                by=found["by"],
                digest=(sha256, sha512, size),
                files=RememberedFiles.from_json(found["files"]),
                values=found["values"],
                inputs=_known(found["inputs"]),
                since=found["since"],
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return None


def look_again(place: str, files: Mapping[str, FileStamp]) -> Mapping[str, FileStamp] | None:
    """Return what is known of the files of a folder now, if it holds what it held: these files, with these bytes.

    A file whose signature is another is read; one that only was touched is known by its new signature then.
    """
    now = time.time_ns()
    found: dict[str, FileStamp] = {}
    try:
        for name, path, status in _below(place):
            known = files.get(name)
            if known is None or not stat.S_ISREG(status.st_mode):
                return None
            signature = signature_of(status)
            if signature != known.signature:
                if _digest(path, signature) != known.sha256:
                    return None
                known = FileStamp(known.sha256, signature if settled(signature, now) else None)
            found[name] = known
    except OSError:
        return None
    return found if len(found) == len(files) else None


def signatures(place: str) -> dict[str, Signature]:
    """Return the signatures of the files in a folder; of one that is not there, none."""
    found: dict[str, Signature] = {}
    with contextlib.suppress(OSError):
        for name, _, status in _below(place):
            found[name] = signature_of(status)
    return found


def _below(place: str) -> Iterator[tuple[str, str, os.stat_result]]:
    """Yield what lies in a folder and the folders in it: path from there, whole path, status; an empty folder too."""
    pending = [("", place)]
    while pending:
        prefix, folder = pending.pop()
        with os.scandir(folder) as entries:
            is_empty = True
            for entry in entries:
                is_empty = False
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    pending.append((f"{prefix}{entry.name}/", entry.path))
                else:
                    yield prefix + entry.name, entry.path, status
        if is_empty and prefix:
            yield prefix, folder, os.stat(folder)  # noqa: PTH116 - a path as `scandir` gave it


def _digest(path: str, signature: Signature) -> str | None:
    """Return the sha256 of the file with this signature, unless it is replaced or written meanwhile."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        return sha256 if signature_of(os.fstat(descriptor)) == signature else None


def _known(found: Mapping[str, JSONValue]) -> dict[str, FileStamp]:
    """Read what is known of several files.

    Raises:
        ValueError: of one it can't be read.
    """
    known = {name: read for name, entry in found.items() if (read := FileStamp.from_json(entry))}
    if len(known) != len(found):
        raise ValueError("an entry is malformed")
    return known
