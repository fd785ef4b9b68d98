"""What can change an artifact's bytes: each input by a key, with its value at one moment.

A key is `KIND:NAME`, a value a short text that differs when the input does. Inputs of some kinds can be measured by
anyone who has the workspace (`InputHasher`), those of the others only by their builder (`Builder.declare`). All inputs
of an artifact have one digest, which the record holds.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ...provenance.errors import ToolError
from ...provenance.process import SECRET_VARIABLES
from . import patterns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from ...provenance.json import JSONValue

Inputs: TypeAlias = Mapping[str, str]
"""Key to value, of one artifact at one moment."""


class Kind(StrEnum):
    """What an input is."""

    FILE = "file"
    """A file's bytes: its sha256, or `absent`. NAME: its path, as `InputHasher.name` gives it."""
    FOLDER = "folder"
    """Which files there are below a folder: sha256 of their paths. That of their bytes are inputs of their own."""
    GLOB = "glob"
    """Which files a pattern matches: sha256 of their paths; likewise."""
    CONTEXT = "context"
    """What a build context holds but for the bytes of its files: sha256 of names, kinds and targets of links."""
    VARIABLE = "variable"
    """An environment variable: sha256 of its value (never the value itself), or `unset`."""
    ARTIFACT = "artifact"
    """An upstream artifact, by its id: its digest, `sha256:…`."""
    TOOL = "tool"
    """A program that builds: version and digest, as its builder says."""
    SETTING = "setting"
    """What the user chose, in provenance.toml or the tool's own configuration, as its builder says."""
    RESOLUTION = "resolution"
    """What a lock file comes to for this artifact alone, as its builder says."""


_KINDS = {kind.value: kind for kind in Kind}
MEASURED = frozenset({Kind.FILE, Kind.FOLDER, Kind.GLOB, Kind.CONTEXT, Kind.VARIABLE})
ABSENT = "absent"
UNSET = "unset"


def key(kind: Kind, name: str) -> str:
    """Return the key of an input."""
    return f"{kind}:{name}"


def parts(of: str) -> tuple[Kind, str]:
    """Return kind and name of a key.

    Raises:
        ValueError: it is none.
    """
    kind, _, name = of.partition(":")
    found = _KINDS.get(kind)
    if found is None:
        raise ValueError(f"{kind!r} is not a valid Kind")
    return found, name


def are_known(inputs: Inputs) -> bool:
    """Tell whether all keys are of kinds that this version knows; a later one may have written others."""
    return {of.partition(":")[0] for of in inputs} <= set(Kind)


