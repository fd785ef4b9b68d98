"""What a flake sees of its repository: the files that git tracks, as they are in the working tree, and the commit.

A clean tree is its commit. Of one that is not, every tracked file counts, for Nix copies all of them; what git does not
track, a flake does not see.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.errors import ConfigError, ToolError, quoted
from ...provenance.process import capture, clean_environment
from ..freshness.inputs import ABSENT, measure_file, signature_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ...provenance.json import JSONValue
    from ..context import Memory

_KEY = "nix:tree"
_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.trustctime=true", "-c", "core.checkStat=default")
_STATUS = ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=no", "--ignore-submodules=none")
_MOST = 100_000
"""Files that are looked at in folders beside the repository: a lock may name any folder, `/` too."""
_OID = b"# branch.oid "


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A repository as a flake in it sees it, at one moment.

    Attributes:
        root: git's top level.
        state: two trees that a flake can tell apart have different ones.
    """

    root: Path
    state: str


def read_tree(folder: Path, memory: Memory) -> Tree:
    """Look at the repository around `folder`. Files of a clean tree are not read; of another, those that changed.

    Raises:
        ConfigError: there is no repository.
        ToolError: git is missing, or can't tell; or a file can't be read.
    """
    root = _top_level(folder)
    said = _git(root, *_STATUS).split(b"\0")
    commit = next((line.removeprefix(_OID) for line in said if line.startswith(_OID)), b"").decode()
    changes = [line for line in said if line and not line.startswith(b"#")]
    if not changes:
        return Tree(root=root, state=f"commit {commit}")
    content = json.dumps([commit, tracked_files(root, memory)], sort_keys=True)
    return Tree(root=root, state=f"tree {hashlib.sha256(content.encode()).hexdigest()}")


def tracked_files(root: Path, memory: Memory) -> dict[str, str]:
    """Return every file that git tracks, those of submodules too: path from `root` to what is there now.

    That is the sha256 of a file's bytes, with `x ` before it where it is executable; `-> TARGET` of a link; `absent`.

    Raises:
        ToolError: git can't tell, or a file can't be read.
    """
    names = _git(root, "ls-files", "-z", "--recurse-submodules").decode(errors="surrogateescape").split("\0")
    kept = memory.get(_KEY)
    known: dict[str, JSONValue] = kept if isinstance(kept, dict) else {}
    found: dict[str, str] = {}
    measured: dict[str, JSONValue] = {}
    for name in filter(None, names):
        path = f"{root}{os.sep}{name}"
        found[name], entry = _look(path, known.get(path))
        if entry is not None:
            measured[path] = entry
    if measured != known:
        memory.put(_KEY, measured)
    return found


def digests(files: Mapping[str, str]) -> dict[str, str]:
    """Return the sha256 in hex of what `tracked_files` found, but for what is not there.

    That of a link is of its target's path, as git has it.
    """
    return {name: _digest(value) for name, value in files.items() if value != ABSENT}


def _digest(value: str) -> str:
    if value.startswith("-> "):
        return hashlib.sha256(os.fsencode(value.removeprefix("-> "))).hexdigest()
    return value.removeprefix("x ")


def _look(path: str, known: JSONValue) -> tuple[str, JSONValue]:
    """Return what is at `path` now, and what is remembered of it: the entry of a file that need not be read again.

    A repository has many files, and each is looked at in every run: so entries are compared as they are kept.
    """
    try:
        here = os.lstat(path)
        if stat.S_ISLNK(here.st_mode):
            return f"-> {os.readlink(path)}", None  # noqa: PTH115 - a `Path` for each of many files costs more
    except OSError:
        return ABSENT, None
    entry, sha256 = known, _sha256(known)
    if not sha256 or not isinstance(known, list) or known[1:] != [*signature_of(here)]:
        one = measure_file(path, None)
        if one is None:
            return ABSENT, None
        entry, sha256 = one.to_json() if one.signature else None, one.sha256
    return f"x {sha256}" if here.st_mode & stat.S_IXUSR else sha256, entry


def _sha256(entry: JSONValue) -> str:
    return entry[0] if isinstance(entry, list) and entry and isinstance(entry[0], str) else ""


def _top_level(folder: Path) -> Path:
    try:
        top = _git(folder, "rev-parse", "--show-toplevel")
    except ToolError as error:
        if "not a git repository" not in str(error):
            raise
        raise ConfigError(
            "a flake has to be in a git repository: without one Nix copies the whole folder, with all that was built",
            hint="run `git init`, and `git add` what the flake needs",
        ) from error
    return Path(os.fsdecode(top.removesuffix(b"\n")))


def _git(cwd: Path, *arguments: str) -> bytes:
    environment = clean_environment({"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"})
    return capture([*_GIT, *arguments], cwd=cwd, env=environment)


def outside(root: Path, folders: Iterable[Path]) -> dict[str, str]:
    """Return what is in folders beside the repository that a flake takes as inputs: every file, by its path.

    Raises:
        ToolError: one can't be read, or there are more than are looked at.
    """
    found: dict[str, str] = {}
    for folder in folders:
        if folder.is_relative_to(root):
            continue
        for base, _, names in os.walk(folder, onerror=_unreadable):
            if len(found) + len(names) > _MOST:
                raise ToolError(
                    f"the flake's input {quoted(str(folder))} holds more than the {_MOST:,} files that are looked at",
                    hint="let it be a git repository: that is known by its commit",
                )
            found |= {f"{base}{os.sep}{name}": _look(f"{base}{os.sep}{name}", None)[0] for name in names}
    return found


def _unreadable(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # an input that is not there Nix itself complains of
        raise ToolError(f"an input of the flake can't be read: `{error.filename}`: {error.strerror}") from error
