"""What a plan announces is what a run does, no more and no less, whatever somebody has done to the workspace before.

Hypothesis does it; `EXHAUSTIVE=1` in the environment lets it try 500 histories instead of 12.
"""

from __future__ import annotations

import copy
import io
import os
import random
import re
import shutil
import time
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doit_provenance.provenance.attest.bundle import Bundle
from doit_provenance.provenance.fs import lock
from doit_provenance.provenance.record import file_names
from doit_provenance.provenance.verify.trust import Trust, TrustedKey
from doit_provenance.provenance.verify.verifier import verify_folder
from doit_provenance.tasks import graph
from doit_provenance.tasks.commands.run import Run
from doit_provenance.tasks.freshness import evidence_check, freshness, inputs
from doit_provenance.tasks.freshness.answer import Action, Answer, Depends, Fresh, Stale
from doit_provenance.tasks.main import Loader, Main
from doit_provenance.tasks.pipeline import evidence, produce
from doit_provenance.tasks.pipeline.outcome import Done

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

UPSTREAM = {
    "leaf-green": (),
    "leaf-black": (),
    "water": (),
    "pot": ("leaf-green", "water"),
    "tea-hot": ("pot",),
    "tea-iced": ("pot", "leaf-black"),
    "mug": (),
}
NAMES = tuple(UPSTREAM)


def downstream(names: Iterable[str]) -> set[str]:
    """Return these artifacts and all that they go into."""
    found = set(names)
    while more := {n for n, ups in UPSTREAM.items() if set(ups) & found} - found:
        found |= more
    return found


@dataclass(kw_only=True)
class World:
    """The kitchen, and which artifacts may be stale for what was done since the last run.

    Attributes:
        touched: names; what is not among them, nor downstream of one, must be fresh.
        versions: how often the program was upgraded.
        spoiled: something was done to the state, so that a run may begin it anew in its midst and lose what it knew.
    """

    kitchen: Any
    monkeypatch: pytest.MonkeyPatch
    touched: set[str] = field(default_factory=set)
    versions: int = 0
    spoiled: bool = False

    def source(self, name: str, file: str = "main") -> Path:
        found: Path = self.kitchen.root / "src" / name / file
        return found


