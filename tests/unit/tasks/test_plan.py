"""The plan as values and texts; what it says of a real workspace is tested with the command."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.tasks.artifacts import Artifact
from doit_provenance.tasks.freshness.answer import Action, Code, Depends, Fresh, Reason, Stale
from doit_provenance.tasks.plan import Step, ordered, to_json, to_table

if TYPE_CHECKING:
    from doit_provenance.tasks.freshness.answer import Answer
    from doit_provenance.tasks.workspace import Workspace

SCHEMA_FILE = Path(__file__).parents[3] / "docs" / "plan.schema.json"
DIGEST = digest_bytes(b"tea")
STALE = Stale(
    action=Action.BUILD,
    reasons=(
        Reason(code=Code.INPUT_CHANGED, detail="src/main.rs"),
        Reason(code=Code.FORCED),
        Reason(code=Code.VARIABLE_CHANGED, detail="CC"),
        Reason(code=Code.TOOL_CHANGED, detail="rustc"),
    ),
)
REPAIR = Stale(action=Action.ATTEST, reasons=(Reason(code=Code.EVIDENCE_MISSING, detail="a.spdx.json"),), digest=DIGEST)


def artifact(name: str, upstream: tuple[str, ...] = (), *, group: str = "g", file: str = "") -> Artifact:
    ids = tuple(f"kettle:{u}@any" for u in upstream)
    return Artifact(builder="kettle", name=name, platform="any", group=group, file=file or name, upstream=ids)


def _step(workspace: Workspace, answer: Answer, **more: str) -> Step:
    return Step(artifact=artifact("tea/cup", **more), answer=answer, workspace=workspace)  # type: ignore[arg-type] # texts alone


@pytest.mark.parametrize(
    ("answer", "action", "count", "digest"),
    [
        (Fresh(digest=DIGEST), "fresh", 0, str(DIGEST)),
        (STALE, "build", 4, None),
        (REPAIR, "attest", 1, str(DIGEST)),
        (Depends(upstream=("kettle:leaf@any",), digest=DIGEST), "maybe", 1, str(DIGEST)),
    ],
)
def test_answers(workspace: Workspace, answer: Answer, action: str, count: int, digest: str | None) -> None:
    document = json.loads(to_json([_step(workspace, answer)]))
    jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_bytes())).validate(document)
    (found,) = document["artifacts"]
    assert (found["action"], len(found["reasons"]), found["digest"]) == (action, count, digest)
    assert found["outputs"][0] == "dist/kettle/tea-cup/any/tea/cup"
    assert len(found["outputs"]) == 8


def test_maybe_names_what_decides(workspace: Workspace) -> None:
    step = _step(workspace, Depends(upstream=("kettle:leaf@any",), digest=DIGEST))
    assert step.reasons == (Reason(code=Code.UPSTREAM_CHANGED, detail="kettle:leaf@any"),)


def test_names_that_only_the_build_tells(workspace: Workspace) -> None:
    outputs = _step(workspace, STALE, file="*.whl").outputs
    assert outputs[:2] == ["dist/kettle/tea-cup/any/*.whl", "dist/kettle/tea-cup/any/*.whl.inventory.json"]


def test_schema_knows_every_word() -> None:
    """What the schema lists is what the code can say."""
    schema = json.loads(SCHEMA_FILE.read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    entry = schema["properties"]["artifacts"]["items"]
    assert set(entry["properties"]) == set(entry["required"])
    assert entry["properties"]["action"]["enum"] == [a.value for a in Action]
    assert entry["properties"]["reasons"]["items"]["properties"]["code"]["enum"] == [c.value for c in Code]


def test_no_artifacts() -> None:
    assert json.loads(to_json([])) == {"artifacts": []}
    assert list(to_table([])) == ["no artifacts"]


def test_table(workspace: Workspace) -> None:
    answers = (STALE, REPAIR, Fresh(digest=DIGEST), Fresh(digest=DIGEST))
    steps = [
        Step(artifact=artifact("tea" * (n + 1)), answer=answer, workspace=workspace) for n, answer in enumerate(answers)
    ]
    assert list(to_table(steps)) == [
        "kettle:tea@any           build   input changed: src/main.rs; forced; 2 more",
        "kettle:teatea@any        attest  evidence missing: a.spdx.json",
        "kettle:teateatea@any     fresh",
        "kettle:teateateatea@any  fresh",
        "1 to build, 1 to attest, 2 fresh",
    ]


def test_upstream_comes_along_and_first() -> None:
    found = [artifact("image", ("tea",)), artifact("mug"), artifact("tea", ("leaf",)), artifact("leaf")]
    artifacts = {a.id: a for a in found}
    assert [a.name for a in ordered(artifacts, {"kettle:image@any"})] == ["leaf", "tea", "image"]
    assert [a.name for a in ordered(artifacts, set(artifacts))] == ["leaf", "tea", "image", "mug"]


def test_ring_ends() -> None:
    """It is refused elsewhere; here nothing hangs."""
    artifacts = {a.id: a for a in (artifact("a", ("b",)), artifact("b", ("a",)), artifact("c", ("nowhere",)))}
    assert {a.name for a in ordered(artifacts, set(artifacts))} == {"a", "b", "c"}


@given(st.lists(st.lists(st.integers(0, 9)), max_size=10))
def test_order(edges: list[list[int]]) -> None:
    """Each after what goes into it, each once, and the same whatever asks."""
    found = [
        artifact(str(n), tuple(str(u) for u in dict.fromkeys(upstream) if u < n)) for n, upstream in enumerate(edges)
    ]
    artifacts = {a.id: a for a in reversed(found)}
    order = [a.id for a in ordered(artifacts, set(artifacts))]
    assert sorted(order) == sorted(artifacts)
    assert all(order.index(u) < order.index(a.id) for a in found for u in a.upstream)


def test_a_chain_of_ten_thousand(workspace: Workspace) -> None:
    found = [artifact(str(n), (str(n - 1),) if n else ()) for n in range(10_000)]
    artifacts = {a.id: a for a in reversed(found)}
    started = time.perf_counter()
    order = ordered(artifacts, set(artifacts))
    assert order == found
    text = to_json([Step(artifact=a, answer=REPAIR, workspace=workspace) for a in order])
    assert len(json.loads(text)["artifacts"]) == 10_000
    assert time.perf_counter() - started < 5, "a bound for a busy machine; it is 0.4 s on an idle one"
