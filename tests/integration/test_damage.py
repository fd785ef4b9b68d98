"""Whatever is done to what lies in the output and state folders: never accepted, never a traceback, and made again."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from .forks import snapshot
from .scene import COUNT, FOLDERS, WORDS, Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .forks import Forks

pytestmark = pytest.mark.integration

FILES = (
    "words",
    "words.inventory.json",
    "words.spdx.json",
    "words.cdx.json",
    "words.provenance.sigstore.json",
    "words.spdx.sigstore.json",
    "words.cdx.sigstore.json",
    "words.record.json",
)
BUILDS = {"words", "words.inventory.json", "words.provenance.sigstore.json", "words.record.json"}
"""Files without which only a build helps."""
READERS = (("show",), ("explain", WORDS), ("list", "--status"), ("verify", "dist"), ("key",))


@pytest.fixture
def scene(forked: Forks, shelf: Path) -> Scene:
    """Make a workspace whose artifacts are fresh and remembered."""
    made = Scene.begin(forked, shelf / "work")
    forked.doit(made.made).ok()
    return made


def _place(scene: Scene, name: str) -> Path:
    return scene.made.root / FOLDERS[WORDS] / name


def _noticed(scene: Scene, name: str) -> None:
    """Hold that a file which is not what it was is not accepted, and that no more is announced than is needed."""
    ran = scene.forked.doit(scene.made, "verify")
    assert ran.code in {1, 2}, ran.said
    assert "not verified" in ran.out
    action = "build" if name in BUILDS else "attest"
    downstream = "maybe" if name in BUILDS else "fresh"
    assert scene.forked.plan(scene.made) == {WORDS: action, COUNT: downstream}
    scene.recovers()


@contextmanager
def _times_kept(path: Path) -> Iterator[None]:
    found = path.stat()
    yield
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _overwrite(path: Path) -> None:
    """Change one bit in place."""
    with path.open("r+b") as stream:
        stream.seek(path.stat().st_size // 2)
        byte = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte[0] ^ 1]))


def _replace(path: Path) -> None:
    """Let another file of the same size take its place."""
    data = path.read_bytes()
    other = path.with_name("other")
    other.write_bytes(data[:-2] + bytes([data[-2] ^ 2]) + data[-1:])
    other.chmod(path.stat().st_mode)
    other.replace(path)


TAMPERING = {"bit": _overwrite, "file": _replace}


@pytest.mark.parametrize("how", TAMPERING)
def test_tampering_that_keeps_the_time(scene: Scene, how: str) -> None:
    """Of every file of a folder, at once after a run that remembered it."""
    for name in FILES:
        path = _place(scene, name)
        with _times_kept(path):
            TAMPERING[how](path)
        _noticed(scene, name)
        scene.forked.doit(scene.made).ok()


def test_every_file_that_is_missing(scene: Scene) -> None:
    for name in FILES:
        _place(scene, name).unlink()
        _noticed(scene, name)


@pytest.mark.parametrize("what", ["folder", "link", "link to nowhere", "loop", "pipe", "socket", "device"])
def test_something_else_in_the_place_of_a_file(scene: Scene, shelf: Path, what: str) -> None:
    """Even where it leads to the same bytes; nothing waits for it, and nothing is written through it."""
    if what == "device" and os.geteuid() != 0:
        pytest.skip("only root may make a device")
    for number, name in enumerate(("words", "words.spdx.json", "words.provenance.sigstore.json", "words.record.json")):
        path, elsewhere = _place(scene, name), shelf / f"elsewhere {number}"
        path.rename(elsewhere)
        data = elsewhere.read_bytes()
        _put(what, path, elsewhere)
        _noticed(scene, name)
        assert elsewhere.read_bytes() == data


def _put(what: str, path: Path, elsewhere: Path) -> None:
    match what:
        case "folder":
            (path / "inner").mkdir(parents=True)
        case "link":
            path.symlink_to(elsewhere)
        case "link to nowhere":
            path.symlink_to(elsewhere.with_name("nowhere"))
        case "loop":
            path.symlink_to(path.name)
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as found:
                found.bind(str(path))
        case "device":
            os.mknod(path, 0o20600, os.makedev(1, 3))  # /dev/null


@pytest.mark.parametrize(
    "gone",
    ["dist", "dist/command", "dist/command/words", *FOLDERS.values(), ".provenance", ".provenance/state.db", "out"],
)
def test_what_is_deleted(scene: Scene, gone: str) -> None:
    """As a whole or in part, what is announced makes it again; the state folder alone is no evidence that is lost."""
    before = scene.all_contents()
    path = scene.made.root / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    if gone == "out":
        assert set(scene.forked.plan(scene.made).values()) == {"fresh"}
        path.mkdir()
        for name in ("words", "count"):
            (path / name).touch()
    if gone.startswith(".provenance"):
        scene.forked.doit(scene.made, "verify").ok()
    else:
        assert (scene.forked.doit(scene.made, "verify").code == 0) == (gone == "out")
    scene.recovers()
    for id_, name in ((WORDS, "words"), (COUNT, "count")):
        assert scene.contents(id_)[name] == before[id_][name]


def test_links_of_folders(scene: Scene, shelf: Path) -> None:
    """The output and an inner folder of it may be links, to another disk for instance; an artifact's own may not."""
    for name in ("dist", "dist/command"):
        target = shelf / name.replace("/", "-")
        (scene.made.root / name).rename(target)
        (scene.made.root / name).symlink_to(target)
        scene.edit()
        assert set(scene.forked.plan(scene.made).values()) == {"build", "maybe"}
        scene.forked.doit(scene.made).ok()
        scene.forked.doit(scene.made, "verify").ok()
        assert (scene.made.root / name).is_symlink()
        assert set(scene.forked.plan(scene.made).values()) == {"fresh"}
    place = scene.made.root / FOLDERS[WORDS]
    place.rename(shelf / "own")
    place.symlink_to(shelf / "own")
    before = snapshot(shelf / "own")
    scene.edit()
    scene.forked.doit(scene.made).failed(1, "is in the way: it is not a folder", "hint: move it elsewhere")
    assert snapshot(shelf / "own") == before


