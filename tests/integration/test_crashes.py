"""Killed at any call that changes a file: what a reader accepts is the old state or the new, and the next run goes on.

A spread of the calls is tried, those of the commit among them; `EXHAUSTIVE=1` in the environment tries each.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from .forks import paths
from .scene import FOLDERS, WORDS, Scene, spread
from .workspaces import DOIT, Repository, one_program, repository, runs, words

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .forks import Forks

pytestmark = pytest.mark.integration


def test_killed_while_it_builds_for_the_first_time(forked: Forks, shelf: Path) -> None:
    """Each time in a workspace of its own, in which nothing is there yet, not even a key."""
    scene = Scene.begin(forked, shelf / "work")
    killed = 0
    for call in spread(forked.doit(words(shelf / "dry")).ok().calls, 24):
        new = Scene(forked=forked, made=words(shelf / str(call)), settled=scene.settled)
        killed += new.hit(call).killed
        new.recovers()
        shutil.rmtree(new.made.root)
    assert killed >= 20


def test_killed_while_it_builds_again(forked: Forks, shelf: Path) -> None:
    """One workspace that is edited, hit and goes on."""
    scene = Scene.begin(forked, shelf / "work")
    killed = 0
    for call in spread(scene.calls(scene.edit), 34):
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
    for call in spread(scene.calls(scene.lose), 14):
        scene.lose()
        killed += scene.hit(call).killed
        assert scene.contents(WORDS).items() >= first.items()
        scene.recovers()
    assert killed >= 12
    assert runs(scene.made) == ["words", "count"]


def test_killed_while_it_writes_to_its_state(forked: Forks, shelf: Path) -> None:
    """Its journal is rolled back by whoever comes next: `plan` in a copy, as it writes nothing."""
    scene = Scene.begin(forked, shelf / "work")
    forked.doit(scene.made).ok()
    database = scene.made.root / ".provenance/state.db"
    whole = database.read_bytes()
    script = """
import os, sqlite3, sys
state = sqlite3.connect(sys.argv[1])
state.execute("pragma cache_size = 1")
state.execute("delete from memory")
state.executemany("insert into memory values (?, ?)", ((b"%d" % n, os.urandom(4000)) for n in range(100)))
os.kill(os.getpid(), 9)
"""
    killed = scene.made.run("python3", "-c", script, str(database))
    assert killed.code == -signal.SIGKILL
    assert database.with_name("state.db-journal").exists()
    assert database.read_bytes() != whole
    copies = shelf / "copies"
    copies.mkdir()
    scene.made.environ["TMPDIR"] = str(copies)
    assert forked.plan(scene.made) == dict.fromkeys(FOLDERS, "fresh")
    assert not list(copies.iterdir())
    scene.recovers()
    assert runs(scene.made) == ["words", "count"]


def test_tool_of_a_killed_run_is_no_matter(forked: Forks, shelf: Path) -> None:
    """It holds no lock, and what it does later changes nothing."""
    begun, go, over = shelf / "begun", shelf / "go", shelf / "over"
    wait = f"if mkdir {begun}; then while ! [ -e {go} ]; do sleep 0.02; done; echo late > out/words; touch {over}; fi"
    made = words(shelf / "work")
    text = (
        (made.root / "provenance.toml")
        .read_text()
        .replace("cat src/*.txt > out/words", f"cat src/*.txt > out/words; {wait}")
    )
    (made.root / "provenance.toml").write_text(text)
    scene = Scene(forked=forked, made=made)
    process = subprocess.Popen(DOIT, cwd=made.root, env=made.environ, stderr=subprocess.DEVNULL)
    _wait_for(begun.exists)
    process.kill()
    process.wait()
    try:
        forked.doit(made).ok()
    finally:
        go.touch()
    _wait_for(over.exists)
    assert (made.root / "out/words").read_text() == "late\n"
    scene.settled = paths(made.root)
    scene.recovers()
    assert runs(made) == ["words", "words", "count"]


def _wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_killed_while_cargo_builds(forked: Forks, shelf: Path) -> None:
    """Two binaries of one call: what is there verifies whenever it is killed, and one run more builds the rest."""
    made = repository(shelf / "work", one_program() | {"src/bin/other.rs": "fn main() {}\n"})
    forked.doit(made).ok()
    _edit_both(made, 0)
    for number, call in enumerate(spread(forked.doit(made).ok().calls, 5), start=1):
        _edit_both(made, number)
        forked.doit(made, call=call)
        forked.doit(made, "verify").ok()
        plan = forked.plan(made)
        done = forked.doit(made).ok().done()
        assert done.keys() == {id_ for id_, action in plan.items() if action != "fresh"}
        for name in ("solo", "other"):
            assert made.run(str(made.folder(name) / name)).ok().out == f"{number}\n"
        assert set(forked.plan(made).values()) == {"fresh"}
        assert not [*made.root.glob("dist/**/.staging*"), *made.root.glob(".provenance/**/.staging*")]


def _edit_both(made: Repository, number: int) -> None:
    text = f'fn main() {{ println!("{number}"); }}\n'
    made.write({"src/main.rs": text, "src/bin/other.rs": text})
