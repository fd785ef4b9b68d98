"""The inputs of a flake: the tracked files of its repository as they are in the working tree, and those in its lock.

A clean tree is identified by its commit. Of a dirty one every tracked file counts, for Nix copies all of them; a flake
does not see untracked files. `flake.lock` pins each input by its revision and the hash of its contents.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from ...provenance.digest import read_limited
from ...provenance.errors import ConfigError, ToolError, UnreadableError, quoted
from ...provenance.json import read_json
from ...provenance.process import capture, clean_environment
from ...provenance.source import public_url
from ..freshness.inputs import ABSENT, measure_file, signature_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ...provenance.json import JSONValue
    from ..memory import Memory

LOCK = "flake.lock"
_LOCK_LIMIT = 16 << 20
_HOSTS = {"github": "github.com", "gitlab": "gitlab.com", "sourcehut": "git.sr.ht"}
_REVISION = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?\Z")
_KEY = "nix:tree"
_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.trustctime=true", "-c", "core.checkStat=default")
_STATUS = ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=no", "--ignore-submodules=none")
_FILES = 100_000
"""Files that are read in folders outside the repository: a lock may name any folder, even `/`."""
_OID = b"# branch.oid "


@dataclass(frozen=True, slots=True, kw_only=True)
class FlakeTree:
    """A repository as its flake sees it, at one moment.

    Attributes:
        root: git's top level.
        state: differs for any two trees that a flake can distinguish.
    """

    root: Path
    state: str


def read_tree(folder: Path, memory: Memory) -> FlakeTree:
    """Read the state of the repository around `folder`. Of a clean tree no file is read.

    Raises:
        ConfigError: there is no repository.
        ToolError: git is missing or fails, or a file can't be read.
    """
    root = _top_level(folder)
    status = _git(root, *_STATUS).split(b"\0")
    commit = next((line.removeprefix(_OID) for line in status if line.startswith(_OID)), b"").decode()
    if all(not line or line.startswith(b"#") for line in status):
        return FlakeTree(root=root, state=f"commit {commit}")
    content = json.dumps([commit, tracked_files(root, memory)], sort_keys=True)
    return FlakeTree(root=root, state=f"tree {hashlib.sha256(content.encode()).hexdigest()}")


def tracked_files(root: Path, memory: Memory) -> dict[str, str]:
    """Return the content of every tracked file, those of submodules included, by path from `root`.

    It is the sha256 of a file, with the prefix `x ` if it is executable; `-> TARGET` for a link; or `absent`.

    Raises:
        ToolError: git fails, or a file can't be read.
    """
    names = _git(root, "ls-files", "-z", "--recurse-submodules").decode(errors="surrogateescape").split("\0")
    kept = memory.get(_KEY)
    known: dict[str, JSONValue] = kept if isinstance(kept, dict) else {}
    files: dict[str, str] = {}
    measured: dict[str, JSONValue] = {}
    for name in filter(None, names):
        path = f"{root}{os.sep}{name}"
        files[name], entry = _measure(path, known.get(path))
        if entry is not None:
            measured[path] = entry
    if measured != known:
        memory.put(_KEY, measured)
    return files


def digests(files: Mapping[str, str]) -> dict[str, str]:
    """Return the sha256 in hex of `tracked_files`, without the absent ones.

    For a link it is that of its target's path, as in git.
    """
    return {name: _digest(content) for name, content in files.items() if content != ABSENT}


def _digest(content: str) -> str:
    if content.startswith("-> "):
        return hashlib.sha256(os.fsencode(content.removeprefix("-> "))).hexdigest()
    return content.removeprefix("x ")


def _measure(path: str, known: JSONValue) -> tuple[str, JSONValue]:
    """Return the content at `path`, and the entry to remember, by which an unchanged file need not be read again.

    A repository has many files, measured in each run: so entries are compared in their serialised form.
    """
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            return f"-> {os.readlink(path)}", None  # noqa: PTH115 - a `Path` for each of many files costs more
    except OSError:
        return ABSENT, None
    entry = known
    sha256 = known[0] if isinstance(known, list) and known and isinstance(known[0], str) else ""
    if not sha256 or not isinstance(known, list) or known[1:] != [*signature_of(status)]:
        file = measure_file(path, None)
        if file is None:
            return ABSENT, None
        entry, sha256 = file.to_json() if file.signature else None, file.sha256
    return f"x {sha256}" if status.st_mode & stat.S_IXUSR else sha256, entry


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
    """Return the content of every file in a flake's input folders outside the repository, by path.

    Raises:
        ToolError: one can't be read, or there are too many.
    """
    files: dict[str, str] = {}
    for folder in folders:
        if folder.is_relative_to(root):
            continue
        for parent, _, names in os.walk(folder, onerror=_unreadable):
            if len(files) + len(names) > _FILES:
                raise ToolError(
                    f"the flake's input {quoted(str(folder))} holds more than the {_FILES:,} files that are looked at",
                    hint="let it be a git repository: that is known by its commit",
                )
            paths = (f"{parent}{os.sep}{name}" for name in names)
            files |= {path: _measure(path, None)[0] for path in paths}
    return files


def _unreadable(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # Nix itself reports an input that is missing
        raise ToolError(f"an input of the flake can't be read: `{error.filename}`: {error.strerror}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedInput:
    """One input of a flake, or of one of its inputs.

    Attributes:
        name: of its node in the lock.
        uri: its source, without credentials; empty: this machine.
        revision: the git commit, in hex; empty: it is not from a repository.
        nar_hash: sha256 of its NAR serialisation, in hex; empty: missing.
        path: of an input that is a folder of this machine.
    """

    name: str
    uri: str
    revision: str
    nar_hash: str
    path: str


def read_lock(folder: Path) -> tuple[LockedInput, ...]:
    """Return the locked inputs of the flake in `folder`, sorted by name; none if it has no lock.

    Raises:
        UnreadableError: the lock is malformed.
    """
    path = folder / LOCK
    if not path.exists():
        return ()
    try:
        document = read_json(read_limited(path, _LOCK_LIMIT))
    except ValueError as error:
        raise UnreadableError(f"`{LOCK}` is not JSON: {error}", hint="run `nix flake lock`") from error
    match document:
        case {"nodes": dict(nodes), "root": str(root)}:
            used = ((name, nodes.get(name)) for name in sorted(_reachable(nodes, root)))
            locked = ((name, node.get("locked")) for name, node in used if isinstance(node, dict))
            return tuple(_input(name, fields) for name, fields in locked if isinstance(fields, dict))
    raise UnreadableError(f"`{LOCK}` is no lock of a flake: it has no `nodes`", hint="run `nix flake lock`")


def _reachable(nodes: Mapping[str, JSONValue], root: str) -> set[str]:
    """Return the nodes that an input refers to: Nix ignores all others, so anybody could have written them.

    An input that `follows` another one is a list, the path to it from the root; what that refers to has its own node.
    """
    reached: set[str] = set()
    waiting = [root]
    while waiting:
        match nodes.get(waiting.pop()):
            case {"inputs": dict(inputs)}:
                targets = {target for target in inputs.values() if isinstance(target, str)} - reached
                reached |= targets
                waiting += targets
    return reached - {root}


def sri_to_hex(sri: str) -> str:
    """Return the hex of `sha256-BASE64` (W3C, Subresource Integrity), Nix's form of hashes; empty: it is another form.

    >>> sri_to_hex("sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=")[:8]
    '5891b5b5'
    """
    algorithm, _, encoded = sri.partition("-")
    try:
        digest = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return digest.hex() if algorithm == "sha256" and len(digest) == 32 else ""  # noqa: PLR2004 - bytes of a sha256


def _input(name: str, locked: Mapping[str, JSONValue]) -> LockedInput:
    fields = {key: value for key, value in locked.items() if isinstance(value, str)}
    revision = fields.get("rev", "")
    return LockedInput(
        name=name,
        uri=_uri(fields),
        revision=revision if _REVISION.match(revision) else "",
        nar_hash=sri_to_hex(fields.get("narHash", "")),
        path=fields.get("path", "") if fields.get("type") == "path" else "",
    )


def _uri(fields: Mapping[str, str]) -> str:
    """Return the source of an input in the form of SPDX and SLSA: `git+https://…`."""
    kind = fields.get("type", "")
    if kind in _HOSTS and fields.get("owner") and fields.get("repo"):
        host = fields.get("host") or _HOSTS[kind]
        owner = quote(unquote(fields["owner"]), safe="/~")  # nested groups are written `a%2Fb`
        repository = public_url(f"https://{host}/{owner}/{quote(fields['repo'])}")
        return f"git+{repository}" if repository else ""
    url = public_url(fields.get("url", "").removeprefix("git+").partition("?")[0]) if fields.get("url") else None
    return (f"git+{url}" if kind == "git" else url) if url else ""
