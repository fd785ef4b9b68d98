"""Jobs of CI: everything that is not fresh, each once, and after what it needs."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.tasks.artifacts import Artifact
from doit_provenance.tasks.ci_matrix import LARGEST, runner_for, to_github
from doit_provenance.tasks.freshness.answer import Action, Depends, Fresh, Stale
from doit_provenance.tasks.plan import Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from doit_provenance.tasks.freshness.answer import Answer
    from doit_provenance.tasks.workspace import Workspace

STALE = Stale(action=Action.BUILD, reasons=())
DIGEST = digest_bytes(b"tea")


def _step(workspace: Workspace, name: str, group: str, *upstream: str, answer: Answer = STALE, on: str = "any") -> Step:
    artifact = Artifact(
        builder="kettle",
        name=name,
        platform=on,
        group=group,
        file=name,
        upstream=tuple(f"kettle:{u}" for u in upstream),
    )
    return Step(artifact=artifact, answer=answer, workspace=workspace)


def _waves(steps: list[Step]) -> list[list[dict[str, Any]]]:
    text = to_github(steps)
    assert text.count("\n") == 1, "one line, for $GITHUB_OUTPUT"
    return [wave["include"] for wave in json.loads(text)["waves"]]


def _short(steps: list[Step]) -> list[list[str]]:
    return [
        [f"{e['name']}: {' '.join(i.removeprefix('kettle:').partition('@')[0] for i in e['artifacts'])}" for e in wave]
        for wave in _waves(steps)
    ]


def test_groups_stay_together_and_wait(workspace: Workspace) -> None:
    steps = [
        _step(workspace, "tea", "cargo"),
        _step(workspace, "mug", "cargo"),
        _step(workspace, "image", "docker", "tea@any"),
        _step(workspace, "index", "oci", "image@any"),
        _step(workspace, "page", "docs"),
    ]
    assert _short(steps) == [["cargo: tea mug", "docs: page"], ["docker: image"], ["oci: index"]]


def test_entry(workspace: Workspace) -> None:
    ((entry,),) = _waves([_step(workspace, "tea", "cargo/x", on="aarch64-unknown-linux-musl")])
    assert entry == {
        "name": "cargo/x",
        "artifacts": ["kettle:tea@aarch64-unknown-linux-musl"],
        "builder": "kettle",
        "platform": "aarch64-unknown-linux-musl",
        "runner": "ubuntu-24.04-arm",
    }


def test_fresh_ones_need_no_job(workspace: Workspace) -> None:
    """What is made of a fresh one does not wait; what may have to be built is a job."""
    steps = [
        _step(workspace, "tea", "cargo", answer=Fresh(digest=DIGEST)),
        _step(workspace, "image", "docker", "tea@any"),
        _step(workspace, "index", "oci", "image@any", answer=Depends(upstream=("kettle:image@any",), digest=DIGEST)),
    ]
    assert _short(steps) == [["docker: image"], ["oci: index"]]
    assert to_github(steps[:1]) == '{"waves":[]}\n'


def test_upstream_in_the_same_group(workspace: Workspace) -> None:
    steps = [_step(workspace, "leaf", "g"), _step(workspace, "tea", "g", "leaf@any")]
    assert _short(steps) == [["g: leaf tea"]]


def test_groups_that_wait_for_each_other_are_divided(workspace: Workspace) -> None:
    steps = [
        _step(workspace, "before", "first"),
        _step(workspace, "a1", "a", "before@any"),
        _step(workspace, "b1", "b", "a1@any"),
        _step(workspace, "a2", "a", "b1@any", "a1@any"),
        _step(workspace, "a3", "a", "a1@any"),
        _step(workspace, "after", "last", "a2@any"),
    ]
    assert _short(steps) == [
        ["first: before"],
        ["a (1 of 2): a1 a3"],
        ["b: b1"],
        ["a (2 of 2): a2"],
        ["last: after"],
    ]


def test_platforms_of_one_group_are_jobs_of_their_own(workspace: Workspace) -> None:
    steps = [_step(workspace, "tea", "g", on="linux/amd64"), _step(workspace, "tea", "g", on="linux/arm64")]
    assert [(e["name"], e["runner"]) for e in _waves(steps)[0]] == [
        ("g (1 of 2)", "ubuntu-24.04"),
        ("g (2 of 2)", "ubuntu-24.04-arm"),
    ]


def test_no_wave_is_larger_than_a_matrix(workspace: Workspace) -> None:
    steps = [_step(workspace, f"n{n}", f"g{n}") for n in range(2 * LARGEST + 1)]
    steps.append(_step(workspace, "last", "last", f"n{2 * LARGEST}@any"))
    assert [len(wave) for wave in _waves(steps)] == [256, 256, 1, 1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 14))), max_size=15), st.data())
def test_nothing_before_what_it_needs(
    workspace: Workspace, drawn: list[tuple[int, list[int]]], data: st.DataObject
) -> None:
    fresh = Fresh(digest=DIGEST)
    steps = [
        _step(
            workspace,
            str(n),
            f"g{group}",
            *(f"{u}@any" for u in dict.fromkeys(upstream) if u < n),
            answer=data.draw(st.sampled_from([STALE, STALE, fresh])),
        )
        for n, (group, upstream) in enumerate(drawn)
    ]
    stale = {s.artifact.id: s.artifact for s in steps if s.answer is STALE}
    done: set[str] = set()
    names: list[str] = []
    for wave in _waves(steps):
        for entry in wave:
            here = set(entry["artifacts"])
            assert len({stale[i].group for i in here}) == 1
            assert all(u in done | here for i in here for u in stale[i].upstream if u in stale)
            names.append(entry["name"])
        done |= {i for entry in wave for i in entry["artifacts"]}
    assert done == set(stale)
    assert len(set(names)) == len(names)
    assert to_github(steps) == to_github(steps)


@pytest.mark.parametrize(
    ("platform", "label"),
    [
        ("any", "ubuntu-24.04"),
        ("x86_64-unknown-linux-musl", "ubuntu-24.04"),
        ("aarch64-unknown-linux-gnu", "ubuntu-24.04-arm"),
        ("linux/amd64", "ubuntu-24.04"),
        ("linux/arm64", "ubuntu-24.04-arm"),
        ("linux/arm64/v8", "ubuntu-24.04-arm"),
        ("linux/arm/v7", "ubuntu-24.04"),
        ("x86_64-linux", "ubuntu-24.04"),
        ("aarch64-linux", "ubuntu-24.04-arm"),
        ("aarch64-darwin", "macos-15"),
        ("x86_64-darwin", "macos-15-intel"),
        ("aarch64-apple-darwin", "macos-15"),
        ("x86_64-apple-darwin", "macos-15-intel"),
        ("darwin/amd64", "macos-15-intel"),
        ("x86_64-pc-windows-msvc", "windows-2025"),
        ("aarch64-pc-windows-msvc", "windows-11-arm"),
        ("windows/amd64", "windows-2025"),
        ("wasm32-wasip2", "ubuntu-24.04"),
        ("riscv64gc-unknown-linux-gnu", "ubuntu-24.04"),
    ],
)
def test_runners(platform: str, label: str) -> None:
    assert runner_for(platform, {}) == label


@pytest.mark.parametrize(
    ("runners", "label"),
    [
        ({"*-musl": "big"}, "big"),
        ({"x86_64-*": "first", "*": "second"}, "first"),
        ({"*-gnu": "other"}, "ubuntu-24.04"),
    ],
)
def test_configured_runners(workspace: Workspace, runners: Mapping[str, str], label: str) -> None:
    config = replace(workspace.config, plan=replace(workspace.config.plan, runners=MappingProxyType(runners)))
    configured = replace(workspace, config=config)
    ((entry,),) = _waves([_step(configured, "tea", "g", on="x86_64-unknown-linux-musl")])
    assert entry["runner"] == label
