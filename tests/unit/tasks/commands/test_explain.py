"""`explain` says why, by which inputs, since when, and what is around an artifact."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.tasks.artifacts import Artifact
from doit_provenance.tasks.commands.explain import downstream

if TYPE_CHECKING:
    from pathlib import Path

Run = Any  # what the fixture `run` returns
HOT, NONE = "a" * 64, "b" * 64
TEA, MUG, TRAY = (f"kettle:{name}@linux/amd64" for name in ("tea", "mug", "tray"))


@pytest.fixture
def tray(run: Run, kettle: Any) -> Any:
    """Build a tray that tea and mug go into."""
    kettle.names = ["tray", "tea", "mug"]
    kettle.upstream = {"tray": ("tea", "mug")}
    kettle.inputs = {"water": HOT, "milk": NONE}
    assert run("run").code == 0
    return kettle


def test_fresh(run: Run, tray: Any) -> None:
    assert tray.calls
    ended = run("explain", TRAY)
    assert (ended.code, ended.err) == (0, "")
    assert "\n  state:      fresh\n" in ended.out
    assert "\n  built:      2024-05-17 12:00:00 UTC, by the run urn:uuid:" in ended.out
    assert "\n  inputs:     2 artifacts, 2 settings unchanged\n" in ended.out
    assert f"\n  made of:    {TEA}, {MUG}\n  goes into:  no other artifact\n" in ended.out
    assert "because" not in ended.out


def test_stale(run: Run, tray: Any) -> None:
    tray.inputs = {"water": "cold", "sugar": "much"}
    text = run("explain", TEA).out
    assert "\n  state:      stale: it would be built\n  because:    setting changed: " in text
    assert "\n  because:    setting changed: water\n" in text
    assert f"\n  setting:water\n    was  {HOT}\n    now  cold\n" in text
    assert "\n  setting:sugar\n    was  not there\n    now  much\n" in text
    assert f"\n  setting:milk\n    was  {NONE}\n    now  not there\n" in text
    assert f"\n  goes into:  {TRAY}\n" in text


def test_waiting_for_an_upstream_artifact(run: Run, tray: Any, root: Path) -> None:
    assert tray.calls
    (root / "dist" / "kettle" / "tea" / "linux-amd64" / "tea").write_bytes(b"poison")
    text = run("explain", TRAY).out
    assert f"because:    upstream changed: {TEA}\n" in text
    assert f"\n  artifact:{TEA}\n    was  sha256:" in text
    assert "\n    now  known once it is built\n" in text


def test_lost_evidence(run: Run, tray: Any, root: Path) -> None:
    assert tray.calls
    (root / "dist" / "kettle" / "tea" / "linux-amd64" / "tea.spdx.json").unlink()
    text = run("explain", TEA).out
    assert "state:      stale: evidence would be made again, the bytes stay\n" in text
    assert "because:    evidence missing: tea.spdx.json\n" in text
    assert "  digest:     sha256:" in text


def test_never_built(run: Run, kettle: Any) -> None:
    text = run("explain", TEA).out
    assert "because:    never built\n  inputs:     1 setting known before it is built\n" in text
    assert kettle.calls == []


def test_all_inputs(run: Run, tray: Any) -> None:
    tray.inputs = {"water": "cold", "milk": NONE}
    assert "setting:milk" not in run("explain", TEA).out
    assert f"\n    setting:milk  {NONE}\n" in run("explain", TEA, "--all").out


def test_long_values_are_cut_for_people(run: Run, tray: Any) -> None:
    tray.inputs = {"water": "x" * 1000}
    assert f"now  {'x' * 160}…\n" in run("explain", TEA).out
    found = json.loads(run("explain", TEA, "--format", "json").out)["artifacts"][0]
    assert {"input": "setting:water", "before": HOT, "now": "x" * 1000} in found["inputs"]


def test_json(run: Run, tray: Any) -> None:
    assert tray.calls
    ended = run("explain", "kettle", "--format", "json")
    assert (ended.code, ended.err) == (0, "")
    found = {a["artifact"]: a for a in json.loads(ended.out)["artifacts"]}
    assert set(found) == {TEA, MUG, TRAY}
    assert found[TEA]["action"] == "fresh"
    assert found[TEA]["built"] == "2024-05-17T12:00:00Z"
    assert found[TEA]["invocation"].startswith("urn:uuid:")
    assert (found[TEA]["upstream"], found[TEA]["downstream"]) == ([], [TRAY])


@pytest.mark.parametrize("arguments", [[], ["kettle:toa"], ["--format", "xml", TEA]])
def test_wrong_usage(run: Run, arguments: list[str]) -> None:
    ended = run("explain", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")


def test_downstream_is_transitive_and_ends() -> None:
    def artifact(name: str, *upstream: str) -> Artifact:
        ids = tuple(f"kettle:{u}@any" for u in upstream)
        return Artifact(builder="kettle", name=name, platform="any", group="g", file=name, upstream=ids)

    found = (artifact("c", "b"), artifact("b", "a"), artifact("a"), artifact("d", "c", "a"), artifact("e"))
    artifacts = {a.id: a for a in found}
    assert downstream(artifacts, "kettle:a@any") == ["kettle:b@any", "kettle:d@any", "kettle:c@any"]
    assert downstream(artifacts, "kettle:e@any") == []
