"""Several commands over one workspace at once: each artifact is built once, and all of them end as they should."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from .workspaces import DOIT, Repository, runs, words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .forks import Forks

pytestmark = pytest.mark.integration

WORDS, COUNT = "command:words@any", "command:count@any"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """One run of several."""

    code: int
    out: str
    events: list[dict[str, str]]

    def of(self, event: str) -> list[str]:
        """Return the artifacts that an event was about."""
        return [one.get("artifact", "") for one in self.events if one["event"] == event]


def _together(made: Repository, *commands: tuple[str, ...]) -> list[Ended]:
    """Start runs at once; return them in the order of the commands."""
    processes = [
        subprocess.Popen(
            (*DOIT, *arguments), cwd=made.root, env=made.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for arguments in commands
    ]
    ended = []
    for process in processes:
        out, err = (data.decode() for data in process.communicate(timeout=120))
        assert "Traceback" not in out + err, out + err
        ended.append(Ended(code=process.returncode, out=out, events=[json.loads(line) for line in err.splitlines()]))
    return ended


@pytest.fixture
def slow(shelf: Path) -> Repository:
    """Make a workspace whose first command takes long enough for another run to meet it."""
    made = words(shelf / "work")
    made.doit("key").ok()
    made.write({"src/slow.sh": "sleep 0.7\n"})
    _let_words(made, "sh src/slow.sh; cat src/*.txt > out/words")
    return made


def _let_words(made: Repository, script: str) -> None:
    path = made.root / "provenance.toml"
    path.write_text(path.read_text().replace("cat src/*.txt > out/words", script))


@pytest.mark.parametrize("threads", [(), ("-n", "2")], ids=["one", "threads"])
def test_same_selection(slow: Repository, threads: tuple[str, ...]) -> None:
    """One builds all, and the other waits for it, says whom it waits for, and finds all fresh."""
    ended = _together(slow, ("run", *threads), ("run", *threads))
    assert [run.code for run in ended] == [0, 0]
    assert Counter(id_ for run in ended for id_ in run.of("artifact.built")) == {WORDS: 1, COUNT: 1}
    (idle,) = (run for run in ended if not run.of("artifact.built"))
    (waiting,) = (event for event in idle.events if event["event"] == "lock.waiting")
    assert waiting["message"].startswith(f"waiting for `doit {shlex.join(('run', *threads))}` (process ")
    assert "2 artifacts are fresh" in idle.out
    assert runs(slow) == ["words", "count"]
    slow.doit("verify").ok()


def test_selections_that_overlap(slow: Repository) -> None:
    """What both need is built once, whoever comes first; what only one needs is built in any case."""
    ended = _together(slow, ("run", "command:words"), ("run", "-n", "2", "command:count"))
    assert [run.code for run in ended] == [0, 0]
    assert Counter(id_ for run in ended for id_ in run.of("artifact.built")) == {WORDS: 1, COUNT: 1}
    assert runs(slow) == ["words", "count"]
    slow.doit("verify").ok()


@pytest.mark.parametrize(
    "arguments", [(), ("--continue",), ("--continue", "-n", "2")], ids=["one", "continue", "threads"]
)
def test_task_that_fails(slow: Repository, arguments: tuple[str, ...]) -> None:
    """Both try, as neither knows that it would fail again; what was there stays, and what can be built is."""
    slow.doit().ok()
    before = slow.state()
    slow.write(
        {
            "src/slow.sh": "sleep 0.3; echo no good >&2\n",
            "provenance.toml": (slow.root / "provenance.toml").read_text()
            + '[command.alone]\nrun = ["sh", "-c", "echo alone >> $NOTES; echo > out/alone"]\ninputs = []\n'
            + 'outputs = ["out/alone"]\nplatform = "any"\n',
        }
    )
    _let_words(slow, "exit 3")
    ended = _together(slow, ("run", *arguments), ("run", *arguments))
    assert [run.code for run in ended] == [1, 1]
    assert all(run.of("artifact.failed") == [WORDS] and run.out.endswith("no good\n") for run in ended)
    assert Counter(id_ for run in ended for id_ in run.of("artifact.built")) == (
        {"command:alone@any": 1} if arguments else {}
    )
    assert slow.state().items() >= before.items()
    slow.doit("verify", "dist").ok()


def test_readers_meanwhile(forked: Forks, shelf: Path) -> None:
    """While one run after another replaces what they read, readers answer, and change nothing."""
    made = words(shelf / "work")
    made.doit().ok()
    copies = shelf / "copies"
    copies.mkdir()
    made.environ["TMPDIR"] = str(copies)
    seen: Counter[str] = Counter()
    with _edited_and_run(made, 5) as done:
        while not done.is_set():
            planned = json.loads(forked.doit(made, "plan", "--format", "json").ok().out)["artifacts"]
            seen.update(one["action"] for one in planned)
            for command in (("list", "--status"), ("show",), ("explain", WORDS), ("verify",)):
                forked.doit(made, *command).ok()
    assert seen
    assert not list(copies.iterdir())
    assert made.doit("verify").ok()
    assert forked.plan(made) == {WORDS: "fresh", COUNT: "fresh"}


@contextmanager
def _edited_and_run(made: Repository, times: int) -> Iterator[threading.Event]:
    """Edit the source and run, again and again, beside the block; the event tells when that is over."""
    done = threading.Event()
    script = f"""
import pathlib, subprocess, sys
for number in range({times}):
    pathlib.Path("src/a.txt").write_text("word " * number)
    subprocess.run([sys.executable, "-m", "doit"], check=True, capture_output=True)
"""
    process = subprocess.Popen((sys.executable, "-c", script), cwd=made.root, env=made.environ)
    thread = threading.Thread(target=lambda: (process.wait(), done.set()))
    thread.start()
    try:
        yield done
    finally:
        thread.join(60)
        assert process.returncode == 0
