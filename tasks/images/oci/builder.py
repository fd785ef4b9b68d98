"""The oci builder: `[oci.NAME]` to an OCI image for each platform, and to the index over them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from ...artifacts import refuse
from . import BUILDER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ....provenance.attest.resource import ResourceDescriptor
    from ....provenance.digest import Digest
    from ....provenance.sbom.inventory import Inventory
    from ...builder import Artifact, Built, Declared
    from ...context import Context
    from ...freshness.snapshot import Snapshot
    from .take import Taken
    from .units import Unit


class OciBuilder:
    """Takes over the images of `[oci.NAME]`."""

    name = BUILDER

    def __init__(self, context: Context) -> None:
        self.context = context
        self.workspace = context.workspace
        self._units: dict[str, Unit] = {}
        self._taken: dict[str, Taken] = {}

    def discover(self) -> Sequence[Artifact]:
        """Return the artifacts of every configured image; archives that are artifacts must have been discovered.

        Raises:
            ConfigError: a table is wrong; the message has a line for each mistake.
        """
        ocis = self.workspace.config.ocis
        if not ocis:
            return ()
        from ...artifacts import Ids
        from .check import mistakes
        from .units import unit

        ids = Ids(self.context.artifacts)
        refuse(mistakes(ocis, ids, self.context.artifacts, self.context.failed_builders))
        self._units = {oci.name: unit(oci, ids) for oci in ocis}
        return [artifact for one in self._units.values() for artifact in one.artifacts]

    def declare(self, artifact: Artifact) -> Declared:
        """Return where an image is taken from, and what it shall say of itself."""
        one = self._units[artifact.name]
        if artifact == one.index:
            from ..index import declare_index

            return declare_index(one.chosen(self.workspace))
        from .inputs import declare

        return declare(self.context, one)

    def propose(self) -> Mapping[str, tuple[str, ...]]:
        """Propose nothing: an archive that lies about need not be what ships."""
        return {}

    def build(self, group: str, snapshots: Mapping[Artifact, Snapshot]) -> Mapping[Artifact, Built]:
        """Take an image over for all platforms that are asked for, or join them in an index."""
        artifact, snapshot = next(iter(snapshots.items()))
        unit = self._units[artifact.name]
        if artifact == unit.index:
            from ..join import build_index

            return {artifact: build_index(self.context, artifact, unit.index_of(self.workspace), snapshot)}
        from .take import take

        scratch = self.workspace.state / BUILDER / f"{group.partition(':')[2]}.source"
        taken = take(self.context, unit, snapshots, scratch)
        self._taken.update({artifact.id: each for artifact, each in taken.items()})
        return {artifact: each.built for artifact, each in taken.items()}

    def release(self, artifact: Artifact) -> None:
        """Remove the layout that was made of an artifact."""
        self._taken.pop(artifact.id, None)
        shutil.rmtree(self.context.scratch_dir(artifact), ignore_errors=True)

    def describe(
        self, artifact: Artifact, path: Path, digest: Digest
    ) -> tuple[Inventory, Sequence[ResourceDescriptor]]:
        """Return what is in an image, and what it was taken from, by digest."""
        if artifact == self._units[artifact.name].index:
            from ..join import describe

            return describe(self.context, artifact, path, digest)
        from ..describe import describe_image

        taken = self._taken[artifact.id]
        inventory = describe_image(
            self.context,
            artifact,
            path,
            digest,
            created=taken.created,
            sources={},
            upstream=(),
        )
        return inventory, taken.materials
