"""The command builder: `[command.NAME]` to artifacts, and the files that each run leaves."""

from __future__ import annotations

import shutil
import threading
from functools import cached_property
from typing import TYPE_CHECKING

from ...provenance.errors import BuildError, quoted
from ..mistakes import refuse
from . import BUILDER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ...provenance.attest.resource import ResourceDescriptor
    from ...provenance.digest import Digest
    from ...provenance.sbom.inventory import Inventory
    from ..builder import Artifact, Built, Declared
    from ..context import Context
    from .programs import Programs
    from .run import Run
    from .units import Output, Unit


class CommandBuilder:
    """Makes the artifacts of `[command.NAME]`."""

    name = BUILDER

    def __init__(self, context: Context) -> None:
        self.context = context
        self.workspace = context.workspace
        self._units: dict[str, Unit] = {}
        self._outputs: dict[str, Output] = {}
        self._runs: dict[str, Run] = {}
        self._claims: dict[Path, str] = {}
        self._claiming = threading.Lock()

    def discover(self) -> Sequence[Artifact]:
        """Return the artifacts of every configured command; what goes into them must have been discovered before.

        Raises:
            ConfigError: names clash, or an artifact that goes into another is not there or goes into itself; the
                message has a line for each mistake.
        """
        commands = self.workspace.config.commands
        if not commands:
            return ()
        from ..references import Ids
        from .check import mistakes
        from .units import ids_of, unit

        ids = Ids([*self.context.artifacts, *(id_ for command in commands for id_ in ids_of(command))])
        refuse(mistakes(commands, ids, self.context.failed_builders))
        found = [unit(command, ids) for command in commands]
        self._units = {one.outputs[0].artifact.group: one for one in found}
        outputs = [output for one in found for output in one.outputs]
        self._outputs = {output.artifact.id: output for output in outputs}
        return [output.artifact for output in outputs]

    def declare(self, artifact: Artifact) -> Declared:
        """Return the settings and the program of a command, and which patterns and variables are its inputs."""
        from .inputs import declare

        return declare(self._units[artifact.group].command, self._programs)

    def propose(self) -> Mapping[str, tuple[str, ...]]:
        """Propose nothing: which commands make what ships, nobody can see."""
        return {}

    def build(self, group: str, artifacts: Sequence[Artifact]) -> Mapping[Artifact, Built]:
        """Run a command, and take from what it left the files of `artifacts`."""
        from .outputs import Outputs
        from .run import built, run_command

        one = self._units[group]
        wanted = {artifact: self._outputs[artifact.id].pattern for artifact in artifacts}
        outputs = Outputs.before(self.workspace, wanted.values())
        run = run_command(self.context, one, artifacts, self._programs)
        found = {}
        for artifact, pattern in wanted.items():
            path = self._claim(outputs.after(pattern), group)
            found[artifact] = built(
                self.workspace, run, self._outputs[artifact.id], path, self.context.scratch_dir(artifact)
            )
            self._runs[artifact.id] = run
        return found

    def release(self, artifact: Artifact) -> None:
        """Remove the copy of an artifact."""
        shutil.rmtree(self.context.scratch_dir(artifact), ignore_errors=True)

    def describe(
        self, artifact: Artifact, path: Path, digest: Digest
    ) -> tuple[Inventory, Sequence[ResourceDescriptor]]:
        """Return an inventory that says that nobody looked into the artifact, and what it was made from, by digest."""
        from ...provenance.source import time_of
        from .describe import describe, materials

        run = self._runs[artifact.id]
        created = time_of(self.workspace.source, list(run.files))
        made_from = run.made_from
        inventory = describe(artifact, path.name, digest, made_from, project=self.workspace.project, created=created)
        return inventory, materials(made_from)

    @cached_property
    def _programs(self) -> Programs:
        from .programs import Programs

        return Programs(self.workspace.root, self.context.programs)

    def _claim(self, path: Path, group: str) -> Path:
        """Return a file that a run has left, unless another command of this process has left it too."""
        with self._claiming:
            other = self._claims.setdefault(path.resolve(), group)
        if other != group:
            raise BuildError(
                f"{quoted(path.name)}, an output of `{group}`, is one of `{other}` too",
                hint="let the commands write files of different names, and name them by narrower patterns",
            )
        if not path.name.isprintable():
            raise BuildError(f"an output of `{group}` has a name that can't be shown: {quoted(path.name)}")
        return path
