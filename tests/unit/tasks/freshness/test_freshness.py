"""Each reason why an artifact is not fresh: provoked, announced, and done; and what nobody is fooled by."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.attest.bundle import Bundle
from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import ToolError
from doit_provenance.provenance.record import Record, file_names
from doit_provenance.provenance.sign.key import load_or_create
from doit_provenance.provenance.sign.passphrase import PassphraseSource
from doit_provenance.provenance.verify.trust import Trust, TrustedKey
from doit_provenance.provenance.verify.verifier import verify_folder
from doit_provenance.tasks.freshness import evidence_check, freshness, inputs, remembered
from doit_provenance.tasks.freshness.answer import Action, Code, Fresh, Stale
from doit_provenance.tasks.pipeline import evidence, produce
from doit_provenance.tasks.pipeline.outcome import Done

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = file_names("tea")
EVERYTHING = (NAMES.artifact, *NAMES.evidence, NAMES.record)
BUNDLES = {NAMES.provenance_bundle, NAMES.spdx_bundle, NAMES.cyclonedx_bundle}
SBOMS = {NAMES.spdx, NAMES.cyclonedx}
HOUR = 3_600_000_000_000


@pytest.fixture
def served(kitchen: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a kitchen where `tea`, of inputs of every kind, and `mug` beside it are made and settled."""
    kettle = kitchen.kettle
    kettle.names = ["tea", "mug", "milk"]
    kettle.upstream = {"tea": ("milk",)}
    kettle.settings = {"tea": {"sugar": "one"}}
    kettle.measured = {
        "tea": ("file:src/leaf", "file:src/none", "glob:src/herbs/*", "folder:src/pots", "variable:WATER"),
        "milk": ("file:src/cow",),
    }
    for path in ("leaf", "herbs/mint", "herbs/sage", "pots/iron", "cow"):
        file = kitchen.root / "src" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{path}\n")
    monkeypatch.setenv("WATER", "soft")
    kitchen.run()
    _settle(kitchen)
    assert {type(answer) for answer in kitchen.plan().values()} == {Fresh}
    kitchen.run()  # which remembers that all times are old enough now
    return kitchen


def _settle(kitchen: Any) -> None:
    """Wait until no file is so new that its times prove nothing."""
    newest = max(p.lstat().st_ctime_ns for p in kitchen.root.rglob("*"))
    while time.time_ns() <= newest + 2 * inputs._TICK:
        time.sleep(0.005)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What somebody does, what is announced for that, and which files of the folder it changes in the end."""

    do: Callable[[Any], object]
    reasons: tuple[tuple[Code, str], ...]
    action: Action = Action.BUILD
    changed: frozenset[str] = frozenset()
    done: Done = Done.REBUILT


def _src(name: str, text: str) -> Callable[[Any], object]:
    return lambda kitchen: (kitchen.root / "src" / name).write_text(text)


def _unlink(name: str) -> Callable[[Any], object]:
    return lambda kitchen: (kitchen.place("tea") / name).unlink()


def _spoil(name: str) -> Callable[[Any], object]:
    return lambda kitchen: flip(kitchen.place("tea") / name)


def flip(path: Path) -> None:
    """Change one bit of a file, and keep its times."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _lose_lists(kitchen: Any) -> None:
    with sqlite3.connect(kitchen.database) as database:
        database.execute("delete from memory")
        database.execute("delete from inputs where cast(list as text) like '%artifact:kettle:milk%'")
    database.close()


