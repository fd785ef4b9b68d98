"""The git state of the sources: remote, commit, and whether the working tree is clean."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from .errors import ProvenanceError, ToolError, quoted
from .process import capture, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCP = re.compile(r"(?:[^@/\s]+@)?(?P<host>[^@:/\s]+):(?P<path>[^@\s]+)\Z")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_SECONDS = re.compile(r"[0-9]{1,11}\Z")
_LATEST = 253_402_300_799
"""The last second of the year 9999, the limit of RFC 3339."""
_CHANGES = ("status", "--porcelain", "--untracked-files=normal", "--ignore-submodules=none", "--")
_STATUS = (*_CHANGES, ".", ":(exclude,glob)**/__pycache__/**")
"""Python's cache beside a `dodo.py` does not count as a change."""
_BATCH = 64 << 10
"""Characters of paths on one command line, far below what systems allow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The repository that the workspace is part of.

    Attributes:
        root: git's top level, or the workspace's root where there is no git.
        url: of the `origin` remote, as `https://…`, without credentials; `None`: no such remote.
        commit: of HEAD; `None`: no git, no repository, or no commit yet.
        ref: as `refs/heads/main`; `None` where HEAD is detached.
        dirty: the tree differs from the commit (untracked files that git does not ignore count).
    """

    root: Path
    url: str | None = None
    commit: str | None = None
    ref: str | None = None
    dirty: bool = False


def read_source(workspace: Path) -> Source:
    """Read the state of the repository around `workspace`; a missing git or repository is not an error.

    Raises:
        ToolError: git is there but can't read this repository (corrupt, or owned by somebody else).
    """
    environment = _environment()
    try:
        top = _git(workspace, environment, "rev-parse", "--show-toplevel")
    except ToolError as error:
        if isinstance(error.__cause__, OSError) or "not a git repository" in str(error):
            return Source(root=workspace)
        raise
    root = Path(top)
    commit = _maybe(root, environment, "rev-parse", "--verify", "--quiet", "HEAD")
    remote = _maybe(root, environment, "config", "--get", "remote.origin.url")
    return Source(
        root=root,
        url=public_url(remote) if remote else None,
        commit=commit if commit and _COMMIT.match(commit) else None,
        ref=_maybe(root, environment, "symbolic-ref", "--quiet", "HEAD"),
        dirty=bool(_git(root, environment, *_STATUS)),
    )


def committed_files(source: Source) -> frozenset[str]:
    """Return the files that git compares with the commit, those of submodules too, as paths from `source.root`.

    Not among them are ignored files, of which `dirty` says nothing, and files that git was told to take as unchanged
    (git-update-index, `--assume-unchanged` and `--skip-worktree`).

    Raises:
        ToolError: git can't tell.
    """
    listed = _git(source.root, _environment(), "ls-files", "-v", "-z", "--recurse-submodules")
    return frozenset(line[2:] for line in listed.split("\0") if line.startswith("H "))


def time_of(source: Source, files: list[str]) -> datetime:
    """Return the timestamp for SBOMs: SOURCE_DATE_EPOCH, else that of the last commit that touched `files`.

    Without git it is the newest modification time of `files`, which are relative to `source.root`.

    Raises:
        ProvenanceError: SOURCE_DATE_EPOCH is no number of seconds
            (reproducible-builds.org, SOURCE_DATE_EPOCH specification).
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch:
        if not _SECONDS.match(epoch) or int(epoch) > _LATEST:
            raise ProvenanceError(
                f"SOURCE_DATE_EPOCH is {quoted(epoch)}, which is no number of seconds since 1970",
                hint="set it as `git log -1 --format=%ct` prints it, or unset it",
            )
        return datetime.fromtimestamp(int(epoch), UTC)
    if source.commit is not None:
        inside = [f for f in files if not f.startswith("../")]
        touched = [t for batch in _batches(inside) if (t := _last_commit(source.root, batch)) is not None]
        seconds = max(touched, default=None) or _last_commit(source.root, [])
    else:
        seconds = max((_mtime(source.root / f) for f in files), default=0)
    return datetime.fromtimestamp(seconds or 0, UTC)


def revision_of(source: Source, files: list[str]) -> str | None:
    """Return the revision for images: the last commit that touched `files`, as in `time_of`.

    If git tracks none of them (ignored build outputs), it is HEAD, if the working tree is clean.

    Returns:
        `None` where there is no such commit, or the files are not as it has them: a revision names exactly the sources.

    Raises:
        ToolError: git can't tell.
    """
    if source.commit is None:
        return None
    touched: list[tuple[int, str]] = []
    for batch in _batches([f for f in files if not f.startswith("../")]):
        if _git(source.root, _environment(), *_CHANGES, *batch, literal=True):
            return None
        last = _git(source.root, _environment(), "log", "-1", "--format=%ct %H", "HEAD", "--", *batch, literal=True)
        if last:
            seconds, _, commit = last.partition(" ")
            touched.append((int(seconds), commit))
    if touched:
        return max(touched)[1]
    return None if source.dirty else source.commit


def _last_commit(root: Path, files: list[str]) -> int | None:
    """Return the time of the last commit that touched `files`, or of the last one at all where none are named."""
    seconds = _git(root, _environment(), "log", "-1", "--format=%ct", "HEAD", "--", *files, literal=True)
    return int(seconds) if seconds else None


def _batches(files: list[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    length = 0
    for file in files:
        if batch and length + len(file) > _BATCH:
            yield batch
            batch, length = [], 0
        batch.append(file)
        length += len(file)
    if batch:
        yield batch


def public_url(remote: str) -> str | None:
    """Return a git remote as an `https://` URL that holds no credentials; `None` for a local path or what is no URL.

    >>> public_url("git@github.com:wasmCloud/wasmCloud.git")
    'https://github.com/wasmCloud/wasmCloud'
    """
    if "://" in remote:
        try:
            parts = urlsplit(remote)
            host, number = parts.hostname, parts.port
        except ValueError:
            return None  # what can't be taken apart may hide a password anywhere
        if parts.scheme not in {"http", "https", "ssh", "git", "git+ssh"} or not host:
            return None
        port = f":{number}" if number and parts.scheme in {"http", "https"} else ""
        scheme = "http" if parts.scheme == "http" else "https"
        place = (f"[{host}]" if ":" in host else host) + port
        return urlunsplit((scheme, place, parts.path.removesuffix("/").removesuffix(".git"), "", ""))
    if (match := _SCP.match(remote)) and not Path(remote).exists():
        return f"https://{match['host']}/{match['path'].lstrip('/').removesuffix('/').removesuffix('.git')}"
    return None


def _environment() -> dict[str, str]:
    return clean_environment({"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"})


def _git(cwd: Path, environment: dict[str, str], *arguments: str, literal: bool = False) -> str:
    options = ["--literal-pathspecs"] if literal else []
    output = capture(["git", *options, "-c", "core.fsmonitor=false", *arguments], cwd=cwd, env=environment)
    return output.decode(errors="surrogateescape").removesuffix("\n")


def _maybe(cwd: Path, environment: dict[str, str], *arguments: str) -> str | None:
    try:
        return _git(cwd, environment, *arguments) or None
    except ToolError:  # git's exit code if there is none
        return None


def _mtime(path: Path) -> int:
    try:
        return int(path.stat().st_mtime)
    except OSError:
        return 0
