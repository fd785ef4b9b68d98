"""One run of a command, between two looks at all that it is made from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.errors import BuildError, InputChangedError, quoted
from ...provenance.fs import copies
from ...provenance.process import clean_environment, run
from ..builder import Built
from ..freshness.inputs import ABSENT, Kind, Meter, key
from ..upstream import read_upstream
from .describe import BUILD_TYPE, MadeFrom, Tool, external
from .inputs import Measured, declare, measure
from .names import host_platform
from .programs import tool_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..builder import Artifact, Declared
    from ..context import Context
    from ..freshness.inputs import Inputs
    from ..workspace import Workspace
    from .programs import Programs
    from .units import Output, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that ended well.

    Attributes:
        inputs: all of them, as they were before and after it.
        files: those that are files: path from the repository's root to sha256.
    """

    unit: Unit
    made_from: MadeFrom
    inputs: Inputs
    files: Mapping[str, str]
    started: datetime
    finished: datetime


def run_command(context: Context, unit: Unit, artifacts: Sequence[Artifact], programs: Programs) -> Run:
    """Run a command for `artifacts`.

    Raises:
        BuildError: it failed, or an input is not there.
        InputChangedError: an input changed meanwhile.
    """
    before = _Look.take(context, unit, programs)
    before.measured.refuse_gaps()
    argv = unit.argv({id_: one.path for id_, one in before.made_from.upstream.items()})
    started = datetime.now(UTC)
    with context.progress.call(artifacts, argv) as sink:
        code = run(argv, cwd=context.workspace.root, env=clean_environment(), sink=sink)
        if code != 0:
            asked = ", ".join(f"`{artifact.id}`" for artifact in artifacts)
            how = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
            raise BuildError(f"{quoted(argv[0])} failed for {asked} ({how})")
    finished = datetime.now(UTC)
    after = _Look.take(context, unit, programs)
    after.refuse_changes_since(before)
    upstream = {key(Kind.ARTIFACT, id_): str(one.digest) for id_, one in after.made_from.upstream.items()}
    return Run(
        unit=unit,
        made_from=after.made_from,
        inputs={**after.declared.values, **after.measured.values, **upstream},
        files={_from_repository(context.workspace, name): sha256 for name, sha256 in after.measured.files.items()},
        started=started,
        finished=finished,
    )


def built(workspace: Workspace, run: Run, output: Output, path: Path, folder: Path) -> Built:
    """Return what a run made of one artifact, with a copy of its file, as the next run may write into that very file.

    Args:
        workspace: of the command.
        run: the one that left it.
        output: which of its outputs.
        path: where it left it.
        folder: receives the copy.

    Raises:
        StoreError: it can't be copied.
    """
    copy = folder / path.name
    copies.keep(path, copy)
    return Built(
        path=copy,
        build_type=BUILD_TYPE,
        external=external(run.unit.command, output.pattern, workspace=_from_repository(workspace, ".")),
        internal={"platform": output.artifact.platform, "host": host_platform()},
        files=run.files,
        inputs=run.inputs,
        started=run.started,
        finished=run.finished,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """All that a command is made from, at one moment."""

    declared: Declared
    measured: Measured
    made_from: MadeFrom

    @classmethod
    def take(cls, context: Context, unit: Unit, programs: Programs) -> _Look:
        programs.forget()
        declared = declare(unit.command, programs)
        measured = measure(declared, Meter(context.workspace.root, made=context.build_dirs))
        tool = _tool(unit.command.run[0], declared, measured)
        upstream = read_upstream(context, unit.upstream)
        return cls(declared=declared, measured=measured, made_from=MadeFrom(upstream=upstream, tool=tool))

    def refuse_changes_since(self, before: _Look) -> None:
        self.measured.refuse_changes_since(before.measured)
        hint = "run again when it holds still"
        if self.declared != before.declared:
            raise InputChangedError("the program of the command changed while it ran", hint=hint)
        for id_, one in self.made_from.upstream.items():
            if one != before.made_from.upstream[id_]:
                raise InputChangedError(f"an input changed while it was being built: `{id_}`", hint=hint)


def _tool(word: str, declared: Declared, measured: Measured) -> Tool | None:
    """Return the program that ran; `None`: it was an upstream artifact."""
    value = declared.values.get(tool_key(word), ABSENT)
    if value != ABSENT:
        return Tool(name=word, sha256=value.partition(":")[2])
    own = measured.files.get(os.path.normpath(word), ABSENT)
    return Tool(name=word, sha256=own) if own != ABSENT else None


def _from_repository(workspace: Workspace, name: str) -> str:
    """Return the path from the repository's root of a path from the workspace's."""
    return Path(os.path.relpath(workspace.root / name, workspace.source.root)).as_posix()
