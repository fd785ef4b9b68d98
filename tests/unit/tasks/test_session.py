"""One run: what is built with what, in which order, by how many threads; and what ends it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.attest.slsa import BuilderId
from doit_provenance.provenance.errors import BuildError, KeyFileError, StoreError, ToolError
from doit_provenance.provenance.fs import lock
from doit_provenance.provenance.verify.verifier import verify_folder
from doit_provenance.tasks.freshness.answer import Action, Code, Depends, Fresh, Stale
from doit_provenance.tasks.pipeline.outcome import Done

if TYPE_CHECKING:
    from doit_provenance.tasks.session import Session

PARTS = ["tea-hot", "tea-iced", "tea-sweet", "mug"]


@pytest.fixture
def session(kitchen: Any) -> Session:
    kitchen.kettle.names = list(PARTS)
    session: Session = kitchen.session(runs=True)
    session.selected = ()
    return session


def _select(session: Session, *names: str) -> None:
    session.selected = {i for i, artifact in session.artifacts.items() if artifact.name in names}


def _artifact(session: Session, name: str) -> Any:
    return session.artifacts[f"kettle:{name}@linux/amd64"]


def test_group_is_built_once_for_what_is_selected(session: Session, kettle: Any) -> None:
    _select(session, "tea-hot", "tea-sweet", "mug")
    for name in ("tea-sweet", "tea-hot", "mug"):
        session.make(_artifact(session, name))
    assert kettle.calls == [["tea-sweet", "tea-hot"], ["mug"]]
    assert {i.partition("@")[0] for i in session.outcomes} == {"kettle:tea-hot", "kettle:tea-sweet", "kettle:mug"}


def test_group_is_built_for_those_that_are_stale(kitchen: Any) -> None:
    kitchen.kettle.names = list(PARTS)
    kitchen.run()
    kitchen.kettle.settings = {"tea-hot": {"sugar": "a"}, "tea-sweet": {"sugar": "b"}}
    (kitchen.place("tea-iced") / "tea-iced.spdx.json").unlink()
    assert {n: o.done for n, o in kitchen.run().items()} == {
        "tea-hot": Done.REBUILT,
        "tea-iced": Done.ATTESTED,
        "tea-sweet": Done.REBUILT,
        "mug": Done.FRESH,
    }
    assert kitchen.kettle.calls == [["tea-hot", "tea-sweet"]]


def test_group_is_built_once_by_many_threads(session: Session, kettle: Any) -> None:
    _select(session, *PARTS)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(session.make, session.artifacts.values()))
    assert sorted(sorted(call) for call in kettle.calls) == [["mug"], ["tea-hot", "tea-iced", "tea-sweet"]]
    assert len(session.outcomes) == 4


def test_many_threads_come_to_the_same_as_one(kitchen: Any) -> None:
    """A chain, a diamond and groups, as `doit -n 4` runs them; and after it nothing is left to do."""
    kettle = kitchen.kettle
    kettle.names = [*(f"leaf-{i}" for i in range(6)), *(f"pot-{i}" for i in range(3)), "tray", "mug"]
    kettle.measured = {name: (f"file:src/{name}",) for name in kettle.names}
    kettle.upstream = {f"pot-{i}": (f"leaf-{i}", f"leaf-{i + 3}") for i in range(3)}
    kettle.upstream["tray"] = ("pot-0", "pot-1", "pot-2", "mug")
    (kitchen.root / "src").mkdir()
    for step in range(3):
        for i in range(step, 6, 2):
            (kitchen.root / "src" / f"leaf-{i}").write_text(f"{step} {i}\n")
        announced = kitchen.plan()
        outcomes = kitchen.run(threads=4)
        assert set(outcomes) == set(kettle.names)
        builds = {n for n, a in announced.items() if isinstance(a, Stale) and a.action is Action.BUILD}
        assert builds <= set(kitchen.called)
        assert len(kitchen.called) == len(set(kitchen.called)), "nothing is built twice"
        for name in kettle.names:
            assert (kitchen.place(name) / name).read_bytes() == kettle.brew(name)
        assert all(isinstance(answer, Fresh) for answer in kitchen.plan().values())


def test_upstream_of_the_same_group_is_built_before(kitchen: Any) -> None:
    """One call of the tool can't build what needs another's digest."""
    kettle = kitchen.kettle
    kettle.names, kettle.upstream = ["tea-tray", "tea-hot"], {"tea-tray": ("tea-hot",)}
    outcomes = kitchen.run()
    assert kettle.calls == [["tea-hot"], ["tea-tray"]]
    assert outcomes["tea-tray"].done is Done.BUILT
    assert kettle.used["tea-tray"] == {kitchen.id("tea-hot"): str(outcomes["tea-hot"].digest)}


def test_what_nobody_selected_is_built_when_it_is_asked_for(session: Session, kettle: Any) -> None:
    """Under a reporter of doit's own nothing is selected."""
    session.make(_artifact(session, "tea-hot"))
    session.make(_artifact(session, "tea-iced"))
    assert kettle.calls == [["tea-hot"], ["tea-iced"]]
    assert len(session.outcomes) == 2


