"""Runs `python -m doit` again and again, each time in a fork of one process that has imported everything already.

A script, which forks.py starts with faults.c loaded. It reads requests and writes answers, a line of JSON each.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import sys
import time
from typing import IO, Any

_HEAVY = ("sqlite3", "structlog", "structlog.dev", "rich.live", "rich.console", "doit.doit_cmd", "doit.runner")
_LOOKED = {"open", "os.scandir", "os.listdir"}
_PR_SET_CHILD_SUBREAPER = 36
"""Of linux/prctl.h: processes whose parent has ended become children of this one."""
_PATIENCE = 120
"""Seconds after which a run is ended that waits for what never comes, as for somebody who writes into a pipe."""


def serve(faults: ctypes.CDLL) -> int:
    """Answer requests until there are no more; return the exit code of the process, which may be a fork."""
    import_all()
    gc.freeze()
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    for line in sys.stdin:
        request = json.loads(line)
        ends = [os.pipe() for _ in ("out", "err", "looked")]
        sys.stdout.flush()
        process = os.fork()
        if process == 0:
            for read, _ in ends:
                os.close(read)
            return run(request, faults, [write for _, write in ends])
        for _, write in ends:
            os.close(write)
        out, err, looked = read_all([read for read, _ in ends])
        _, status = os.waitpid(process, 0)
        wait_for_tools()
        answer = {
            "code": os.waitstatus_to_exitcode(status),
            "out": out.decode(),
            "err": err.decode(),
            "calls": faults.faults_calls(),
            "looked": [json.loads(path) for path in looked.splitlines()],
        }
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()
    return 0


def wait_for_tools() -> None:
    """Wait for what a killed run had started: it goes on, and would write while the test looks at the workspace."""
    deadline = time.monotonic() + _PATIENCE
    with contextlib.suppress(ChildProcessError):
        while True:
            process, _ = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                if time.monotonic() > deadline:
                    raise TimeoutError("what a killed run had started does not end")
                time.sleep(0.001)


def run(request: dict[str, Any], faults: ctypes.CDLL, ends: list[int]) -> int:
    """Be `python -m doit`."""
    out, err, looked = ends
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    signal.alarm(_PATIENCE)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path[0] = ""
    sys.argv = ["doit", *request["argv"]]
    if request["looks"]:
        note_looks(os.fdopen(looked, "w", buffering=1))
    else:
        os.close(looked)
    faults.faults_arm(ctypes.c_long(request["call"]), request["error"], ctypes.c_long(request["clock"]))
    try:
        runpy.run_module("doit", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def note_looks(stream: IO[str]) -> None:
    """Write down each file that is opened and each folder that is read, as a path."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _LOOKED and isinstance(arguments[0], str | bytes | os.PathLike):
            stream.write(json.dumps(os.path.abspath(os.fsdecode(arguments[0]))) + "\n")  # noqa: PTH100 - links as named

    sys.addaudithook(hook)


def read_all(ends: list[int]) -> list[bytes]:
    """Read all pipes to their ends."""
    found = dict.fromkeys(ends, b"")
    with selectors.DefaultSelector() as selector:
        for end in ends:
            selector.register(end, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                piece = os.read(key.fd, 1 << 16)
                found[key.fd] += piece
                if not piece:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    return list(found.values())


def import_all() -> None:
    """Import what any command could."""
    for name in _HEAVY:
        importlib.import_module(name)
    for package in ("doit_provenance.tasks", "doit_provenance.provenance"):
        path = importlib.import_module(package).__path__
        for module in pkgutil.walk_packages(path, f"{package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(serve(ctypes.CDLL(sys.argv[1])))
