"""The Nix builder: `[nix]` to the artifacts of each package."""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.errors import BuildError, InputChangedError
from ..artifacts import refuse
from . import BUILDER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...provenance.attest.resource import ResourceDescriptor
    from ...provenance.digest import Digest
    from ...provenance.sbom.inventory import Inventory
    from ..builder import Artifact, Built, Declared
    from ..context import Context
    from ..freshness.snapshot import Snapshot
    from .evaluation import Evaluator
    from .make import Made
    from .packages import Evaluation
    from .units import Unit


class NixBuilder:
    """Builds what `[nix]` names."""

    name = BUILDER

    def __init__(self, context: Context) -> None:
        self.context = context
        self.workspace = context.workspace
        self._units: dict[str, Unit] = {}
        self._made: dict[str, Made] = {}

    def discover(self) -> Sequence[Artifact]:
        """Return the artifacts of every package that is named; Nix is asked only if what a flake sees has changed.

        Raises:
            ConfigError: the table is wrong; the message has a line for each mistake.
            ToolError: Nix is missing, or can't evaluate the packages.
        """
        if not (self.workspace.config.nix.is_on or self.workspace.config.nix.attributes):
            return ()
        self._units, _ = self._discovered()
        return [unit.artifact for unit in self._units.values()]

    def declare(self, artifact: Artifact) -> Declared:
        """Return the derivation of an artifact, and what is taken of its output."""
        from .inputs import declare

        return declare(self.workspace, self._units[artifact.id])

    def propose(self) -> Mapping[str, tuple[str, ...]]:
        """Propose the packages of the flake, where there is one."""
        from .propose import propose

        return propose(self._evaluator)

    def build(self, group: str, snapshots: Mapping[Artifact, Snapshot]) -> Mapping[Artifact, Built | BuildError]:
        """Build the packages of artifacts in one call of Nix."""
        from .make import make

        units, evaluation = self._discovered()  # the tree may be another than when this run began
        if not all(Path(one.derivation or "").exists() for one in evaluation.packages):
            self._evaluator.forget()  # collected as garbage since; evaluating writes them anew
            units, evaluation = self._discovered()
        if any(a.id not in units or units[a.id].artifact != a for a in snapshots):
            raise InputChangedError(
                f"the packages of `{group}` changed since this run began", hint="run again when they hold still"
            )
        self._units = units
        found = make(
            self.context,
            self._evaluator,
            {artifact: units[artifact.id] for artifact in snapshots},
            evaluation.meta,
            snapshots,
        )
        built: dict[Artifact, Built | BuildError] = {}
        for artifact, one in found.items():
            if isinstance(one, BuildError):
                built[artifact] = one
            else:
                built[artifact], self._made[artifact.id] = one
        return built

    def release(self, artifact: Artifact) -> None:
        """Remove what was kept of an artifact."""
        self._made.pop(artifact.id, None)
        shutil.rmtree(self.context.scratch_dir(artifact), ignore_errors=True)

    def describe(
        self, artifact: Artifact, path: Path, digest: Digest
    ) -> tuple[Inventory, Sequence[ResourceDescriptor]]:
        """Return what is in an artifact, and what it was built from, by digest."""
        from .describe import describe

        made = self._made[artifact.id]
        inventory = describe(self.context, artifact, path, digest, made.facts, place=made.place, created=made.created)
        return inventory, made.materials

    @cached_property
    def _evaluator(self) -> Evaluator:
        from .evaluation import Evaluator

        return Evaluator(self.context)

    def _discovered(self) -> tuple[dict[str, Unit], Evaluation]:
        from .check import mistakes, settings
        from .units import units

        config = self.workspace.config.nix
        refuse(settings(config))
        evaluation = self._evaluator.evaluate()
        refuse(mistakes(config, evaluation))
        return {unit.artifact.id: unit for unit in units(config, evaluation)}, evaluation
