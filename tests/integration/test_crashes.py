"""Killed at any call that changes a file: what a reader accepts is the old state or the new, and the next run goes on.

A spread of the calls is tried, those of the commit among them; `EVERY_CALL=1` in the environment tries each.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from .scene import WORDS, Scene, spread
from .workspaces import runs, words

if TYPE_CHECKING:
    from pathlib import Path

    from .forks import Forks

pytestmark = pytest.mark.integration


def test_killed_while_it_builds_for_the_first_time(forked: Forks, shelf: Path) -> None:
    """Each time in a workspace of its own, in which nothing is there yet, not even a key."""
    scene = Scene.begin(forked, shelf / "work")
    killed = 0
    for call in spread(forked.doit(words(shelf / "dry")).ok().calls, 35):
        new = Scene(forked=forked, made=words(shelf / str(call)), settled=scene.settled)
        killed += new.hit(call).killed
        new.recovers()
        shutil.rmtree(new.made.root)
    assert killed >= 30


def test_killed_while_it_builds_again(forked: Forks, shelf: Path) -> None:
    """One workspace that is edited, hit and goes on."""
    scene = Scene.begin(forked, shelf / "work")
    killed = 0
    for call in spread(scene.calls(scene.edit), 45):
        scene.edit()
        killed += scene.hit(call).killed
        scene.recovers()
    assert killed >= 30


def test_killed_while_it_makes_evidence_again(forked: Forks, shelf: Path) -> None:
    """The artifact's bytes and its provenance are the same all the time, and it is not built."""
    scene = Scene.begin(forked, shelf / "work")
    kept = {"words", "words.provenance.sigstore.json"}
    first = {name: data for name, data in scene.contents(WORDS).items() if name in kept}

    killed = 0
    for call in spread(scene.calls(scene.lose), 20):
        scene.lose()
        killed += scene.hit(call).killed
        assert scene.contents(WORDS).items() >= first.items()
        scene.recovers()
    assert killed >= 15
    assert runs(scene.made) == ["words", "count"]
