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
    from ..artifacts import Artifact
    from ..builder import Built
    from ..context import Context
    from ..freshness.inputs import Declared
    from ..freshness.snapshot import Snapshot
    from .artifacts import NixArtifact
    from .build import NixBuild
    from .evaluation import Evaluation, Evaluator

_ALIAS = "default"
"""Usually another name of a package that has its own name, too."""


class NixBuilder:
    """Builds the packages of `[nix]`."""

    name = BUILDER

    def __init__(self, context: Context) -> None:
        self.context = context
        self.workspace = context.workspace
        self._artifacts: dict[str, NixArtifact] = {}
        self._builds: dict[str, NixBuild] = {}

    def discover(self) -> Sequence[Artifact]:
        """Return the artifacts of every selected package; Nix is started only if an input of the evaluation changed.

        Raises:
            ConfigError: the table is wrong; the message has a line for each error.
            ToolError: Nix is missing, or can't evaluate the packages.
        """
        if not (self.workspace.config.nix.is_on or self.workspace.config.nix.attributes):
            return ()
        self._artifacts, _ = self._discovered()
        return [each.artifact for each in self._artifacts.values()]

    def declare(self, artifact: Artifact) -> Declared:
        """Return an artifact's derivation, and which file of its output ships."""
        from .artifacts import declare

        return declare(self.workspace, self._artifacts[artifact.id])

    def propose(self) -> Mapping[str, tuple[str, ...]]:
        """Propose the packages that the flake in the root has for this machine; nothing if there is no flake.

        Nix lists their names without evaluating any of them.

        Raises:
            ToolError: Nix is missing, or can't list them.
        """
        from .artifacts import is_valid_name

        if not (self._evaluator.flake / "flake.nix").is_file():
            return {}
        names = [name for name in self._evaluator.names() if is_valid_name(name)]
        proposed = tuple(name for name in names if name != _ALIAS) or tuple(names)
        return {"nix.packages": proposed} if proposed else {}

    def build(self, group: str, snapshots: Mapping[Artifact, Snapshot]) -> Mapping[Artifact, Built | BuildError]:
        """Build the packages of artifacts in one call of Nix."""
        from .build import build

        artifacts, evaluation = self._discovered()  # the tree may have changed since this run began
        if not all(Path(package.derivation or "").exists() for package in evaluation.packages):
            self._evaluator.forget()  # garbage-collected since; an evaluation writes them again
            artifacts, evaluation = self._discovered()
        if any(a.id not in artifacts or artifacts[a.id].artifact != a for a in snapshots):
            raise InputChangedError(
                f"the packages of `{group}` changed since this run began", hint="run again when they hold still"
            )
        self._artifacts = artifacts
        selected = {artifact: artifacts[artifact.id] for artifact in snapshots}
        outcomes: dict[Artifact, Built | BuildError] = {}
        for artifact, outcome in build(self.context, self._evaluator, selected, evaluation.meta, snapshots).items():
            if isinstance(outcome, BuildError):
                outcomes[artifact] = outcome
            else:
                outcomes[artifact], self._builds[artifact.id] = outcome
        return outcomes

    def release(self, artifact: Artifact) -> None:
        """Remove what was kept of an artifact."""
        self._builds.pop(artifact.id, None)
        shutil.rmtree(self.context.scratch_dir(artifact), ignore_errors=True)

    def describe(
        self, artifact: Artifact, path: Path, digest: Digest
    ) -> tuple[Inventory, Sequence[ResourceDescriptor]]:
        """Return an artifact's inventory and materials."""
        from .describe import describe

        build = self._builds[artifact.id]
        return describe(self.context, artifact, path, digest, build), build.materials

    @cached_property
    def _evaluator(self) -> Evaluator:
        from .evaluation import Evaluator

        return Evaluator(self.context)

    def _discovered(self) -> tuple[dict[str, NixArtifact], Evaluation]:
        from .artifacts import artifacts_of, package_errors, table_errors

        config = self.workspace.config.nix
        refuse(table_errors(config))
        evaluation = self._evaluator.evaluate()
        refuse(package_errors(config, evaluation))
        return {each.artifact.id: each for each in artifacts_of(config, evaluation)}, evaluation