RECORD = frozenset({NAMES.record})
ALL = frozenset(EVERYTHING)
CASES = {
    "the folder is gone": Case(
        do=lambda kitchen: shutil.rmtree(kitchen.place("tea")),
        reasons=((Code.NEVER_BUILT, ""),),
        changed=BUNDLES | RECORD,
        done=Done.BUILT,
    ),
    "the folder is empty": Case(
        do=lambda kitchen: [p.unlink() for p in kitchen.place("tea").iterdir()],
        reasons=((Code.NEVER_BUILT, ""),),
        changed=BUNDLES | RECORD,
        done=Done.BUILT,
    ),
    "a file that goes in is edited": Case(
        do=_src("leaf", "green\n"), reasons=((Code.INPUT_CHANGED, "src/leaf"),), changed=ALL, done=Done.BUILT
    ),
    "a file that goes in gets another comment": Case(
        do=_src("leaf", "# of India\nleaf\n"), reasons=((Code.INPUT_CHANGED, "src/leaf"),), changed=RECORD
    ),
    "a file appears where none was": Case(
        do=_src("none", "# nothing\n"), reasons=((Code.INPUT_ADDED, "src/none"),), changed=RECORD
    ),
    "a file appears that a pattern matches": Case(
        do=_src("herbs/thyme", ""), reasons=((Code.INPUT_ADDED, "src/herbs/thyme"),), changed=ALL, done=Done.BUILT
    ),
    "a file appears in a folder": Case(
        do=_src("pots/glass", ""), reasons=((Code.INPUT_ADDED, "src/pots/glass"),), changed=ALL, done=Done.BUILT
    ),
    "a file that goes in is removed": Case(
        do=lambda kitchen: (kitchen.root / "src" / "leaf").unlink(),
        reasons=((Code.INPUT_REMOVED, "src/leaf"),),
        changed=ALL,
        done=Done.BUILT,
    ),
    "a file that a pattern matched is removed": Case(
        do=lambda kitchen: (kitchen.root / "src" / "herbs" / "sage").unlink(),
        reasons=((Code.INPUT_REMOVED, "src/herbs/*"), (Code.INPUT_REMOVED, "src/herbs/sage")),
        changed=ALL,
        done=Done.BUILT,
    ),
    "a variable is changed": Case(
        do=lambda _: os.environ.update(WATER="hard"), reasons=((Code.VARIABLE_CHANGED, "WATER"),), changed=RECORD
    ),
    "a variable is unset": Case(
        do=lambda _: os.environ.pop("WATER"), reasons=((Code.VARIABLE_CHANGED, "WATER"),), changed=RECORD
    ),
    "a setting is changed": Case(
        do=lambda kitchen: kitchen.kettle.settings["tea"].update(sugar="two"),
        reasons=((Code.SETTING_CHANGED, "sugar"),),
        changed=ALL,
        done=Done.BUILT,
    ),
    "a setting is new": Case(
        do=lambda kitchen: kitchen.kettle.settings["tea"].update(lemon="one"),
        reasons=((Code.SETTING_CHANGED, "lemon"),),
        changed=ALL,
        done=Done.BUILT,
    ),
    "a setting is gone": Case(
        do=lambda kitchen: kitchen.kettle.settings["tea"].clear(),
        reasons=((Code.SETTING_CHANGED, "sugar"),),
        changed=ALL,
        done=Done.BUILT,
    ),
    "the list of inputs is lost": Case(
        do=_lose_lists, reasons=((Code.INPUTS_UNKNOWN, "sha256:"),), changed=frozenset(), done=Done.REBUILT
    ),
    "the artifact is gone": Case(do=_unlink("tea"), reasons=((Code.ARTIFACT_MISSING, "tea"),)),
    "the artifact is changed": Case(do=_spoil("tea"), reasons=((Code.ARTIFACT_CHANGED, "tea: sha256:"),)),
    # An ECDSA signature is never the same twice: where a seal is lost, the record changes in nothing else.
    "the record is gone": Case(do=_unlink(NAMES.record), reasons=((Code.RECORD_MISSING, ""),), changed=RECORD),
    "the record is changed": Case(do=_spoil(NAMES.record), reasons=((Code.RECORD_INVALID, ""),), changed=RECORD),
    "there are two records": Case(
        do=lambda kitchen: shutil.copy(kitchen.place("tea") / NAMES.record, kitchen.place("tea") / "mug.record.json"),
        reasons=((Code.RECORD_INVALID, "there are several"),),
        changed=RECORD,
    ),
    "the inventory is gone": Case(do=_unlink(NAMES.inventory), reasons=((Code.INVENTORY_MISSING, NAMES.inventory),)),
    "the inventory is changed": Case(do=_spoil(NAMES.inventory), reasons=((Code.INVENTORY_CHANGED, NAMES.inventory),)),
    "the provenance is gone": Case(
        do=_unlink(NAMES.provenance_bundle),
        reasons=((Code.PROVENANCE_MISSING, NAMES.provenance_bundle),),
        changed=RECORD | {NAMES.provenance_bundle},
        done=Done.BUILT,
    ),
    "the provenance is changed": Case(
        do=_spoil(NAMES.provenance_bundle),
        reasons=((Code.PROVENANCE_INVALID, NAMES.provenance_bundle),),
        changed=RECORD | {NAMES.provenance_bundle},
        done=Done.BUILT,
    ),
    **{
        f"{name} is gone": Case(
            do=_unlink(name),
            reasons=((Code.EVIDENCE_MISSING, name),),
            action=Action.ATTEST,
            changed=RECORD | {name} if name in BUNDLES else frozenset(),
            done=Done.ATTESTED,
        )
        for name in sorted((BUNDLES | SBOMS) - {NAMES.provenance_bundle})
    },
    **{
        f"{name} is changed": Case(
            do=_spoil(name),
            reasons=((Code.EVIDENCE_CHANGED, name),),
            action=Action.ATTEST,
            changed=RECORD | {name} if name in BUNDLES else frozenset(),
            done=Done.ATTESTED,
        )
        for name in sorted((BUNDLES | SBOMS) - {NAMES.provenance_bundle})
    },
    "a stranger's file lies there": Case(
        do=lambda kitchen: (kitchen.place("tea") / "stranger").touch(),
        reasons=((Code.FILE_UNACCOUNTED, "stranger"),),
        action=Action.ATTEST,
        done=Done.ATTESTED,
    ),
    "a folder lies there": Case(
        do=lambda kitchen: (kitchen.place("tea") / "stranger").mkdir(),
        reasons=((Code.FILE_UNACCOUNTED, "stranger"),),
        action=Action.ATTEST,
        done=Done.ATTESTED,
    ),
    "all but artifact, inventory, provenance and record is gone": Case(
        do=lambda kitchen: [
            (kitchen.place("tea") / n).unlink()
            for n in (NAMES.spdx, NAMES.cyclonedx, NAMES.spdx_bundle, NAMES.cyclonedx_bundle)
        ],
        reasons=tuple(
            (Code.EVIDENCE_MISSING, n) for n in (NAMES.spdx, NAMES.cyclonedx, NAMES.spdx_bundle, NAMES.cyclonedx_bundle)
        ),
        action=Action.ATTEST,
        changed=RECORD | {NAMES.spdx_bundle, NAMES.cyclonedx_bundle},
        done=Done.ATTESTED,
    ),
    "the key is another, and the old one is trusted": Case(
        do=lambda kitchen: kitchen.rotate_key(trust_the_old=True),
        reasons=((Code.SIGNER_CHANGED, ""),),
        action=Action.ATTEST,
        changed=BUNDLES | RECORD,
        done=Done.ATTESTED,
    ),
    "the key is another, and the old one is not trusted": Case(
        do=lambda kitchen: kitchen.rotate_key(trust_the_old=False),
        reasons=((Code.RECORD_INVALID, "record signed with a key that is not trusted"),),
        changed=BUNDLES | RECORD,
        done=Done.BUILT,
    ),
    "the key is lost": Case(
        do=lambda kitchen: [p.unlink() for p in kitchen.keys.glob("key.*")],
        reasons=((Code.PROVENANCE_INVALID, "there is no key to verify with"),),
        changed=BUNDLES | RECORD,
        done=Done.BUILT,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_announced_is_what_happens(served: Any, name: str) -> None:
    """And nothing else: `mug` has to do with nothing of it but the keys."""
    case = CASES[name]
    before, beside = served.files("tea"), served.everything(served.place("mug"))
    case.do(served)
    announced = served.plan()
    assert isinstance(announced["mug"], Fresh) == ("key" not in name)
    answer = announced["tea"]
    assert isinstance(answer, Stale)
    assert answer.action is case.action
    assert (answer.digest is None) == (case.action is Action.BUILD)
    assert len(answer.reasons) == len(case.reasons), answer.reasons
    for reason, (code, detail) in zip(answer.reasons, case.reasons, strict=True):
        assert (reason.code, reason.detail[: len(detail)]) == (code, detail)
    outcome = served.run()["tea"]
    assert ("tea" in served.called) == (case.action is Action.BUILD)
    assert outcome.done is case.done
    after = served.files("tea")
    assert {n for n in before.keys() | after.keys() if before.get(n) != after.get(n)} == case.changed
    assert case.changed & set(NAMES.evidence) <= set(outcome.made)
    assert (served.everything(served.place("mug")) == beside) == ("key" not in name)
    assert {type(a) for a in served.plan().values()} == {Fresh}
    assert {o.done for o in served.run().values()} == {Done.FRESH}
    assert served.called == []


def test_cases_have_every_code() -> None:
    """A code that is missing here has a test of its own below, or in `test_session`."""
    others = {
        Code.FORCED,  # `doit plan -a` and `doit run -a` say it, not freshness
        Code.TOOL_CHANGED,
        Code.RESOLUTION_CHANGED,
        Code.UPSTREAM_CHANGED,
        Code.GENERATOR_CHANGED,
    }
    assert {code for case in CASES.values() for code, _ in case.reasons} == set(Code) - others


@pytest.mark.parametrize(("kind", "code"), [("tool", Code.TOOL_CHANGED), ("resolution", Code.RESOLUTION_CHANGED)])
def test_what_only_the_builder_knows(kitchen: Any, monkeypatch: pytest.MonkeyPatch, kind: str, code: Code) -> None:
    builder: Any = type(kitchen.session(runs=False).judge.builders["kettle"])
    declare = builder.declare

    def with_kind(self: Any, artifact: Any) -> Any:
        declared = declare(self, artifact)
        return replace(declared, values={f"{kind}:kettle": self.kettle.inputs["src/main.tea"]})

    monkeypatch.setattr(builder, "declare", with_kind)
    kitchen.run()
    assert isinstance(kitchen.plan()["tea"], Fresh)
    kitchen.kettle.inputs["src/main.tea"] = "b" * 64
    answer = kitchen.plan()["tea"]
    assert [(r.code, r.detail) for r in answer.reasons] == [(code, "kettle")]
    assert kitchen.run()["tea"].done is Done.REBUILT
    assert isinstance(kitchen.plan()["tea"], Fresh)


def test_other_upstream_bytes(served: Any) -> None:
    (served.root / "src" / "cow").write_text("fat\n")
    served.selected = ("milk",)
    served.run()
    served.selected = ()
    answer = served.plan()["tea"]
    assert [(r.code, r.detail) for r in answer.reasons] == [(Code.UPSTREAM_CHANGED, served.id("milk"))]
    assert served.run()["tea"].done is Done.BUILT
    assert served.called == ["tea"]


def test_newer_version_attests_again(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = served.files("tea")
    for module in (evidence, produce, freshness, evidence_check):
        monkeypatch.setattr(module, "VERSION", "99.0.0")
    for answer in served.plan().values():
        assert answer.action is Action.ATTEST
        assert [(r.code, r.detail) for r in answer.reasons] == [(Code.GENERATOR_CHANGED, "0.1.0 → 99.0.0")]
    assert {o.done for o in served.run().values()} == {Done.ATTESTED}
    assert served.called == []
    after = served.files("tea")
    assert {n for n in before if before[n] == after[n]} == {"tea", NAMES.provenance_bundle}
    assert {type(a) for a in served.plan().values()} == {Fresh}


def test_rotated_key_signs_the_same_statements(served: Any) -> None:
    before = {n: Bundle.from_json(served.files("tea")[n]) for n in BUNDLES}
    served.rotate_key(trust_the_old=True)
    served.run()
    after = {n: Bundle.from_json(served.files("tea")[n]) for n in BUNDLES}
    for name in BUNDLES:
        assert after[name].envelope.payload == before[name].envelope.payload
        assert after[name].material != before[name].material
    (served.root / "provenance.toml").unlink()
    assert {type(a) for a in served.plan().values()} == {Fresh}, "nothing needs the old key any more"


def test_what_ci_has_built_is_never_signed_here(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The team trusts CI's key, so its folders are fresh here as they are, and never ours."""
    monkeypatch.setenv("CI", "true")
    shutil.rmtree(served.root / "dist")
    served.run()
    built = served.everything(served.root / "dist")
    monkeypatch.delenv("CI")
    served.rotate_key(trust_the_old=True)
    assert {type(a) for a in served.plan().values()} == {Fresh}
    assert {o.done for o in served.run().values()} == {Done.FRESH}
    assert served.everything(served.root / "dist") == built
    (served.place("tea") / NAMES.spdx).unlink()
    provenance = served.files("tea")[NAMES.provenance_bundle]
    assert served.run()["tea"].done is Done.ATTESTED
    assert served.files("tea")[NAMES.provenance_bundle] == provenance
    assert {type(a) for a in served.plan().values()} == {Fresh}


@pytest.mark.parametrize("how", ["flipped", "replaced", "truncated", "linked", "piped", "a folder"])
def test_tampering_that_keeps_the_time_is_seen(served: Any, how: str) -> None:
    """Of every single file, and made good by one run."""
    before = served.files("tea")
    for name in EVERYTHING:
        path = served.place("tea") / name
        times = path.stat()
        _tamper(path, how)
        if how in {"flipped", "replaced", "truncated"}:
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert isinstance(served.plan()["tea"], Stale), name
        served.run()
        after = served.files("tea")
        assert after["tea"] == before["tea"]
        assert after.keys() == before.keys()
        assert verify_folder(served.place("tea"), trust=_trust(served)).record.artifact == served.id("tea")
        assert isinstance(served.plan()["tea"], Fresh), name


def _tamper(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "flipped":
        flip(path)
    elif how == "replaced":  # another inode, of the same size
        other = path.with_name("other")
        other.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        other.replace(path)
    elif how == "truncated":
        os.truncate(path, len(data) - 1)
    else:
        path.unlink()
        if how == "linked":
            (path.parents[4] / f"copy of {path.name}").write_bytes(data)
            path.symlink_to(path.parents[4] / f"copy of {path.name}")
        elif how == "piped":
            os.mkfifo(path)
        else:
            path.mkdir()


def _trust(kitchen: Any) -> Trust:
    pem = (kitchen.keys / "key.pub").read_bytes()
    return Trust(keys=(TrustedKey.from_pem(pem, origin="the user's"),))


@pytest.mark.parametrize("name", EVERYTHING)
def test_touched_files_are_read_once_and_known_again(served: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(served.place("tea") / name)
    os.utime(served.root / "src" / "leaf")
    _settle(served)
    assert {o.done for o in served.run().values()} == {Done.FRESH}
    assert _bytes_read(served, monkeypatch) == []


def test_nothing_is_read_where_nothing_changed(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _bytes_read(served, monkeypatch) == []


def _bytes_read(kitchen: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what a run reads of the workspace, configuration and state aside."""
    read: list[str] = []
    digest = inputs.hashlib.file_digest  # type: ignore[attr-defined] # the module's import
    monkeypatch.setattr(inputs.hashlib, "file_digest", lambda f, a: read.append(str(f.name)) or digest(f, a))  # type: ignore[attr-defined, func-returns-value]
    monkeypatch.setattr(evidence_check, "inspect", lambda *_: pytest.fail("a folder was inspected"))
    assert {o.done for o in kitchen.run().values()} == {Done.FRESH}
    monkeypatch.undo()
    return read


def test_file_replaced_within_one_tick_of_the_clock_is_seen(kitchen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's clock for files is coarse: two writes may get one time. What is that new is never trusted."""
    kettle = kitchen.kettle
    kettle.measured = {"tea": ("file:leaf",)}
    (kitchen.root / "leaf").write_text("green\n")
    frozen = {"size": 6, "time": time.time_ns() + HOUR}  # so both writes are racy, whenever they happen
    monkeypatch.setattr(
        inputs, "signature_of", lambda found: (found.st_size, frozen["time"], frozen["time"], frozen["size"])
    )
    kitchen.run()
    kitchen.run()
    assert isinstance(kitchen.plan()["tea"], Fresh)
    (kitchen.root / "leaf").write_text("black\n")
    assert [r.code for r in kitchen.plan()["tea"].reasons] == [Code.INPUT_CHANGED]
    assert kitchen.run()["tea"].done is Done.BUILT


def test_output_replaced_within_one_tick_of_the_clock_is_seen(kitchen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time_ns() + HOUR
    monkeypatch.setattr(remembered, "signature_of", lambda found: (found.st_size, later, later, 1))
    kitchen.run()
    kitchen.run()
    assert isinstance(kitchen.plan()["tea"], Fresh)
    (kitchen.place("tea") / "tea").write_bytes(b"bad")
    assert [r.code for r in kitchen.plan()["tea"].reasons] == [Code.ARTIFACT_CHANGED]


def test_times_that_once_were_racy_are_believed_when_they_are_old(
    kitchen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kitchen.run()
    _settle(kitchen)
    kitchen.run()
    assert _bytes_read(kitchen, monkeypatch) == []


@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_clock_that_jumps_fools_nobody(served: Any, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Back: files of the future are read each time. Forth: all is old, and known by what it was."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + step)
    for path in (served.root / "src" / "leaf", served.root / "src" / "cow"):
        path.write_text("bitter\n")
        assert {n for n, a in served.plan().items() if isinstance(a, Fresh)} < {"tea", "mug", "milk"}
        served.run()
        assert {type(a) for a in served.plan().values()} == {Fresh}
    flip(served.place("tea") / "tea")
    assert [r.code for r in served.plan()["tea"].reasons] == [Code.ARTIFACT_CHANGED]
    served.run()
    assert served.files("tea")["tea"] == served.kettle.brew("tea")


def _forge(kitchen: Any, **changes: Any) -> None:
    path = kitchen.place("tea") / NAMES.record
    path.write_bytes(replace(Record.from_json(path.read_bytes()), **changes).to_json())


@pytest.mark.parametrize("field", ["inputs", "generator", "evidence", "digest", "artifact", "file"])
@pytest.mark.parametrize("seal", ["old", "none", "stranger's"])
def test_record_that_lies_is_never_fresh_and_never_attested(served: Any, tmp_path: Path, field: str, seal: str) -> None:
    """Only who has a trusted key can say of which inputs these bytes are."""
    record = Record.from_json(served.files("tea")[NAMES.record])
    lies: dict[str, Any] = {
        "inputs": "f" * 64,
        "generator": "0.0.1",
        "evidence": {**record.evidence, NAMES.spdx: "f" * 64},
        "digest": digest_bytes(b"evil"),
        "artifact": served.id("mug"),
        "file": "mug",
    }
    forged = replace(record, **{field: lies[field]}, seal=record.seal if seal == "old" else None)
    if seal == "stranger's":
        nobody = PassphraseSource(environ={}, prompt=None)
        forged = load_or_create(tmp_path / "s" / "key.pem", nobody, workspace=None, environ={}).sign_record(forged)
    (served.place("tea") / NAMES.record).write_bytes(forged.to_json())
    answer = served.plan()["tea"]
    assert isinstance(answer, Stale)
    assert answer.action is Action.BUILD
    assert [r.code for r in answer.reasons] == [Code.RECORD_INVALID]
    served.run()
    assert "tea" in served.called
    assert isinstance(served.plan()["tea"], Fresh)


def test_inputs_of_a_forger_make_nothing_fresh(served: Any) -> None:
    """The record names the inputs of now, and the state even has their list; the seal is of another record."""
    (served.root / "src" / "leaf").write_text("green\n")
    before = served.files("tea")
    served.run()
    honest = Record.from_json(served.files("tea")[NAMES.record])
    for name, data in before.items():
        (served.place("tea") / name).write_bytes(data)
    assert isinstance(served.plan()["tea"], Stale), "older bytes, and what they were made of is not what is there"
    _forge(served, inputs=honest.inputs)
    answer = served.plan()["tea"]
    assert isinstance(answer, Stale)
    assert [r.code for r in answer.reasons] == [Code.RECORD_INVALID]


@pytest.mark.parametrize("state", ["with its state", "alone"])
def test_older_folder_that_is_put_back_is_stale_for_its_inputs(served: Any, tmp_path: Path, state: str) -> None:
    """All in it is genuine, and says of which inputs it is."""
    for name in ("dist", ".provenance"):
        shutil.copytree(served.root / name, tmp_path / "old" / name)
    (served.root / "src" / "leaf").write_text("green\n")
    served.run()
    new = served.files("tea")
    for name in ("dist", ".provenance") if state == "with its state" else ("dist",):
        shutil.rmtree(served.root / name)
        shutil.copytree(tmp_path / "old" / name, served.root / name)
    answer = served.plan()["tea"]
    assert isinstance(answer, Stale)
    assert [(r.code, r.detail) for r in answer.reasons] == [(Code.INPUT_CHANGED, "src/leaf")]
    assert served.run()["tea"].done is Done.BUILT
    assert served.files("tea")["tea"] == new["tea"]
    (served.root / "src" / "leaf").write_text("leaf\n")
    shutil.rmtree(served.root / "dist")
    shutil.copytree(tmp_path / "old" / "dist", served.root / "dist")
    assert isinstance(served.plan()["tea"], Fresh), "of the very inputs that are there"


def test_folder_of_another_artifact_is_not_this_ones(served: Any) -> None:
    """Each of its files verifies."""
    shutil.rmtree(served.place("tea"))
    shutil.copytree(served.place("mug"), served.place("tea"))
    answer = served.plan()["tea"]
    assert [(r.code, r.detail) for r in answer.reasons] == [(Code.RECORD_INVALID, "it is of another artifact")]
    served.run()
    assert set(served.files("tea")) == set(EVERYTHING)


def test_folder_of_the_same_artifact_elsewhere_is_judged_by_its_inputs(served: Any) -> None:
    """Two workspaces of one user with one id: only the inputs tell them apart, and they do."""
    here = served.files("tea")
    (served.root / "src" / "leaf").write_text("elsewhere\n")
    served.run()
    there = served.files("tea")
    (served.root / "src" / "leaf").write_text("leaf\n")
    served.run()
    for name in EVERYTHING:
        (served.place("tea") / name).write_bytes(there[name])
    assert [r.code for r in served.plan()["tea"].reasons] == [Code.INPUT_CHANGED]
    served.run()
    assert served.files("tea")["tea"] == here["tea"]


def test_link_in_the_place_of_the_folder_is_followed_but_never_written_through(served: Any) -> None:
    """A genuine folder is one wherever it lies; a run that would replace it says what is in the way."""
    place = served.place("tea")
    place.rename(served.root / "moved")
    place.symlink_to(served.root / "moved")
    assert isinstance(served.plan()["tea"], Fresh)
    flip(served.root / "moved" / "tea")
    before = served.everything(served.root / "moved")
    assert isinstance(served.plan()["tea"], Stale)
    with pytest.raises(Exception, match="is in the way"):
        served.run()
    assert served.everything(served.root / "moved") == before


def test_input_that_can_not_be_read_is_an_error_that_names_it(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = os.stat

    def refuse(path: Any, *rest: Any, **more: Any) -> Any:
        if str(path).endswith("leaf"):
            raise PermissionError(13, "Permission denied")
        return stat(path, *rest, **more)

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(ToolError, match=r"an input can't be read: `.*src/leaf`: Permission denied"):
        served.session(runs=False).answers([served.id("tea")])


def test_loop_of_links_is_no_file(served: Any) -> None:
    leaf = served.root / "src" / "leaf"
    leaf.unlink()
    leaf.symlink_to("leaf")
    (served.root / "src" / "herbs" / "loop").symlink_to("..")
    with pytest.raises(ToolError, match=r"src/leaf`: Too many levels"):
        served.plan()
    leaf.unlink()
    leaf.write_text("leaf\n")
    assert isinstance(served.plan()["tea"], Fresh)