def to_json(inputs: Inputs) -> bytes:
    """Return the canonical bytes of a list of inputs, whose sha256 is the inputs digest."""
    text = json.dumps(dict(inputs), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return text.encode("ascii")


def digest_of(inputs: Inputs) -> str:
    """Return the inputs digest: sha256 in hex of `to_json`."""
    return hashlib.sha256(to_json(inputs)).hexdigest()


class LazyInputs(Mapping[str, str]):
    """Inputs that are computed when first asked for, as a builder may still be waiting for what its tool tells."""

    def __init__(self, compute: Callable[[], Inputs]) -> None:
        self._compute = compute

    @cached_property
    def _inputs(self) -> Inputs:
        return self._compute()

    def __getitem__(self, input_: str) -> str:
        """Return the value of one input."""
        return self._inputs[input_]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys."""
        return iter(self._inputs)

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self._inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """The inputs of an artifact that are known without building it.

    Attributes:
        values: of kinds that only the builder can tell (settings, tools, resolutions): key to value now.
        measured: keys of the other kinds, whose values anyone can measure (files, patterns, variables).
        hint: what to do if one of them changes during the build.
    """

    values: Inputs = field(default_factory=dict)
    measured: Collection[str] = ()
    hint: str = "run again when it holds still"


Signature: TypeAlias = tuple[int, int, int, int]
"""Of a file, by which it is known again: size, mtime and ctime in nanoseconds, inode."""

_TICK = 20_000_000
"""Nanoseconds. Two changes of a file may lie this close and get one time: the kernel's clock for files is coarse."""
_COARSE_TICK = 2_000_000_000
"""Likewise on filesystems whose times have no fraction of a second."""


_NUMBERS = 4
"""Of a signature."""


class FileStamp(NamedTuple):
    """What was once measured of a file.

    `signature` is `None` where the file had changed so shortly before that its times prove nothing (git calls such
    entries racy).
    """

    sha256: str
    signature: Signature | None

    def to_json(self) -> JSONValue:
        """Return what is remembered of it."""
        return [self.sha256, *(self.signature or ())]

    @classmethod
    def from_json(cls, entry: JSONValue) -> FileStamp | None:
        """Read what `to_json` returned; `None`: something else."""
        # Thousands are read where nothing is to be done: a `match` of their types costs ten times as much.
        if not isinstance(entry, list) or not entry or not isinstance(entry[0], str):
            return None
        sha256, *numbers = entry
        if numbers and not (len(numbers) == _NUMBERS and set(map(type, numbers)) == {int}):
            return None
        return cls(sha256, (numbers[0], numbers[1], numbers[2], numbers[3]) if numbers else None)  # type: ignore[arg-type] # they are numbers


def signature_of(found: os.stat_result) -> Signature:
    """Return what tells a file that was not changed from one that was."""
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def settled(found: Signature, now: int) -> bool:
    """Tell whether a change of the file from now on gives it another signature (`now`: nanoseconds since 1970)."""
    _, mtime, ctime, _ = found
    coarse = not (mtime % 1_000_000_000 or ctime % 1_000_000_000)
    return max(mtime, ctime) + (_COARSE_TICK if coarse else _TICK) < now


class InputHasher:
    """Measures the inputs of one workspace; each is looked at once for as long as the meter lives.

    Names of files are paths from `root` with `/`, `../…` for what lies beside it, and absolute where the two share
    nothing but the filesystem's root. `made` are folders that builds fill: what lies there is no input.
    """

    def __init__(self, root: Path, made: Collection[Path] = ()) -> None:
        self.root = root
        self.made = made
        self._prefix = f"{root}{os.sep}"
        self._seen: dict[str, FileStamp | None] = {}
        self._facts: dict[str, FileStamp] = {}
        self._values: dict[str, str] = {}
        self._lock = threading.Lock()

    def name(self, path: Path) -> str:
        """Return the name of an absolute path."""
        text = os.path.normpath(path)
        if text.startswith(self._prefix):
            return text[len(self._prefix) :].replace(os.sep, "/")
        if os.path.commonpath((text, self.root)) == os.sep:
            return text
        return os.path.relpath(text, self.root).replace(os.sep, "/")

    def path(self, name: str) -> Path:
        """Return the absolute path of a name."""
        return Path(os.path.normpath(self.root / name))

    def measure(self, of: str, known: FileStamp | None = None) -> str:
        """Return the value now of an input of a `MEASURED` kind.

        Args:
            of: its key.
            known: for a file, what was measured of it before: it is not read again while its signature is the same.

        Raises:
            ToolError: it is there and can't be read.
            ValueError: it is of another kind.
        """
        kind, name = parts(of)
        if kind is Kind.FILE:
            found = self.file(name, known)
            return found.sha256 if found else ABSENT
        value = self._values.get(of)
        if value is None:
            value = self._values[of] = self._measurements()[kind](name)
        return value

    def file(self, name: str, known: FileStamp | None = None) -> FileStamp | None:
        """Return what a file holds, and whether its signature proves it from now on; `None`: there is no such file.

        Raises:
            ToolError: it can't be read.
        """
        if name in self._seen:
            return self._seen[name]
        path = self._prefix + name if name[:1] not in "./" else str(self.path(name))
        found = measure_file(path, known or self._facts.get(name))
        self._seen[name] = found
        if found is not None:
            self._facts[name] = found
        return found

    def files(self, of: str) -> tuple[str, ...]:
        """Return the names of the files that a folder or a pattern stands for now, sorted.

        Raises:
            ToolError: a folder can't be read.
        """
        kind, name = parts(of)
        with self._lock:
            if kind is Kind.CONTEXT:
                from .build_context import files, folder_of

                if not (self.root / folder_of(name)).exists():
                    return ()
                return tuple(files(self.root, name, self.made))
            find = patterns.below if kind is Kind.FOLDER else patterns.expand
            return tuple(find(self.root, name, skipped=self.made))

    def forget(self) -> None:
        """Look at everything again from now on, as after a build; a file whose signature is the same is not read."""
        self._seen.clear()
        self._values.clear()

    def _context(self, name: str) -> str:
        from .build_context import digest, entries, folder_of

        if not (self.root / folder_of(name)).exists():
            return ABSENT
        return digest(entries(self.root, name, self.made))

    def _measurements(self) -> Mapping[Kind, Callable[[str], str]]:
        return {
            Kind.FOLDER: lambda name: names_digest(self.files(key(Kind.FOLDER, name))),
            Kind.GLOB: lambda name: names_digest(self.files(key(Kind.GLOB, name))),
            Kind.CONTEXT: self._context,
            Kind.VARIABLE: variable,
        }


def names_digest(names: Iterable[str]) -> str:
    """Return the value of a folder or a pattern: sha256 of the names of its files, which must be sorted."""
    return hashlib.sha256("\0".join(names).encode(errors="surrogateescape")).hexdigest()


def variable(name: str) -> str:
    """Return the value of an environment variable as an input: its digest, as it may be a secret.

    What leads to a signing secret no tool ever sees: a digest of a passphrase would help whoever guesses it.
    """
    found = None if name in SECRET_VARIABLES else os.environ.get(name)
    return UNSET if found is None else hashlib.sha256(os.fsencode(found)).hexdigest()


def measure_file(path: str, known: FileStamp | None) -> FileStamp | None:
    """Return the sha256 of the file at `path`; it is read only if its signature is not the one that is known.

    Raises:
        ToolError: it can't be read.
    """
    now = time.time_ns()
    try:
        found = os.stat(path)  # noqa: PTH116 - a `Path` for each of a hundred thousand files costs more than the call
        if not stat.S_ISREG(found.st_mode):
            return None
        signature = signature_of(found)
        if known is not None and known.signature == signature:
            return known
        with open(path, "rb") as stream:  # noqa: PTH123 - likewise
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            after = signature_of(os.fstat(stream.fileno()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ToolError(f"an input can't be read: `{path}`: {error.strerror}") from error
    return FileStamp(sha256=sha256, signature=signature if after == signature and settled(signature, now) else None)
