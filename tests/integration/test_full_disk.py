"""A disk that gets full at any moment: the message says so, what was there still verifies, and with room a run goes on.

First in every call that needs room, as faults.c has it; then on real filesystems of a few pages more or less, for the
programs that are started too. `EXHAUSTIVE=1` in the environment tries each call.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from .forks import paths
from .scene import Scene, spread
from .workspaces import words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .forks import Forked, Forks

pytestmark = pytest.mark.integration

_PAGE = 4096
ERRORS = {"full": errno.ENOSPC, "quota": errno.EDQUOT, "device": errno.EIO}


def _told(ran: Forked, error: int) -> None:
    """Hold that a run which could not do its work says why, and names what it could not write."""
    if ran.code:
        assert os.strerror(error) in ran.out, ran.said
        assert "error: " in ran.out
        assert "/" in ran.out.partition(os.strerror(error))[0], ran.said


@pytest.mark.parametrize("cause", ERRORS)
def test_room_ends_while_it_builds_again(forked: Forks, shelf: Path, cause: str) -> None:
    scene = Scene.begin(forked, shelf / "work")
    failed = 0
    for call in spread(scene.calls(scene.edit), 24 if cause == "full" else 6):
        scene.edit()
        ran = scene.hit(call, ERRORS[cause])
        _told(ran, ERRORS[cause])
        assert not any(".staging" in path for path in paths(scene.made.root))
        failed += ran.code == 1
        scene.recovers()
    assert failed >= 3


def test_room_ends_while_it_builds_for_the_first_time(forked: Forks, shelf: Path) -> None:
    scene = Scene.begin(forked, shelf / "work")
    failed = 0
    for call in spread(forked.doit(words(shelf / "dry")).ok().calls, 20):
        new = Scene(forked=forked, made=words(shelf / str(call)), settled=scene.settled)
        ran = new.hit(call, errno.ENOSPC)
        _told(ran, errno.ENOSPC)
        failed += ran.code == 1
        new.recovers()
        shutil.rmtree(new.made.root)
    assert failed >= 10


def test_room_ends_while_it_makes_evidence_again(forked: Forks, shelf: Path) -> None:
    scene = Scene.begin(forked, shelf / "work")
    failed = 0
    for call in spread(scene.calls(scene.lose), 12):
        scene.lose()
        ran = scene.hit(call, errno.ENOSPC)
        _told(ran, errno.ENOSPC)
        failed += ran.code == 1
        scene.recovers()
    assert failed >= 4


@pytest.mark.parametrize("place", ["dist", ".provenance", "."])
def test_filesystem_of_few_pages(forked: Forks, shelf: Path, place: str) -> None:
    """With room for some pages more each time, until a run ends well."""
    root = shelf / "work"
    root.mkdir()
    with _filesystem(root / place):
        scene = Scene.begin(forked, root)
        filler = root / place / "filler"
        failed = 0
        for pages in (*range(5), *range(5, 64, 5)):
            scene.edit()
            _leave_room(filler, pages)
            scene.settled = paths(root)
            ran = scene.hit(0, errno.ENOSPC)
            if ran.code == 0 and pages > 24:
                break
            _told(ran, errno.ENOSPC)
            failed += ran.code
            filler.write_bytes(b"")
            scene.recovers()
        else:
            pytest.fail("it never had enough room")
        assert failed


@contextlib.contextmanager
def _filesystem(folder: Path) -> Iterator[None]:
    """Mount a small filesystem at a folder."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a filesystem of a given size")
    folder.mkdir(exist_ok=True)
    command = ("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder))
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    if done.returncode != 0:
        pytest.skip(f"no filesystem can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _leave_room(filler: Path, pages: int) -> None:
    """Fill a filesystem but for some pages."""
    with filler.open("wb", buffering=0) as stream:
        with contextlib.suppress(OSError):
            while True:
                stream.write(b"x" * _PAGE)
        stream.truncate(max(0, stream.tell() - pages * _PAGE))