@pytest.mark.parametrize("what", ["file", "link", "pipe", "link to nowhere"])
def test_something_else_in_the_place_of_the_state_folder(scene: Scene, shelf: Path, what: str) -> None:
    """Reading commands go on without; a run does too, or says what is in its way; nothing is written through a link."""
    state, elsewhere = scene.made.root / ".provenance", shelf / "elsewhere"
    state.rename(elsewhere)
    before = snapshot(elsewhere)
    if what == "file":
        state.write_text("of the user's\n")
    else:
        _put(what, state, elsewhere)
    for command in READERS:
        scene.forked.doit(scene.made, *command).ok()
    scene.forked.plan(scene.made)
    ran = scene.forked.doit(scene.made)
    assert ran.code in {0, 1}, ran.said
    if ran.code == 1:
        assert ".provenance" in ran.out
    if what == "link":
        assert {name: found for name, found in snapshot(elsewhere).items() if name.endswith(".db")} == {
            name: found for name, found in before.items() if name.endswith(".db")
        }
    state.unlink()
    elsewhere.rename(state)
    scene.recovers()


@pytest.mark.parametrize("file", ["lock", "state.db", "doit.db", "state.db-journal", "logs", "command", ".gitignore"])
@pytest.mark.parametrize("what", ["folder", "pipe", "loop", "link"])
def test_something_else_in_the_state_folder(scene: Scene, shelf: Path, file: str, what: str) -> None:
    """Nothing waits for it or is written through it; a run does without, or names it."""
    path, elsewhere = scene.made.root / ".provenance" / file, shelf / "elsewhere"
    if path.exists():
        path.rename(elsewhere)
    elif what == "link":
        elsewhere.write_text("of the user's\n")
    before = _files(elsewhere)
    _put(what, path, elsewhere)
    for command in READERS:
        scene.forked.doit(scene.made, *command).ok()
    scene.edit()
    scene.forked.plan(scene.made)
    ran = scene.forked.doit(scene.made)
    if ran.code:
        ran.failed(1, f".provenance/{file}")
    elif file not in {"logs", "command"}:
        assert _files(elsewhere) == before
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    elif what == "folder":
        shutil.rmtree(path)
    scene.forked.doit(scene.made).ok()
    scene.forked.doit(scene.made, "verify").ok()
    assert set(scene.forked.plan(scene.made).values()) == {"fresh"}


