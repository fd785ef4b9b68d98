"""The fingerprint of what cargo reads before it answers: files, links and names in folders.

A probe is `KIND:PATH`, its value a short text that differs when the file or folder does. A remembered answer is valid
while every probe has the same value; a file is read again only if its signature changed.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..freshness.inputs import ABSENT, FileStamp, measure_file, settled, signature_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ...provenance.json import JSONValue


MANIFEST = "Cargo.toml"
_WILD = frozenset("*?[")


class Probe(StrEnum):
    """The kinds of probe."""

    FILE = "file"
    """A file's bytes."""
    STATUS = "status"
    """A file's size, times and inode: of programs that are too large to be read for this."""
    PRESENCE = "presence"
    """Whether there is a file."""
    LINK = "link"
    """Where a path leads, links followed."""
    PROGRAMS = "programs"
    """A folder of sources of which each is a program, as `src/bin`."""
    LINKS = "links"
    """The names in a folder, and where those that are links lead: rustup's toolchains."""
    MEMBERS = "members"
    """The folders with a manifest that a pattern of members may mean, and more."""
    FACT = "fact"
    """Something of this process, as a digest of environment variables; not looked at here."""


def probe_key(kind: Probe, path: str | os.PathLike[str]) -> str:
    """Return the key of a probe."""
    return f"{kind}:{os.fspath(path)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Probes and their values at one moment.

    Attributes:
        known: the measured files among them, by path.
        racy: a file changed just before and may change again unnoticed: not to be remembered.
    """

    values: Mapping[str, str]
    known: Mapping[str, FileStamp]
    racy: bool = False

    @property
    def digest(self) -> str:
        """One sha256 of all values."""
        text = "\0".join(f"{probe}\0{value}" for probe, value in sorted(self.values.items()))
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()

    def changed_since(self, since: Fingerprint) -> str | None:
        """Return the path of a probe whose value changed, or `None`."""
        for probe in sorted(self.values.keys() | since.values.keys()):
            if self.values.get(probe) != since.values.get(probe):
                return probe.partition(":")[2]
        return None

    def to_json(self) -> JSONValue:
        """Return what is remembered."""
        return {"values": dict(self.values), "known": {path: one.to_json() for path, one in self.known.items()}}

    @classmethod
    def from_json(cls, found: Any) -> Fingerprint | None:
        """Read what `to_json` returned; `None`: it is something else."""
        try:
            entries = found["known"].items()
            known = {path: one for path, entry in entries if (one := FileStamp.from_json(entry))}
            return cls(values=dict(found["values"]), known=known)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None


def measure(
    probes: Iterable[str], facts: Mapping[str, str], known: Mapping[str, FileStamp] | None = None
) -> Fingerprint:
    """Evaluate every probe once; `facts` are values of the process, by name.

    Raises:
        ToolError: a file is there and can't be read.
    """
    before = known or {}
    racy = False
    seen: dict[str, FileStamp] = {}
    values = {probe_key(Probe.FACT, name): value for name, value in facts.items()}
    for probe in probes:
        kind, _, path = probe.partition(":")
        match kind:
            case Probe.FILE:
                found = measure_file(path, before.get(path))
                if found is not None:
                    seen[path] = found
                values[probe] = found.sha256 if found else ABSENT
            case Probe.STATUS:
                values[probe], moving = _status(path)
                racy |= moving
            case Probe.PRESENCE:
                values[probe] = "file" if _is_file(path) else ABSENT
            case Probe.LINK:
                values[probe] = os.path.realpath(path)
            case Probe.PROGRAMS:
                values[probe] = "\0".join(_programs(path))
            case Probe.LINKS:
                values[probe] = "\0".join(_links(path))
            case Probe.MEMBERS:
                values[probe] = "\0".join(members(path))
            case _:
                continue  # a fact, whose value the caller gives
    return Fingerprint(values=values, known=seen, racy=racy)


def members(pattern: str) -> list[str]:
    """Return the folders that hold a manifest and that `pattern`, an absolute path, may match, sorted.

    A part of a path with a wildcard counts as matching every name: more than cargo takes, and never less.
    """
    folders = [""]
    for part in Path(pattern).parts[1:]:
        if is_pattern(part):
            folders = [f"{folder}/{name}" for folder in folders for name in _folders(folder)]
        else:
            folders = [f"{folder}/{part}" for folder in folders]
    return sorted({folder for folder in folders if _is_file(f"{folder}/{MANIFEST}")})


def is_pattern(text: str) -> bool:
    """Tell whether a path of a manifest stands for more than the folder of that name."""
    return bool(_WILD & set(text))


def _status(path: str) -> tuple[str, bool]:
    try:
        signature = signature_of(os.stat(path))  # noqa: PTH116 - as in `_is_file`
    except OSError:
        return ABSENT, False
    return " ".join(map(str, signature)), not settled(signature, time.time_ns())


def _programs(folder: str) -> Iterator[str]:
    for entry in _entries(folder):
        if entry.name.endswith(".rs") or _is_file(f"{entry.path}/main.rs"):
            yield entry.name


def _links(folder: str) -> Iterator[str]:
    for entry in _entries(folder):
        yield f"{entry.name} {Path(entry.path).readlink() if entry.is_symlink() else ''}"


def _folders(folder: str) -> list[str]:
    return [entry.name for entry in _entries(folder or "/") if entry.is_dir()]


def _is_file(path: str) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - they are many, and a `Path` for each costs more than the call


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []
