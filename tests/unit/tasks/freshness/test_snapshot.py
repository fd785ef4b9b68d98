"""What a build is made from is the same before and after it, or the build fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import BuildError, InputChangedError, ProvenanceError
from doit_provenance.tasks.freshness.inputs import ABSENT, Declared, InputHasher
from doit_provenance.tasks.freshness.snapshot import Snapshot, read_upstream
from doit_provenance.tasks.pipeline.build import build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doit_provenance.tasks.artifacts import Artifact
    from doit_provenance.tasks.context import Context

MUG = "kettle:mug@linux/amd64"
DECLARED = Declared(
    values={"setting:run": "boil", "tool:kettle": "1", "resolution:tap": "cold"},
    measured=["file:leaf", "glob:src/*", "variable:TEA", "file:gone"],
    hint="hold still",
)


@pytest.fixture
def context(kitchen: Any) -> Iterator[Context]:
    """Return a run over a workspace where `mug` is built, and `tea`, which is made of it, is not yet."""
    kitchen.kettle.names = ["mug"]
    kitchen.run()
    kitchen.kettle.names, kitchen.kettle.upstream = ["mug", "tea"], {"tea": ["mug"]}
    for name in ("leaf", "src/a"):
        path = kitchen.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    session = kitchen.session(runs=False)
    yield session.context
    session.close()


def _take(context: Context, declared: Declared = DECLARED) -> Snapshot:
    meter = InputHasher(context.workspace.root, context.build_dirs)
    return Snapshot.take(context, context.artifacts["kettle:tea@linux/amd64"], declared, meter)


def test_everything_declared_is_in_it(context: Context) -> None:
    snapshot = _take(context)
    mug = read_upstream(context, [MUG])[MUG]
    assert snapshot.upstream == {MUG: mug}
    assert snapshot.files.keys() == {"leaf", "src/a", "gone"}
    assert snapshot.values.keys() == {
        *DECLARED.values, *DECLARED.measured, "file:src/a", f"artifact:{MUG}",
    }  # fmt: skip
    assert (snapshot.values[f"artifact:{MUG}"], snapshot.values["file:gone"]) == (str(mug.digest), ABSENT)
    assert snapshot.in_repository(context.workspace).keys() == {"leaf", "src/a"}
    assert snapshot.missing == ("file:gone",)
    assert _take(context, Declared(measured=["glob:none/*", "file:gone"])).missing == ("glob:none/*", "file:gone")
    assert (mug.material.name, mug.material.annotations) == (MUG, {"file": "mug"})


@pytest.mark.parametrize(
    ("name", "told"),
    [("leaf", "leaf"), ("src/a", "src/a"), ("src/b", "src/b"), ("gone", "gone")],
)
def test_a_file_that_changes_is_refused_by_its_name(context: Context, name: str, told: str) -> None:
    before = _take(context)
    before.refuse_changes_since(before)
    (context.workspace.root / name).write_text("other")
    with pytest.raises(InputChangedError, match=f"an input changed while it was being built: `{told}`") as caught:
        _take(context).refuse_changes_since(before)
    assert caught.value.hint == "hold still"


def test_a_variable_and_what_the_builder_tells_are_compared(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _take(context)
    monkeypatch.setenv("TEA", "green")
    with pytest.raises(InputChangedError, match="`TEA`"):
        _take(context).refuse_changes_since(before)
    monkeypatch.delenv("TEA")
    other = Declared(values={**DECLARED.values, "tool:kettle": "2"}, measured=DECLARED.measured)
    with pytest.raises(InputChangedError, match="`kettle`"):
        _take(context, other).refuse_changes_since(before)
    _take(context, other).refuse_changes_since(before, {"tool:kettle"})


def test_an_upstream_artifact_that_changes_is_refused(context: Context) -> None:
    before = _take(context)
    (context.workspace.output / context.artifacts[MUG].folder / "mug").write_text("other")
    with pytest.raises(InputChangedError, match=f"`{MUG}` is not what its record says"):
        _take(context).refuse_changes_since(before)


class _Builder:
    """Builds nothing; what it does meanwhile, and what became of each artifact, a test says."""

    name = "kettle"

    def __init__(self, meanwhile: Any) -> None:
        self.meanwhile = meanwhile
        self.released: list[Artifact] = []

    def declare(self, artifact: Artifact) -> Declared:
        return Declared(measured=[f"file:{artifact.name}.txt"])

    def build(self, _group: str, snapshots: Any) -> Any:
        return self.meanwhile(snapshots)

    def release(self, artifact: Artifact) -> None:
        self.released.append(artifact)


def test_what_was_kept_is_released_if_the_build_fails(context: Context) -> None:
    mug = context.artifacts[MUG]

    def fail(_: object) -> None:
        raise BuildError("cold")

    builder: Any = _Builder(fail)
    with pytest.raises(ProvenanceError, match="cold"):
        build(context, builder, "mug", [mug])
    assert builder.released == [mug]


def test_an_artifact_that_could_not_be_built_is_an_error_in_its_place(context: Context) -> None:
    mug, error = context.artifacts[MUG], BuildError("cold")
    builder: Any = _Builder(lambda snapshots: dict.fromkeys(snapshots, error))
    assert build(context, builder, "mug", [mug]) == {mug: error}
    assert builder.released == []