def _files(path: Path) -> object:
    return snapshot(path) if path.is_dir() else path.read_bytes() if path.is_file() else None


def test_loops_of_links(scene: Scene) -> None:
    """Among the sources, where a pattern goes deep, and in the output folder."""
    settings = scene.made.root / "provenance.toml"
    settings.write_text(
        settings.read_text().replace('"src/*.txt"', '"src/**/*.txt"').replace("cat src/*.txt", "cat src/a.txt")
    )
    for folder in ("src", "dist", FOLDERS[WORDS].rpartition("/")[0]):
        root = scene.made.root / folder
        (root / "self").symlink_to("self")
        (root / "self.txt").symlink_to("self.txt")
        (root / "up").symlink_to("..")
        (root / "here").symlink_to(".")
    scene.forked.doit(scene.made).ok()
    for command in READERS:
        scene.forked.doit(scene.made, *command).ok()
    assert set(scene.forked.plan(scene.made).values()) == {"fresh"}


@pytest.mark.parametrize("place", ["dist", ".provenance"])
def test_read_only(scene: Scene, place: str) -> None:
    """Reading commands work; a run with nothing to do says so; one with something to do says what is read-only."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a folder read-only")
    folder = str(scene.made.root / place)
    done = subprocess.run(["mount", "--bind", folder, folder], capture_output=True, check=False, text=True)
    if done.returncode != 0:
        pytest.skip(f"no folder can be mounted here: {done.stderr.strip()}")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        for command in READERS:
            scene.forked.doit(scene.made, *command).ok()
        assert set(scene.forked.plan(scene.made).values()) == {"fresh"}
        scene.forked.doit(scene.made).ok()
        before = scene.all_contents()
        scene.edit()
        scene.forked.doit(scene.made).failed(1, "Read-only file system", place)
        assert scene.all_contents() == before
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
    scene.recovers()


def _bits(data: bytes, chance: random.Random) -> bytes:
    at, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _zeros(data: bytes, chance: random.Random) -> bytes:
    """As after a power failure."""
    at = chance.randrange(len(data))
    return data[:at] + bytes(len(data) - at)


def _noise(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + chance.randbytes(chance.randrange(1, 64)) + data[at + 16 :]


def _twice(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + data


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (_bits, _bits, _cut, _zeros, _noise, _twice)


@pytest.mark.parametrize("seed", range(3))
def test_damage_at_random(scene: Scene, seed: int) -> None:
    """A few files at a time, of the evidence, the artifacts and the state; one run repairs all of it."""
    scene.is_state_whole = False
    chance = random.Random(seed)  # noqa: S311 - the same each time
    files = [
        *(f"{FOLDERS[id_]}/{name}" for id_ in FOLDERS for name in scene.contents(id_)),
        ".provenance/state.db",
        ".provenance/state.db",
        ".provenance/lock",
    ]
    for _ in range(10):
        hit = chance.sample(files, chance.choice((1, 1, 2, 5)))
        evidence = False
        for name in hit:
            path = scene.made.root / name
            data = path.read_bytes() or b"\0"
            damaged = chance.choice(MUTATIONS)(data, chance)
            path.write_bytes(damaged)
            evidence |= name.startswith("dist") and damaged != data
        ran = scene.forked.doit(scene.made, "verify")
        assert (ran.code != 0) == evidence, (hit, ran.said)
        assert scene.forked.doit(scene.made, *chance.choice(READERS)).code in {0, 1, 2}
        if evidence:
            assert set(scene.forked.plan(scene.made).values()) != {"fresh"}, hit
        scene.recovers()
