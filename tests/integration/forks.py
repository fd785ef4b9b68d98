"""Runs of doit at a few hundredths of a second each, with faults at the border to the kernel (faults.c)."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .workspaces import Ran, Repository

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HERE = Path(__file__).parent
_KILL = 0
FULL = errno.ENOSPC


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked(Ran):
    """One finished run.

    Attributes:
        calls: how many calls of the process changed files, with those of the libraries that it uses.
        looked: files that it opened and folders that it read, as paths; only where that was asked for.
    """

    calls: int
    looked: tuple[str, ...] = ()

    @property
    def killed(self) -> bool:
        return self.code == -9

    def done(self) -> dict[str, str]:
        """Return what a run says to have done, `built` or so, by artifact; what was fresh is not among them."""
        found = {}
        for line in self.err.splitlines():
            if line.startswith("{") and (event := json.loads(line))["event"].startswith("artifact."):
                found[event["artifact"]] = event["event"].removeprefix("artifact.")
        return found


class Forks:
    """Runs doit in forks of one process."""

    def __init__(self, server: subprocess.Popen[str]) -> None:
        self._server = server

    def doit(
        self,
        repository: Repository,
        *arguments: str,
        call: int = 0,
        error: int = _KILL,
        clock: int = 0,
        env: Mapping[str, str] | None = None,
        looks: bool = False,
    ) -> Forked:
        """Run doit in a repository. No run may ever end in a traceback.

        Args:
            repository: the one.
            arguments: of doit.
            call: number of the call that changes files which is hit; 0: none is.
            error: the errno of that call and all later ones that need space; `_KILL`: it kills the run.
            clock: seconds by which the run's clock is wrong.
            env: variables beside those of the repository.
            looks: note what is opened and read.
        """
        request = {
            "cwd": str(repository.root),
            "env": {"PYTHONDONTWRITEBYTECODE": "1", **repository.environ, **(env or {})},
            "argv": arguments,
            "call": call,
            "error": error,
            "clock": clock,
            "looks": looks,
        }
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(f"{json.dumps(request)}\n")
        self._server.stdin.flush()
        answer = json.loads(self._server.stdout.readline())
        found = Forked(**answer | {"looked": tuple(answer["looked"])})
        assert "Traceback" not in found.said, found.said
        return found

    def plan(self, repository: Repository, *arguments: str) -> dict[str, str]:
        """Return what a run would do, by artifact; nothing changes by asking."""
        before = snapshot(repository.root)
        ran = self.doit(repository, "plan", "--format", "json", *arguments).ok()
        assert snapshot(repository.root) == before
        return {one["artifact"]: one["action"] for one in json.loads(ran.out)["artifacts"]}


@contextmanager
def forks(folder: Path) -> Iterator[Forks]:
    """Start the process that is forked; skip where there is no C compiler for faults.c."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("a C compiler on Linux is needed to make faults")
    library = folder / "faults.so"
    flags = ("-std=gnu17", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC")
    subprocess.run([compiler, *flags, "-o", str(library), str(_HERE / "faults.c"), "-ldl"], check=True)
    with subprocess.Popen(
        [sys.executable, str(_HERE / "fork_server.py"), str(library)],
        env=os.environ | {"LD_PRELOAD": str(library), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            yield Forks(server)
        finally:
            if server.stdin is not None:
                server.stdin.close()
            server.wait(10)


def snapshot(root: Path) -> dict[str, tuple[int, int, int, bytes | str]]:
    """Return all that lies below a folder: type and permissions, inode, mtime, and bytes or the link's target."""
    found: dict[str, tuple[int, int, int, bytes | str]] = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            status = path.lstat()
            content: bytes | str = b""
            if path.is_symlink():
                content = str(path.readlink())
            elif path.is_file():
                content = path.read_bytes()
            found[str(path.relative_to(root))] = (status.st_mode, status.st_ino, status.st_mtime_ns, content)
    return found


def paths(root: Path) -> set[str]:
    """Return the paths of all that lies below a folder."""
    return {str(path.relative_to(root)) for path in root.rglob("*")}
