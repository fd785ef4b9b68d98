"""What is asked of all artifacts at once: the order, what is open, and what is known of one."""

from __future__ import annotations

from typing import Any

import pytest

from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.freshness.answer import Action, Depends, Fresh, Stale
from doit_provenance.tasks.freshness.inputs import variable


@pytest.fixture
def chain(kitchen: Any) -> Any:
    """Return a kitchen where leaf and water go into pot, and that into tray, all made."""
    kettle = kitchen.kettle
    kettle.names = ["tray", "pot", "leaf", "water"]
    kettle.upstream = {"pot": ("leaf", "water"), "tray": ("pot",)}
    kettle.measured = {name: (f"file:src/{name}", "variable:WATER") for name in kettle.names}
    (kitchen.root / "src").mkdir()
    (kitchen.root / "src" / "leaf").write_text("green\n")
    kitchen.run()
    return kitchen


def test_upstream_comes_first_and_each_once(chain: Any) -> None:
    judge = chain.session(runs=False).judge
    ids = {name: chain.id(name) for name in chain.kettle.names}
    assert judge.with_upstream([ids["tray"], ids["pot"]]) == [ids[n] for n in ("leaf", "water", "pot", "tray")]
    assert judge.with_upstream([ids["water"], ids["tray"]]) == [ids[n] for n in ("water", "leaf", "pot", "tray")]
    assert judge.with_upstream([]) == []
    assert judge.with_upstream(["kettle:none@any"]) == [], "of a builder whose discovery failed"


def test_chain_of_any_length_is_followed(kitchen: Any) -> None:
    """Deeper than Python's own stack."""
    kettle = kitchen.kettle
    kettle.names = [f"n{i}" for i in range(3000)]
    kettle.upstream = {f"n{i}": (f"n{i - 1}",) for i in range(1, 3000)}
    judge = kitchen.session(runs=False).judge
    found = judge.answers([kitchen.id("n2999")])
    assert list(found) == [kitchen.id(f"n{i}") for i in range(3000)]
    assert {a.action for a in found.values()} == {Action.BUILD}


def test_what_is_open_is_open_all_the_way_down(chain: Any) -> None:
    (chain.root / "src" / "leaf").write_text("# green\ngreen\n")
    answers = chain.plan()
    assert isinstance(answers["leaf"], Stale)
    assert isinstance(answers["water"], Fresh)
    assert isinstance(answers["pot"], Depends)
    assert answers["pot"].upstream == (chain.id("leaf"),), "what is fresh is no question"
    assert isinstance(answers["tray"], Depends)
    assert answers["tray"].upstream == (chain.id("pot"),)
    assert answers["pot"].digest == Fresh(digest=answers["pot"].digest).digest


def test_error_of_one_is_no_error_of_the_others(chain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    session = chain.session(runs=False)
    builder = session.judge.builders["kettle"]
    declare = builder.declare

    def fails(artifact: Any) -> Any:
        if artifact.name == "leaf":
            raise ToolError("the leaf is not found")
        return declare(artifact)

    monkeypatch.setattr(builder, "declare", fails)
    found = session.judge.judge_all(chain.ids(session))
    assert isinstance(found[chain.id("leaf")], ToolError)
    assert isinstance(found[chain.id("water")], Fresh)
    assert isinstance(found[chain.id("pot")], Depends), "what it would become nobody knows"
    with pytest.raises(ToolError, match="the leaf is not found"):
        session.answers([chain.id("tray")])


def test_builder_is_not_asked_for_what_is_lost_anyway(kitchen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    session = kitchen.session(runs=False)
    monkeypatch.setattr(session.judge.builders["kettle"], "declare", lambda _: pytest.fail("asked"))
    (answer,) = session.answers([kitchen.id("tea")]).values()
    assert isinstance(answer, Stale)


def test_settled_with_what_upstream_has_become(chain: Any) -> None:
    (chain.root / "src" / "leaf").write_text("black\n")
    judge = chain.session(runs=False).judge
    pot = judge.artifacts[chain.id("pot")]
    same = {chain.id(n): str(Fresh(digest=a.digest).digest) for n, a in chain.plan().items() if n == "water"}
    used = chain.kettle.used["pot"]
    assert same[chain.id("water")] == used[chain.id("water")]
    assert isinstance(judge.settle(pot, used), Fresh)
    answer = judge.settle(pot, {**used, chain.id("leaf"): "sha256:" + "0" * 64})
    assert isinstance(answer, Stale)
    assert [r.detail for r in answer.reasons] == [chain.id("leaf")]
    assert isinstance(judge.settle(pot, {}), Fresh), "as it lies there"
    (chain.place("leaf") / "leaf").unlink()
    again = chain.session(runs=False).judge
    answer = again.settle(pot, {})
    assert isinstance(answer, Stale)
    assert answer.action is Action.BUILD
    assert [r.detail for r in answer.reasons] == [chain.id("leaf")], "nobody can tell what it would be"


def test_explained_with_the_inputs_then_and_now(chain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    then = variable("WATER")
    monkeypatch.setenv("WATER", "hard")
    (chain.root / "src" / "pot").write_text("iron\n")
    found = chain.session(runs=False).explain(chain.id("pot"))
    assert isinstance(found.answer, Stale)
    assert found.recorded["file:src/pot"] == "absent"
    assert found.now["file:src/pot"] not in {"absent", ""}
    assert (found.recorded["variable:WATER"], found.now["variable:WATER"]) == (then, variable("WATER"))
    assert f"artifact:{chain.id('leaf')}" in found.recorded
    assert found.built is not None
    assert found.built.isoformat() == "2024-05-17T12:00:00+00:00"
    assert found.invocation.startswith("urn:uuid:")
    assert found.confirmed.endswith("Z")


def test_explained_without_a_folder_is_what_goes_in_now(kitchen: Any) -> None:
    found = kitchen.session(runs=False).explain(kitchen.id("tea"))
    assert isinstance(found.answer, Stale)
    assert (found.recorded, found.built, found.invocation, found.confirmed) == ({}, None, "", "")
    assert found.now == {"setting:src/main.tea": "a" * 64}


def test_explaining_writes_nothing(chain: Any) -> None:
    before = chain.everything()
    chain.session(runs=False).explain(chain.id("tray"))
    assert chain.everything() == before


def test_explained_while_a_run_replaces_the_folder(chain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was judged and the provenance that is shown are of one folder, the old one or the new one."""
    session = chain.session(runs=False)
    held, times = session.judge.freshness.held, []

    def meanwhile(artifact: Any) -> Any:
        found = held(artifact)
        if artifact.name == "water" and len(times) < 2:  # judged, and judged again to be explained
            times.append(artifact.name)
            if len(times) == 2:
                chain.kettle.content["water"] = b"other water"
                chain.run(always=True)
        return found

    monkeypatch.setattr(session.judge.freshness, "held", meanwhile)
    explained = session.explain(chain.id("water"))
    assert len(times) == 2
    assert explained.built is not None
    assert explained.recorded
