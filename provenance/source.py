"""What git says of the sources: where they come from, which commit, and whether the tree is exactly that commit."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from .errors import ProvenanceError, ToolError
from .process import capture, clean_environment

_SCP = re.compile(r"(?:[^@/\s]+@)?(?P<host>[^:/\s]+):(?P<path>[^\s]+)\Z")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


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
    """Ask git about the repository around `workspace`. No git and no repository are answers, not errors.

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
        dirty=bool(_git(root, environment, "status", "--porcelain", "--untracked-files=normal")),
    )


def time_of(source: Source, files: list[str]) -> datetime:
    """Return the time that stands in SBOMs: SOURCE_DATE_EPOCH, else that of the last commit that touched `files`.

    Without git it is the newest modification time of `files`, which are relative to `source.root`.

    Raises:
        ProvenanceError: SOURCE_DATE_EPOCH is no number of seconds
            (reproducible-builds.org, SOURCE_DATE_EPOCH specification).
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch:
        try:
            return datetime.fromtimestamp(int(epoch), UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise ProvenanceError(
                f"SOURCE_DATE_EPOCH is `{epoch}`, which is no number of seconds since 1970",
                hint="set it as `git log -1 --format=%ct` prints it, or unset it",
            ) from error
    if source.commit is not None:
        inside = [f for f in files if not f.startswith("../")]
        for pathspec in (inside, []):
            seconds = _git(
                source.root, _environment(), "log", "-1", "--format=%ct", "HEAD", "--", *pathspec, literal=True
            )
            if seconds:
                return datetime.fromtimestamp(int(seconds), UTC)
    newest = max((_mtime(source.root / f) for f in files), default=0)
    return datetime.fromtimestamp(newest, UTC)


def public_url(remote: str) -> str | None:
    """Return a git remote as an `https://` URL that holds no credentials; `None` for a local path.

    >>> public_url("git@github.com:wasmCloud/wasmCloud.git")
    'https://github.com/wasmCloud/wasmCloud'
    """
    if "://" in remote:
        parts = urlsplit(remote)
        if parts.scheme not in {"http", "https", "ssh", "git", "git+ssh"} or not parts.hostname:
            return None
        port = f":{parts.port}" if parts.port and parts.scheme in {"http", "https"} else ""
        scheme = "http" if parts.scheme == "http" else "https"
        return urlunsplit((scheme, parts.hostname + port, parts.path.removesuffix("/").removesuffix(".git"), "", ""))
    if (match := _SCP.match(remote)) and not Path(remote).exists():
        return f"https://{match['host']}/{match['path'].lstrip('/').removesuffix('/').removesuffix('.git')}"
    return None


def _environment() -> dict[str, str]:
    return clean_environment({"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"})


def _git(cwd: Path, environment: dict[str, str], *arguments: str, literal: bool = False) -> str:
    options = ["--literal-pathspecs"] if literal else []
    output = capture(["git", *options, "-c", "core.fsmonitor=false", *arguments], cwd=cwd, env=environment)
    return output.decode(errors="surrogateescape").strip()


def _maybe(cwd: Path, environment: dict[str, str], *arguments: str) -> str | None:
    try:
        return _git(cwd, environment, *arguments) or None
    except ToolError:  # git's way to say that there is none
        return None


def _mtime(path: Path) -> int:
    try:
        return int(path.stat().st_mtime)
    except OSError:
        return 0
