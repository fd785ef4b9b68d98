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

from ...provenance.errors import ConfigError, ToolError
from ...provenance.process import capture, clean_environment
from ..freshness.inputs import ABSENT, Known, measure_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..builder import Memory

_KEY = "nix:tree"
_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.trustctime=true", "-c", "core.checkStat=default")
_STATUS = ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=no", "--ignore-submodules=none")
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
    known = _remembered(memory)
    found: dict[str, str] = {}
    measured: dict[str, Known] = {}
    for name in filter(None, names):
        path = f"{root}{os.sep}{name}"
        found[name], one = _look(path, known.get(path))
        if one is not None and one.signature is not None:
            measured[path] = one
    if measured != known:
        memory.put(_KEY, {path: one.to_json() for path, one in measured.items()})
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


def _look(path: str, known: Known | None) -> tuple[str, Known | None]:
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            return f"-> {os.readlink(path)}", None  # noqa: PTH115 - a `Path` for each of many files costs more
    except OSError:
        return ABSENT, None
    one = measure_file(path, known)
    if one is None:
        return ABSENT, None
    return f"x {one.sha256}" if mode & stat.S_IXUSR else one.sha256, one


def _remembered(memory: Memory) -> dict[str, Known]:
    entries = memory.get(_KEY)
    read = ((path, Known.from_json(entry)) for path, entry in (entries if isinstance(entries, dict) else {}).items())
    return {path: one for path, one in read if one is not None}


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
        ToolError: one can't be read.
    """
    found: dict[str, str] = {}
    for folder in folders:
        if folder.is_relative_to(root):
            continue
        for base, _, names in os.walk(folder, onerror=_unreadable):
            found |= {f"{base}{os.sep}{name}": _look(f"{base}{os.sep}{name}", None)[0] for name in names}
    return found


def _unreadable(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # an input that is not there Nix itself complains of
        raise ToolError(f"an input of the flake can't be read: `{error.filename}`: {error.strerror}") from error
