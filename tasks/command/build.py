"""One run of a command, and the files that it left, one for each artifact."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ...provenance.errors import BuildError, StoreError, quoted
from ...provenance.fs import copies, store
from ...provenance.process import clean_environment, run
from ..builder import Built
from ..freshness import patterns
from ..freshness.inputs import settled, signature_of
from .artifacts import BUILDER, host_platform

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ...provenance.config import Command
    from ...provenance.json import JSONValue
    from ..artifacts import Artifact
    from ..context import Context
    from ..freshness.inputs import Signature
    from ..freshness.snapshot import Snapshot
    from ..workspace import Workspace
    from .artifacts import Output, Unit

BUILD_TYPE = "https://github.com/doit-provenance/doit-provenance/blob/main/docs/build-types/command.v1.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished run of a command, and when it ran (UTC)."""

    unit: Unit
    started: datetime
    finished: datetime


def run_command(context: Context, unit: Unit, snapshots: Mapping[Artifact, Snapshot]) -> Run:
    """Run a command for artifacts; all of them have the same inputs.

    Raises:
        BuildError: it failed.
    """
    upstream = next(iter(snapshots.values())).upstream
    argv = unit.argv({id_: one.path for id_, one in upstream.items()})
    started = datetime.now(UTC)
    with context.progress.call(list(snapshots), argv) as sink:
        code = run(argv, cwd=context.workspace.root, env=clean_environment(), sink=sink)
        if code != 0:
            asked = ", ".join(f"`{artifact.id}`" for artifact in snapshots)
            how = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
            raise BuildError(f"{quoted(argv[0])} failed for {asked} ({how})")
    return Run(unit=unit, started=started, finished=datetime.now(UTC))


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
        external=_external(run.unit.command, output.pattern, workspace=workspace.from_repository(".")),
        internal={"platform": output.artifact.platform, "host": host_platform()},
        started=run.started,
        finished=run.finished,
    )


def _external(command: Command, pattern: str, *, workspace: str) -> dict[str, JSONValue]:
    """Return what the user chose (SLSA v1, externalParameters); `docs/build-types/command.v1.md` explains each."""
    return {
        "builder": BUILDER,
        "workspace": workspace,
        "command": command.name,
        "run": list(command.run),
        "inputs": list(command.inputs),
        "exclude": list(command.exclude),
        "outputs": list(command.outputs),
        "output": pattern,
        "artifacts": list(command.artifacts),
        "environment": list(command.environment),
        "platform": command.platform,
    }


OURS = ("cargo", "command", "component", "docker", "nix", "oci", "par")
"""Folders of the output folder that hold artifacts with their evidence: of all builders, those to come too."""

_LISTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """The files that stood for the outputs of a command before its run.

    Attributes:
        found: pattern to path from the root to what tells a file that was not written from one that was.
        moment: when they were looked at, in nanoseconds.
    """

    workspace: Workspace
    found: Mapping[str, Mapping[str, Signature]]
    moment: int

    @classmethod
    def before(cls, workspace: Workspace, wanted: Iterable[str]) -> Outputs:
        """Make the folders that the files will lie in, and look at what stands for the `wanted` patterns now.

        Raises:
            StoreError: a folder can't be made.
            ToolError: one can't be read.
        """
        wanted = list(wanted)
        for pattern in wanted:
            _make_folder(workspace, patterns.beginning(pattern))
        found = {pattern: _signatures(workspace, pattern) for pattern in wanted}
        return cls(workspace=workspace, found=found, moment=time.time_ns())

    def after(self, pattern: str) -> Path:
        """Return the file that the run has left for a pattern.

        Where several match, those count that it has written; a single one counts in any case, as a program may find
        that it has nothing to do.

        Raises:
            BuildError: there is none, or more than one.
            ToolError: a folder can't be read.
        """
        now = _signatures(self.workspace, pattern)
        left = list(now) if len(now) == 1 else [path for path in now if self._is_written(path, now, pattern)]
        if len(left) == 1:
            return self.workspace.root / left[0]
        if not now:
            raise BuildError(
                f"the run left no file that matches the output {quoted(pattern)}",
                hint="correct `outputs` in provenance.toml, or let the command write there",
            )
        several = left or list(now)
        listed = ", ".join(quoted(path) for path in several[:_LISTED])
        more = f" and {len(several) - _LISTED} more" if len(several) > _LISTED else ""
        what = "that the run has written" if left else "none of which the run has written"
        raise BuildError(
            f"the output {quoted(pattern)} has to match one file, not {len(several)}, {what}: {listed}{more}",
            hint="make the pattern narrower, or let the command remove what an earlier run left",
        )

    def _is_written(self, path: str, now: Mapping[str, Signature], pattern: str) -> bool:
        known = self.found[pattern].get(path)
        return known != now[path] or not settled(known, self.moment)


def _make_folder(workspace: Workspace, name: str) -> None:
    folder = workspace.root / name
    if folder.is_relative_to(workspace.output):
        store.prepare(workspace.output)  # which keeps itself out of git
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the folder of an output can't be made: {quoted(name)}: {error.strerror}") from error


def _signatures(workspace: Workspace, pattern: str) -> dict[str, Signature]:
    """Return the files that a pattern stands for.

    Artifacts that were put into the output folder, with their evidence, are none of them, though they look alike.
    """
    skipped = (*(workspace.output / name for name in OURS), workspace.state)
    found = {}
    for path in patterns.expand(workspace.root, pattern, skipped=skipped):
        with contextlib.suppress(FileNotFoundError):  # it was there a moment ago
            found[path] = signature_of((workspace.root / path).stat())
    return found