def test_builder_is_told_when_an_artifact_is_done_with(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether its way ended well or not; else what a builder keeps for it would stay for ever."""
    builder: Any = session.judge.builders["kettle"]
    session.make(_artifact(session, "tea-hot"))
    monkeypatch.setattr(builder, "describe", _fails)
    with pytest.raises(ToolError):
        session.make(_artifact(session, "tea-iced"))
    assert builder.released == ["kettle:tea-hot@linux/amd64", "kettle:tea-iced@linux/amd64"]


def _fails(*_: object) -> None:
    raise ToolError("can't be described")


def test_failing_group_fails_for_each_member_and_is_tried_once(session: Session, kettle: Any) -> None:
    _select(session, *PARTS)
    kettle.building = BuildError("the kettle leaks")
    for name in ("tea-hot", "tea-iced", "tea-sweet"):
        with pytest.raises(BuildError, match="leaks"):
            session.make(_artifact(session, name))
    assert [sorted(call) for call in kettle.calls] == [["tea-hot", "tea-iced", "tea-sweet"]]
    kettle.building = None
    session.make(_artifact(session, "mug"))
    assert set(session.outcomes) == {"kettle:mug@linux/amd64"}


def test_what_failed_is_announced_again(kitchen: Any) -> None:
    kitchen.run()
    before = kitchen.everything(kitchen.place("tea"))
    kitchen.kettle.inputs["milk"] = "much"
    announced = kitchen.plan()
    kitchen.kettle.building = BuildError("the kettle leaks")
    with pytest.raises(BuildError, match="leaks"):
        kitchen.run()
    assert kitchen.everything(kitchen.place("tea")) == before
    assert kitchen.plan() == announced


def test_failing_discovery_is_remembered(kitchen: Any, builder: Any, kettle: Any) -> None:
    kettle.names = []
    session = kitchen.session(runs=False)
    kettle.discovery = ToolError("there is no kettle")
    with pytest.raises(ToolError, match="no kettle"):
        session.add(builder)
    assert session.failures == {"kettle": kettle.discovery}
    assert session.artifacts == {}


def test_missing_key_costs_no_build(session: Session, kettle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOIT_PROVENANCE_KEY", str(kettle.folder / "none" / "key.pem"))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(KeyFileError, match="none is created in CI"):
        session.make(_artifact(session, "mug"))
    assert kettle.calls == []


def test_key_of_a_home_that_is_nobodys_is_an_error_of_the_task(
    session: Session, kettle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For doit, whether something is fresh has no third answer: what is asked first must not fail."""
    monkeypatch.setenv("DOIT_PROVENANCE_KEY", "~nobody-has-this-name/key.pem")
    assert session.is_fresh(_artifact(session, "mug")) is False
    with pytest.raises(KeyFileError, match="unknown home folder"):
        session.make(_artifact(session, "mug"))
    assert kettle.calls == []


def test_key_that_can_not_be_read_is_an_error_of_the_task(kitchen: Any) -> None:
    kitchen.run()
    (kitchen.root / "provenance.toml").write_text('[signing]\npublic-keys = ["none.pub"]\n')
    session = kitchen.session(runs=True)
    assert session.is_fresh(_artifact(session, "tea")) is False
    with pytest.raises(Exception, match=r"none\.pub") as caught:
        session.make(_artifact(session, "tea"))
    assert type(caught.value).__name__ == "UnreadableError"
    with pytest.raises(Exception, match=r"none\.pub"):
        kitchen.plan()


def test_new_key_is_spoken_of_once(kitchen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = kitchen.keys / "none" / "key.pem"
    monkeypatch.setenv("DOIT_PROVENANCE_KEY", str(path))
    said: list[str] = []
    for _ in range(2):
        session = kitchen.session(runs=True)
        monkeypatch.setattr(session.context.progress, "notice", lambda _event, text, **_: said.append(text))
        session.make(_artifact(session, "tea"))
    assert said == [f"made a signing key: `{path}`; its public half, `{path.with_suffix('.pub')}`, is for others"]


@pytest.mark.parametrize(("ci", "expected"), [("true", BuilderId.CI), ("", BuilderId.LOCAL)])
def test_provenance_says_whether_it_was_ci(
    session: Session, signing: Any, monkeypatch: pytest.MonkeyPatch, ci: str, expected: BuilderId
) -> None:
    monkeypatch.setenv("CI", ci)
    session.make(_artifact(session, "mug"))
    found = verify_folder(session.workspace.output / _artifact(session, "mug").folder, trust=signing.trust)
    assert found.build.run_details.builder_id == expected


def test_state_folder_that_can_not_be_made_is_an_error_of_the_task(session: Session) -> None:
    (session.workspace.root / ".provenance").write_text("a file")
    assert session.is_fresh(_artifact(session, "mug")) is False
    with pytest.raises(StoreError, match=r"\.provenance"):
        session.make(_artifact(session, "mug"))


def test_workspace_that_can_not_be_locked_is_still_fresh(kitchen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a read-only filesystem a run finds that there is nothing to do, and fails only where there is."""
    kitchen.run()
    kitchen.kettle.names.append("mug")

    def refuse(*_: object, **__: object) -> None:
        raise StoreError("can't write: Read-only file system")

    monkeypatch.setattr(lock, "take", refuse)
    session = kitchen.session(runs=True)
    assert session.is_fresh(_artifact(session, "tea")) is True
    assert session.is_fresh(_artifact(session, "mug")) is False
    with pytest.raises(StoreError, match="Read-only"):
        session.make(_artifact(session, "mug"))


def test_lock_is_taken_before_anything_is_judged(kitchen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another run is still making would be announced stale, and be made twice."""
    kitchen.run()
    taken = lock.take
    kitchen.kettle.inputs["milk"] = "much"

    def wait(folder: Any, *, command: str, waiting: Any) -> bool:
        killed = taken(folder, command=command, waiting=waiting)
        kitchen.kettle.inputs.pop("milk")
        return killed

    monkeypatch.setattr(lock, "take", wait)
    assert kitchen.run()["tea"].done is Done.FRESH


@pytest.mark.parametrize("killed", [True, False])
def test_what_a_killed_run_left_is_removed(kitchen: Any, monkeypatch: pytest.MonkeyPatch, *, killed: bool) -> None:
    """Also where nothing is to be built; only after a kill, as to look for it takes time."""
    kitchen.run()
    left = kitchen.place("tea").with_name(f".staging-{kitchen.place('tea').name}-0123456789ab")
    left.mkdir()
    monkeypatch.setattr(lock, "take", lambda _folder, **_: killed)
    session = kitchen.session(runs=True)
    assert session.is_fresh(_artifact(session, "tea"))
    assert left.exists() != killed
    assert session.judge.builders["kettle"].released == ["kettle:tea@linux/amd64"] * killed


def test_run_that_has_begun_can_leave(kitchen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has not has nothing to say."""
    said: list[Any] = []
    monkeypatch.setattr(lock, "leave", said.append)
    session = kitchen.session(runs=True)
    session.leave()
    assert said == []
    session.is_fresh(_artifact(session, "tea"))
    session.leave()
    assert said == [session.workspace.state]


def test_who_is_waited_for_is_said(kitchen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, str]] = []
    holder = lock.Holder.this("doit run")
    monkeypatch.setattr(lock, "take", lambda folder, *, command, waiting: (folder.mkdir(), command, waiting(holder)))
    session = kitchen.session(runs=True)
    monkeypatch.setattr(session.context.progress, "notice", lambda event, text, **_: said.append((event, text)))
    session.is_fresh(_artifact(session, "tea"))
    assert said == [("lock.waiting", f"waiting for {holder} to end")]


def test_run_that_forces_builds_what_is_fresh(kitchen: Any) -> None:
    kitchen.kettle.names = list(PARTS)
    kitchen.run()
    before = {name: (kitchen.files(name), kitchen.place(name).stat().st_ino) for name in PARTS}
    assert {o.done for o in kitchen.run(always=True).values()} == {Done.REBUILT}
    assert kitchen.called == sorted(PARTS)
    after = {name: (kitchen.files(name), kitchen.place(name).stat().st_ino) for name in PARTS}
    assert after == before, "equal bytes of equal inputs: no folder was replaced"


def test_run_that_forces_builds_what_only_lacks_evidence(kitchen: Any) -> None:
    kitchen.run()
    (kitchen.place("tea") / "tea.spdx.json").unlink()
    assert kitchen.run(always=True)["tea"].done is Done.REBUILT
    assert kitchen.called == ["tea"]
    assert isinstance(kitchen.plan()["tea"], Fresh)


def test_what_is_announced_stands_whatever_changes_while_it_runs(kitchen: Any) -> None:
    """All is judged at once; an edit during a run is for the next one."""
    kettle = kitchen.kettle
    kettle.names, kettle.measured = ["mug", "tea"], {"tea": ("file:leaf",)}
    kitchen.run()
    session = kitchen.session(runs=True)
    assert session.is_fresh(_artifact(session, "mug"))
    (kitchen.root / "leaf").write_text("green\n")
    assert session.is_fresh(_artifact(session, "tea"))
    session.close()
    answer = kitchen.plan()["tea"]
    assert isinstance(answer, Stale)
    assert [r.code for r in answer.reasons] == [Code.INPUT_ADDED]


@pytest.fixture
def chain(kitchen: Any) -> Any:
    """Return a kitchen where leaf goes into pot and that into tray, all made."""
    kettle = kitchen.kettle
    kettle.names = ["leaf", "pot", "tray"]
    kettle.upstream = {"pot": ("leaf",), "tray": ("pot",)}
    kettle.measured = {name: (f"file:src/{name}",) for name in kettle.names}
    (kitchen.root / "src").mkdir()
    (kitchen.root / "src" / "leaf").write_text("green\n")
    kitchen.run()
    return kitchen


def test_upstream_rebuilt_to_equal_bytes_makes_nothing_downstream_stale(chain: Any) -> None:
    (chain.root / "src" / "leaf").write_text("# new words\ngreen\n")
    before = chain.everything(chain.place("pot")), chain.everything(chain.place("tray"))
    announced = chain.plan()
    assert isinstance(announced["leaf"], Stale)
    assert isinstance(announced["pot"], Depends)
    assert announced["pot"].upstream == (chain.id("leaf"),)
    assert announced["tray"].upstream == (chain.id("pot"),)
    assert {n: o.done for n, o in chain.run().items()} == {
        "leaf": Done.REBUILT,
        "pot": Done.FRESH,
        "tray": Done.FRESH,
    }
    assert (chain.everything(chain.place("pot")), chain.everything(chain.place("tray"))) == before
    assert chain.called == ["leaf"]


def test_other_bytes_go_down_the_chain_as_far_as_they_change_something(chain: Any) -> None:
    chain.kettle.content["pot"] = b"a pot of anything"
    chain.run(always=True)
    (chain.root / "src" / "leaf").write_text("black\n")
    assert {n: o.done for n, o in chain.run().items()} == {
        "leaf": Done.BUILT,
        "pot": Done.REBUILT,
        "tray": Done.FRESH,
    }


def test_upstream_that_is_only_attested_leaves_what_is_downstream_alone(chain: Any) -> None:
    (chain.place("leaf") / "leaf.cdx.sigstore.json").unlink()
    announced = chain.plan()
    assert {n: type(a) for n, a in announced.items()} == {"leaf": Stale, "pot": Fresh, "tray": Fresh}
    assert {n: o.done for n, o in chain.run().items()} == {
        "leaf": Done.ATTESTED,
        "pot": Done.FRESH,
        "tray": Done.FRESH,
    }


def test_lacking_evidence_of_what_may_be_built_anyway_is_a_build(chain: Any) -> None:
    """What is announced happens: whether upstream changes or not, building it is right."""
    (chain.root / "src" / "leaf").write_text("# new words\ngreen\n")
    (chain.place("pot") / "pot.spdx.json").unlink()
    answer = chain.plan()["pot"]
    assert isinstance(answer, Stale)
    assert answer.action is Action.BUILD
    assert [r.code for r in answer.reasons] == [Code.EVIDENCE_MISSING, Code.UPSTREAM_CHANGED]
    assert chain.run()["pot"].done is Done.REBUILT
    assert chain.called == ["leaf", "pot"]


def test_single_run_takes_upstream_as_it_lies(chain: Any) -> None:
    """`doit run --single`: nothing upstream is asked, built or waited for."""
    (chain.root / "src" / "leaf").write_text("black\n")
    session = chain.session(runs=True)
    session.selected = [chain.id("pot")]
    assert session.is_fresh(_artifact(session, "pot")) is True
    session.close()


def test_single_run_without_upstream_builds(chain: Any) -> None:
    (chain.place("leaf") / "leaf").unlink()
    session = chain.session(runs=True)
    session.selected = [chain.id("pot")]
    assert session.is_fresh(_artifact(session, "pot")) is False
    session.close()


@pytest.mark.parametrize("gone", ["from the configuration", "with the artifact"])
def test_upstream_that_goes_in_no_more_is_a_reason_to_build(chain: Any, gone: str) -> None:
    chain.kettle.upstream["pot"] = ()
    if gone == "with the artifact":
        chain.kettle.names.remove("leaf")
    answer = chain.plan()["pot"]
    assert isinstance(answer, Stale)
    assert [(r.code, r.detail) for r in answer.reasons] == [(Code.UPSTREAM_CHANGED, chain.id("leaf"))]
    assert chain.run()["pot"].done is Done.BUILT
    assert isinstance(chain.plan()["pot"], Fresh)


def test_upstream_that_goes_in_anew_is_a_reason_to_build(chain: Any) -> None:
    chain.kettle.upstream["tray"] = ("pot", "leaf")
    answer = chain.plan()["tray"]
    assert isinstance(answer, Stale)
    assert [(r.code, r.detail) for r in answer.reasons] == [(Code.UPSTREAM_CHANGED, chain.id("leaf"))]
    assert chain.run()["tray"].done is Done.BUILT
    assert isinstance(chain.plan()["tray"], Fresh)


def test_selection_brings_upstream_along(chain: Any) -> None:
    chain.selected = ("pot",)
    assert list(chain.plan()) == ["leaf", "pot"]
    assert set(chain.run()) == {"leaf", "pot"}
