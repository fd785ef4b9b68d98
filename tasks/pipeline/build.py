"""The build of one group between two looks at its inputs: steps 1 to 3 of the pipeline, for every builder."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...provenance.errors import BuildError
from ..freshness.inputs import InputHasher, LazyInputs
from ..freshness.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..artifacts import Artifact
    from ..builder import Builder, Built
    from ..context import Context
    from ..workspace import Workspace


def build(
    context: Context, builder: Builder, group: str, artifacts: Sequence[Artifact]
) -> dict[Artifact, Built | BuildError]:
    """Build artifacts of one group in one call of their tool; an error takes the place of what it could not build.

    1. Inputs before: what the builder declares, measured.
    2. Build: the builder calls its tool.
    3. Inputs after: declared and measured again; a difference fails the build.

    Raises:
        BuildError: the tool failed.
        InputChangedError: an input changed meanwhile.
        ProvenanceError: an input can't be read.
    """
    meter = InputHasher(context.workspace.root, context.build_dirs)

    def snapshots(artifacts: Sequence[Artifact]) -> dict[Artifact, Snapshot]:
        meter.forget()
        context.programs.forget()
        return {artifact: Snapshot.take(context, artifact, builder.declare(artifact), meter) for artifact in artifacts}

    before = snapshots(artifacts)
    try:
        results = dict(builder.build(group, before))
        after = snapshots([artifact for artifact, result in results.items() if not isinstance(result, BuildError)])
        for artifact, snapshot in after.items():
            result = results[artifact]
            if not isinstance(result, BuildError):
                snapshot.refuse_changes_since(before[artifact], result.resolved)
                results[artifact] = _with_inputs(result, snapshot, context.workspace)
    except BaseException:
        for artifact in artifacts:
            builder.release(artifact)
        raise
    return results


def _with_inputs(built: Built, snapshot: Snapshot, workspace: Workspace) -> Built:
    return replace(
        built,
        files=built.files or snapshot.in_repository(workspace),
        inputs=LazyInputs(lambda: {**snapshot.values, **built.resolved, **built.inputs}),
    )
