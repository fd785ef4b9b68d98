"""Times prove nothing by themselves: clocks that jump, files that keep their times, and what is read for what."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from doit_provenance.tasks.freshness.inputs import measure_file

from .forks import paths
from .scene import COUNT, WORDS, Scene
from .workspaces import repository, runs

if TYPE_CHECKING:
    from pathlib import Path

    from .forks import Forks
    from .workspaces import Repository

pytestmark = pytest.mark.integration

_DAY = 86_400
_SECOND = 1_000_000_000


@pytest.fixture
def scene(forked: Forks, shelf: Path) -> Scene:
    """Make a workspace whose artifacts are fresh and remembered."""
    made = Scene.begin(forked, shelf / "work")
    forked.doit(made.made).ok()
    return made


def _edit_and_keep_times(scene: Scene) -> None:
    """Change the source to another of the same size, with the times that it had."""
    path = scene.made.root / "src/a.txt"
    found = path.stat()
    data = path.read_bytes()
    with path.open("r+b") as stream:
        stream.write(data[::-1])
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert path.read_bytes() != data


def test_file_that_is_replaced_at_once_after_each_run(scene: Scene) -> None:
    """With one of the same size and with the times that it had, two hundred times: each is noticed."""
    path = scene.made.root / "src/a.txt"
    path.write_bytes(b"one  two\n  three")
    scene.forked.doit(scene.made).ok()
    for _ in range(200):
        _edit_and_keep_times(scene)
        done = scene.forked.doit(scene.made).ok().done()
        assert done[WORDS] == "built"
        assert scene.contents(WORDS)["words"] == path.read_bytes()
    scene.recovers()


def test_file_that_is_replaced_at_once_after_it_was_measured(shelf: Path) -> None:
    """On most kernels within one tick of the clock for files, so that no time tells the one from the other."""
    path = shelf / "file"
    path.write_bytes(b"0")
    found = path.stat()
    for number in range(1, 2000):
        known = measure_file(str(path), None)
        path.write_bytes(b"%d" % (number % 10))
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        after = measure_file(str(path), known)
        assert known is not None
        assert after is not None
        assert after.sha256 != known.sha256


@pytest.mark.parametrize("jump", [-_DAY, -5, 5, _DAY, 40 * 365 * _DAY])
def test_clock_that_jumps(scene: Scene, jump: int) -> None:
    """Between runs, there and back again: no edit is missed, and nothing is built that did not change."""
    for clock in (jump, 0, -jump if abs(jump) < 2 * _DAY else 0):
        _edit_and_keep_times(scene)
        assert scene.forked.doit(scene.made, clock=clock).ok().done()[WORDS] == "built"
        before = runs(scene.made)
        for again in (clock, 0, jump):
            assert scene.forked.doit(scene.made, clock=again).ok().done() == {}
            assert scene.forked.doit(scene.made, "verify", clock=again).ok()
        assert runs(scene.made) == before
    scene.recovers()


@pytest.mark.parametrize("when", [0, 1, 2**33], ids=["1970", "1970 and a second", "2242"])
def test_times_of_files_that_can_not_be(scene: Scene, when: int) -> None:
    """Of sources and of evidence: an archive that was unpacked, a machine without a battery."""
    for path in (scene.made.root / "src/a.txt", *(scene.made.root / "dist").rglob("*")):
        os.utime(path, ns=(when * _SECOND, when * _SECOND))
    for _ in range(2):
        assert scene.forked.doit(scene.made).ok().done() == {}
    _edit_and_keep_times(scene)
    assert scene.forked.plan(scene.made)[WORDS] == "build"
    scene.recovers()


def test_touched_file_is_read_once(scene: Scene) -> None:
    """And known again by its new times, as is evidence."""
    source = scene.made.root / "src/a.txt"
    sbom = next((scene.made.root / "dist").rglob("words.spdx.json"))
    for path in (source, sbom):
        _settle()
        os.utime(path)
        _settle()
        first, second = (scene.forked.doit(scene.made, looks=True).ok() for _ in range(2))
        assert first.done() == second.done() == {}
        assert first.looked.count(str(path)) == 1
        assert str(path) not in second.looked


def _settle() -> None:
    """Let the clock for files tick, so that times prove something."""
    time.sleep(0.05)


def test_nothing_is_read_where_nothing_changed(scene: Scene) -> None:
    """Folders that are inputs, and those of artifacts, are listed once; no file in them is opened."""
    _settle()
    scene.forked.doit(scene.made).ok()
    for command in ("run", "plan"):
        looked = scene.forked.doit(scene.made, command, looks=True).ok().looked
        files = [path for path in looked if path.startswith((f"{scene.made.root}/dist", f"{scene.made.root}/src"))]
        assert sorted(files) == sorted(
            f"{scene.made.root}/{name}" for name in ("dist/command/count/any", "dist/command/words/any", "src")
        )


_FOLDERS, _FILES = 100, 1000


@pytest.fixture
def crowded(shelf: Path) -> Repository:
    """Make a workspace with 100,000 files beside its source."""
    made = repository(
        shelf / "work",
        {
            "src/a.txt": "a\n",
            "provenance.toml": """
            [command.one]
            run = ["cp", "src/a.txt", "out/one"]
            inputs = ["src/**"]
            outputs = ["out/one"]
            platform = "any"
            """,
        },
    )
    for folder in range(_FOLDERS):
        path = made.root / "beside" / str(folder)
        path.mkdir(parents=True)
        for file in range(_FILES):
            os.close(os.open(path / f"{file}.txt", os.O_CREAT | os.O_WRONLY))
    return made


def test_many_files_beside_the_sources(forked: Forks, crowded: Repository) -> None:
    """No command looks at them."""
    for command in (("run",), ("run",), ("plan",), ("list", "--status"), ("verify",), ("explain", "command:one")):
        looked = forked.doit(crowded, *command, looks=True).ok().looked
        assert looked
        assert not [path for path in looked if f"{crowded.root}/beside" in path]


def test_many_files_that_are_inputs(forked: Forks, crowded: Repository) -> None:
    """Each folder is read once in a plan and no file is opened again; twice as many take about twice as long."""
    settings = crowded.root / "provenance.toml"
    took = {}
    for pattern, folders in (("beside/[1-2]?/*.txt", 20), ("beside/[1-4]?/*.txt", 40)):
        settings.write_text(
            f"[command.one]\nrun = ['cp', 'src/a.txt', 'out/one']\ninputs = ['{pattern}']\noutputs = ['out/one']\n"
            "platform = 'any'\n"
        )
        for _ in range(2):
            forked.doit(crowded).ok()
        looked = forked.doit(crowded, "plan", looks=True).ok().looked
        inside = [path for path in looked if f"{crowded.root}/beside/" in path]
        assert len(inside) == len(set(inside)) == folders
        took[folders] = min(_seconds(forked, crowded) for _ in range(3))
        edited = crowded.root / "beside/17/17.txt"
        edited.write_text(pattern)
        (plan,) = json.loads(forked.doit(crowded, "plan", "--format", "json").ok().out)["artifacts"]
        assert plan["reasons"] == [{"code": "input-changed", "detail": "beside/17/17.txt"}]
    assert took[40] < 4 * took[20], took


def _seconds(forked: Forks, made: Repository) -> float:
    begin = time.perf_counter()
    assert forked.doit(made, "plan").ok().out.endswith("1 fresh\n")
    return time.perf_counter() - begin


def test_source_that_its_own_command_edits(scene: Scene) -> None:
    """A build whose inputs change under it fails with the path, whatever is done to hide that; nothing is committed."""
    settings = scene.made.root / "provenance.toml"
    plain = settings.read_text()
    before = scene.all_contents()
    for edit, named in (
        ("echo more >> src/a.txt", "src/a.txt"),
        ("touch -r src/a.txt $NOTES.times; printf two > src/a.txt; touch -r $NOTES.times src/a.txt", "src/a.txt"),
        ("cp src/a.txt src/b.txt", "src/b.txt"),
        ("rm src/b.txt", "src/b.txt"),
        ("mv src/a.txt src/c.txt; ln -s ../provenance.toml src/a.txt", "src/a.txt"),
    ):
        settings.write_text(plain.replace("> out/words", f"> out/words; {edit}"))
        ran = scene.forked.doit(scene.made)
        ran.failed(1, f"an input changed while it was being built: `{named}`")
        assert scene.all_contents() == before
        assert not any(".staging" in path for path in paths(scene.made.root))
        assert scene.forked.doit(scene.made, "verify", "dist").ok()
    (scene.made.root / "src/a.txt").unlink()
    (scene.made.root / "src/c.txt").rename(scene.made.root / "src/a.txt")
    settings.write_text(plain)
    scene.recovers()
    assert scene.forked.plan(scene.made) == {WORDS: "fresh", COUNT: "fresh"}
