"""The docker builder: `[docker.NAME]` to an OCI image for each platform, and to the index over them."""

from __future__ import annotations

import contextlib
import shutil
import threading
from functools import cached_property
from typing import TYPE_CHECKING

from ....provenance.errors import ProvenanceError
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
    from .build import Made
    from .pins import Pins
    from .tool import Tool
    from .units import Unit


class DockerBuilder:
    """Builds the images of `[docker.NAME]`."""

    name = BUILDER

    def __init__(self, context: Context) -> None:
        self.context = context
        self.workspace = context.workspace
        self._units: dict[str, Unit] = {}
        self._made: dict[str, Made] = {}
        self._asking = threading.Lock()
        self._tool: Tool | ProvenanceError | None = None
        self._engine = threading.Lock()

    def discover(self) -> Sequence[Artifact]:
        """Return the artifacts of every configured image; what is put into them must have been discovered before.

        Raises:
            ConfigError: a table is wrong; the message has a line for each mistake.
        """
        dockers = self.workspace.config.dockers
        if not dockers:
            return ()
        from ...artifacts import Ids
        from .check import mistakes
        from .units import unit

        ids = Ids(self.context.artifacts)
        refuse(mistakes(dockers, ids, self.context.artifacts, self.context.failed_builders))
        self._units = {docker.name: unit(docker, ids) for docker in dockers}
        return [artifact for one in self._units.values() for artifact in one.artifacts]

    def declare(self, artifact: Artifact) -> Declared:
        """Return the settings, the tool and the digests of the images that an image is built from, and its contexts."""
        one = self._units[artifact.name]
        if artifact == one.index:
            from ..annotations import as_input
            from ..index import declare_index

            docker = one.docker
            return declare_index(as_input(self.workspace, docker.name, docker.annotations))
        from .inputs import declare

        return declare(self.context, one.docker, artifact, self._pins, self._find_tool)

    def propose(self) -> Mapping[str, tuple[str, ...]]:
        """Propose no settings of fixed names; `doit init` writes tables for what it sees (`propose.py`)."""
        return {}

    def build(self, group: str, snapshots: Mapping[Artifact, Snapshot]) -> Mapping[Artifact, Built]:  # noqa: ARG002 - an image's group is the image
        """Build the image of one platform, or join those of all in an index."""
        ((artifact, snapshot),) = snapshots.items()
        unit = self._units[artifact.name]
        if artifact == unit.index:
            from ..join import build_index

            return {artifact: build_index(self.context, artifact, unit.index_of(self.workspace), snapshot)}
        from .build import make

        tool = self._find_tool()
        # An engine knows images by names, of which each means one image at a time.
        with contextlib.nullcontext() if tool.argv else self._engine:
            made = make(self.context, unit.docker, artifact, tool, self._pins, snapshot)
        self._made[artifact.id] = made
        return {artifact: made.built}

    def release(self, artifact: Artifact) -> None:
        """Remove the layout that was made of an artifact."""
        self._made.pop(artifact.id, None)
        shutil.rmtree(self.context.scratch_dir(artifact), ignore_errors=True)

    def describe(
        self, artifact: Artifact, path: Path, digest: Digest
    ) -> tuple[Inventory, Sequence[ResourceDescriptor]]:
        """Return what is in an image, and what it was built from, by digest."""
        if artifact == self._units[artifact.name].index:
            from ..join import describe

            return describe(self.context, artifact, path, digest)
        from ..describe import describe_image
        from .describe import materials

        made = self._made[artifact.id]
        inventory = describe_image(
            self.context,
            artifact,
            path,
            digest,
            created=made.created,
            sources={sha256: name for name, sha256 in sorted(made.built.files.items(), reverse=True)},
            upstream=made.upstream,
        )
        return inventory, materials(made)

    @cached_property
    def _pins(self) -> Pins:
        from .pins import Pins

        return Pins(self.context)

    def _find_tool(self) -> Tool:
        """Return what builds in this run: it is asked once, as one that does not answer takes its time for that.

        Raises:
            ProvenanceError: there is nothing that builds.
        """
        from .tool import find_tool

        with self._asking:
            if self._tool is None:
                try:
                    self._tool = find_tool(self.context)
                except ProvenanceError as error:
                    self._tool = error
            if isinstance(self._tool, ProvenanceError):
                raise self._tool
            return self._tool