def prepare(kitchen: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    """Fill the workspace, and build everything."""
    kettle = kitchen.kettle
    kettle.names = list(NAMES)
    kettle.upstream = dict(UPSTREAM)
    kettle.measured = {n: (f"file:src/{n}/main", f"glob:src/{n}/*.herb", f"variable:WATER_{n}") for n in NAMES}
    kettle.settings = {n: {"sugar": "none"} for n in NAMES}
    for name in NAMES:
        (kitchen.root / "src" / name).mkdir(parents=True)
        (kitchen.root / "src" / name / "main").write_text(f"{name}\n")
    kitchen.run()
    return World(kitchen=kitchen, monkeypatch=monkeypatch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What somebody does; its representation is what a failing test shows."""

    called: str
    arguments: tuple[Any, ...]
    do: Any = field(repr=False)


def _write(world: World, name: str, text: str, *, keeps_time: bool) -> None:
    path = world.source(name)
    before = path.stat() if path.exists() else None
    path.write_text(text)
    if keeps_time and before is not None:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    world.touched.add(name)


def _touch(world: World, name: str, offset: int) -> None:
    with suppress(FileNotFoundError):
        os.utime(world.source(name), ns=(0, time.time_ns() + offset * 10**9))


def _remove(world: World, name: str) -> None:
    world.source(name).unlink(missing_ok=True)
    world.touched.add(name)


def _herb(world: World, name: str, herb: int) -> None:
    path = world.source(name, f"{herb}.herb")
    if path.exists():
        path.unlink()
    else:
        path.write_text(f"herb {herb}\n")
    world.touched.add(name)


def _stranger(world: World, name: str) -> None:
    world.source(name, "notes.txt").write_text("no input of anything\n")


def _set(world: World, name: str, sugar: str) -> None:
    world.kitchen.kettle.settings[name]["sugar"] = sugar
    world.touched.add(name)


def _vary(world: World, name: str, value: str) -> None:
    world.monkeypatch.setenv(f"WATER_{name}", value)
    world.touched.add(name)


def _tamper(world: World, name: str, seed: int, how: str) -> None:
    """Change one file of an artifact's folder; its time stays."""
    world.touched.add(name)
    place = world.kitchen.place(name)
    files = sorted(place.iterdir()) if place.is_dir() else []
    if not files:
        return
    path = files[seed % len(files)]
    if how == "add":
        (place / f"stranger-{seed}").write_text("boo")
    elif how == "delete" or not path.is_file() or path.is_symlink() or not path.stat().st_size:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    elif how == "link":
        path.rename(world.kitchen.root / "aside")
        path.symlink_to(world.kitchen.root / "aside")
    elif how == "swap":
        path.write_bytes(
            files[(seed + 1) % len(files)].read_bytes() if files[(seed + 1) % len(files)].is_file() else b""
        )
    else:
        before = path.stat()
        data = bytearray(path.read_bytes())
        if how == "flip":
            data[seed % len(data)] ^= 1 << seed % 8
        else:
            del data[seed % len(data) :]
        path.write_bytes(data)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _lose(world: World, name: str) -> None:
    shutil.rmtree(world.kitchen.place(name), ignore_errors=True)
    world.touched.add(name)


def _copy_over(world: World, name: str, other: str) -> None:
    place = world.kitchen.place(name)
    if other != name and world.kitchen.place(other).is_dir():
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(world.kitchen.place(other), place, symlinks=True)
    world.touched.add(name)


def _lose_all(world: World, what: str) -> None:
    shutil.rmtree(world.kitchen.root / what, ignore_errors=True)
    world.touched.update(NAMES)


def _spoil_state(world: World, seed: int) -> None:
    path = world.kitchen.database
    if path.is_file():
        data = bytearray(path.read_bytes())
        generator = random.Random(seed)  # noqa: S311 - no secret
        for _ in range(generator.choice((1, 8, 64))):
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        path.write_bytes(data)
    world.spoiled = True
    world.touched.update(NAMES)


def _new_secret(world: World) -> None:
    """Nothing is believed then, and all is found out to be as it was."""
    (world.kitchen.keys / "state.secret").write_bytes(os.urandom(32))


def _rotate(world: World, *, trust: bool) -> None:
    world.kitchen.rotate_key(trust_the_old=trust)
    world.touched.update(NAMES)


def _upgrade(world: World) -> None:
    world.versions += 1
    for module in (evidence, produce, freshness, evidence_check):
        world.monkeypatch.setattr(module, "VERSION", f"99.{world.versions}.0")
    world.touched.update(NAMES)


def _settle(world: World) -> None:
    """Let files be old enough for their times to be believed, as they mostly are."""
    world.monkeypatch.setattr(inputs, "_TICK", 0)


def deeds() -> st.SearchStrategy[Deed]:
    """Return what somebody may do, and how it is called where a test fails."""
    name = st.sampled_from(NAMES)
    text = st.sampled_from(["green\n", "# a comment\ngreen\n", "black\n", ""])
    seed = st.integers(0, 10_000)
    how = st.sampled_from(["flip", "flip", "truncate", "delete", "add", "link", "swap"])

    def of(called: str, do: Callable[..., object], *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Deed]:
        return st.builds(Deed, called=st.just(called), arguments=st.tuples(*arguments), do=st.just(do))

    return st.one_of(
        of("write", lambda w, n, t, k: _write(w, n, t, keeps_time=k), name, text, st.booleans()),
        of("touch", _touch, name, st.sampled_from([-1000, 0, 1000])),
        of("remove", _remove, name),
        of("herb", _herb, name, st.integers(0, 2)),
        of("stranger", _stranger, name),
        of("set", _set, name, st.sampled_from(["none", "one"])),
        of("vary", _vary, name, st.sampled_from(["soft", "hard"])),
        of("tamper", _tamper, name, seed, how),
        of("tamper", _tamper, name, seed, how),
        of("lose", _lose, name),
        of("copy over", _copy_over, name, name),
        of("lose all of", _lose_all, st.sampled_from(["dist", ".provenance"])),
        of("spoil state", _spoil_state, seed),
        of("new secret", _new_secret),
        of("rotate", lambda w, t: _rotate(w, trust=t), st.booleans()),
        of("upgrade", _upgrade),
        of("settle", _settle),
    )


def check_run(world: World, selected: tuple[str, ...], *, threads: int) -> None:
    """Plan, run, and compare; then see that nothing is left to do."""
    kitchen = world.kitchen
    kitchen.selected = selected
    announced = kitchen.plan()
    used = {n: dict(d) for n, d in kitchen.kettle.used.items()}
    before = {n: _folder(kitchen, n) for n in NAMES}
    outcomes = kitchen.run(threads=threads)
    assert outcomes.keys() == announced.keys()
    digests = {kitchen.id(n): str(o.digest) for n, o in outcomes.items()}
    for name, answer in announced.items():
        changed = {u for u, digest in used.get(name, {}).items() if digests[u] != digest}
        check_one(name, answer, Happened(done=outcomes[name].done, before=before[name], upstream=changed), world)
    for name in set(NAMES) - announced.keys():
        assert _folder(kitchen, name) == before[name], "nobody selected it"
    assert len(kitchen.called) == len(set(kitchen.called)), "each at most once"
    if world.spoiled:  # damage that nobody has met yet may cost more of it later
        kitchen.database.unlink()
        kitchen.run()
        world.spoiled = False
    assert {type(a) for a in kitchen.plan().values()} == {Fresh}
    trust = _trust(kitchen)
    for name in announced:
        assert verify_folder(kitchen.place(name), trust=trust).record.artifact == kitchen.id(name)
    world.touched = downstream(world.touched) - announced.keys()


@dataclass(frozen=True, kw_only=True)
class Happened:
    """What became of an artifact, how its folder looked before, and which of what goes into it has changed."""

    done: Done
    before: dict[str, tuple[Any, ...]]
    upstream: set[str]


def check_one(name: str, answer: Answer, happened: Happened, world: World) -> None:
    """Compare what was announced for one artifact with what happened."""
    kitchen, before = world.kitchen, happened.before
    after = _folder(kitchen, name)
    was_built = name in kitchen.called
    assert was_built == (happened.done in {Done.BUILT, Done.REBUILT})
    match answer:
        case Fresh():
            assert happened.done is Done.FRESH
        case Stale(action=Action.ATTEST):
            assert happened.done is Done.ATTESTED
            assert after != before
            assert after[name][-1] == before[name][-1], "the artifact's bytes stay"
            bundle = file_names(name).provenance_bundle
            assert _statement(after[bundle][-1]) == _statement(before[bundle][-1])
        case Stale():
            assert was_built
        case Depends(upstream=upstream):
            assert happened.upstream <= set(upstream)
            assert was_built == bool(happened.upstream)
    if happened.done is Done.FRESH:
        assert after == before, "not one byte, nor its time"
    assert after[name][-1] == kitchen.kettle.brew(name), "it is what a build makes now"
    if name not in downstream(world.touched):
        assert isinstance(answer, Fresh), "nothing that can change it was done"


def _folder(kitchen: Any, name: str) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = kitchen.everything(kitchen.place(name)) if kitchen.place(name).exists() else {}
    return found


def _statement(bundle: bytes) -> bytes:
    return Bundle.from_json(bundle).envelope.payload


def _provenance(kitchen: Any, name: str) -> bytes:
    return _statement((kitchen.place(name) / file_names(name).provenance_bundle).read_bytes())


def _is(answer: Answer, action: Action) -> bool:
    return isinstance(answer, Stale) and answer.action is action


def _trust(kitchen: Any) -> Trust:
    pem = (kitchen.keys / "key.pub").read_bytes()
    return Trust(keys=(TrustedKey.from_pem(pem, origin="the user's"),))


EXAMPLES = 500 if os.environ.get("EXHAUSTIVE") else 12


@settings(
    deadline=None,
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rounds=st.lists(
        st.tuples(
            st.lists(deeds(), min_size=1, max_size=4),
            st.one_of(st.just(()), st.lists(st.sampled_from(NAMES), min_size=1, max_size=2).map(tuple)),
            st.sampled_from([1, 1, 4]),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_is_announced_happens(rounds: list[tuple[list[Deed], tuple[str, ...], int]], new_kitchen: Any) -> None:
    with new_kitchen() as kitchen, pytest.MonkeyPatch.context() as patch:
        world = prepare(kitchen, patch)
        for done, selected, threads in rounds:
            for deed in done:
                deed.do(world, *deed.arguments)
            check_run(world, selected, threads=threads)


@settings(
    deadline=None,
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    done=st.lists(deeds(), max_size=2),
    selected=st.one_of(st.just(()), st.lists(st.sampled_from(NAMES), min_size=1, max_size=2).map(tuple)),
)
def test_a_run_ends_the_same_whether_doit_has_tasks_or_not(
    done: list[Deed], selected: tuple[str, ...], new_kitchen: Any
) -> None:
    """A run looks for itself whether there is anything to do: output, exit code and answers are as if doit had."""
    with new_kitchen() as kitchen, pytest.MonkeyPatch.context() as patch:
        world = prepare(kitchen, patch)
        for deed in done:
            deed.do(world, *deed.arguments)
        is_fresh = {type(a) for a in _announced(kitchen, selected).values()} == {Fresh}
        before = [(folder, folder.with_name(f"{folder.name} before")) for folder in (kitchen.root, kitchen.keys)]
        for folder, kept in before:
            shutil.copytree(folder, kept, symlinks=True)
        used, ended = copy.deepcopy(kitchen.kettle.used), []
        for has_tasks in (False, True):
            for folder, kept in before:
                shutil.rmtree(folder)
                shutil.copytree(kept, folder, symlinks=True)
            os.chdir(kitchen.root)
            kitchen.kettle.used = copy.deepcopy(used)
            ended.append(_command(kitchen, selected, has_tasks=has_tasks))
        assert ended[0] == ended[1]
        assert (f"{len(ended[0][-1])} artifacts are fresh" in ended[0][1]) == (is_fresh and len(ended[0][-1]) > 1)


def _announced(kitchen: Any, selected: tuple[str, ...]) -> dict[str, Answer]:
    kitchen.selected = selected
    found: dict[str, Answer] = kitchen.plan()
    return found


def _command(kitchen: Any, selected: tuple[str, ...], *, has_tasks: bool) -> tuple[object, ...]:
    """Run `doit-provenance NAMES`; return code, output, errors, what was built, and the names of what was selected."""
    kitchen.kettle.calls.clear()
    out, err = io.StringIO(), io.StringIO()
    (outfile,) = (option for option in Run.cmd_options if option["name"] == "outfile")
    builder = type(kitchen.session(runs=False).builders["kettle"])
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(err):
        patch.setattr(graph, "BUILDERS", (lambda _context: builder(kitchen.kettle),))
        patch.setattr(lock, "leave", lambda _folder: None)  # as it is not taken here
        patch.setitem(outfile, "default", out)
        if has_tasks:
            patch.setattr(Run, "_source", lambda *_: None)
        code = Main(Loader(), config_filenames=()).run([kitchen.id(name) for name in selected])
    names = kitchen.ids(kitchen.session(runs=False))
    times = re.compile(r"\d+\.\d+ s|\"(seconds|timestamp)\": [^,}]+")
    return code, times.sub("", out.getvalue()), times.sub("", err.getvalue()), kitchen.called, tuple(names)


@pytest.mark.parametrize("seed", range(8))
def test_flipped_bits_of_any_file_are_never_fresh_and_one_run_repairs_all(kitchen: Any, seed: int) -> None:
    """A bit or more in one file of each of many artifacts: record, bundles, inventory, SBOMs, the artifact itself."""
    kettle = kitchen.kettle
    kettle.names = [f"cup-{i}" for i in range(24)]
    kitchen.run()
    generator = random.Random(seed)  # noqa: S311 - no secret: to be the same again
    provenance = {n: _provenance(kitchen, n) for n in kettle.names}
    flipped = {}
    for number, name in enumerate(kettle.names):
        files = sorted(kitchen.place(name).iterdir())
        path = files[(number + seed) % len(files)]
        data = bytearray(path.read_bytes())
        for _ in range(generator.choice((1, 1, 1, 2, 16))):
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        before = path.stat()
        flipped[name] = path.name if data != path.read_bytes() else None
        path.write_bytes(data)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    announced = kitchen.plan()
    for name, answer in announced.items():
        assert isinstance(answer, Fresh) == (flipped[name] is None), flipped[name]
    outcomes = kitchen.run()
    assert set(kitchen.called) == {n for n, a in announced.items() if _is(a, Action.BUILD)}
    for name, outcome in outcomes.items():
        verified = verify_folder(kitchen.place(name), trust=_trust(kitchen))
        assert verified.digest == outcome.digest
        assert (kitchen.place(name) / name).read_bytes() == kettle.brew(name)
        if flipped[name] != file_names(name).provenance_bundle:
            assert _provenance(kitchen, name) == provenance[name]
    assert {type(a) for a in kitchen.plan().values()} == {Fresh}
