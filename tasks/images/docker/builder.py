"""The docker builder: `[docker.NAME]` to an OCI image for each platform, and to the index over them."""

from __future__ import annotations

import contextlib
import threading
from functools import cached_property
from typing import TYPE_CHECKING

from ....provenance.config import Docker
from ....provenance.errors import ProvenanceError
from ..builder import ImageBuilder
from . import BUILDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ....provenance.json import JSONValue
    from ...artifacts import Artifact, Ids
    from ...context import Context
    from ...freshness.inputs import Declared
    from ...freshness.snapshot import Snapshot
    from ..builder import BuiltImage, Image
    from .buildx import Tool
    from .pins import Pins


class DockerBuilder(ImageBuilder[Docker]):
    """Builds the images of `[docker.NAME]`."""

    name = BUILDER

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._tool_lock = threading.Lock()
        self._tool: Tool | ProvenanceError | None = None
        self._engine_lock = threading.Lock()

    def _tables(self) -> Sequence[Docker]:
        return self.workspace.config.dockers

    def _config_errors(self, tables: Sequence[Docker], ids: Ids) -> Iterator[str]:
        from .artifacts import config_errors

        return config_errors(tables, ids, self.context.artifacts, self.context.failed_builders)

    def _image(self, table: Docker, ids: Ids) -> Image[Docker]:
        from .artifacts import image_of

        return image_of(table, ids)

    def _declare(self, table: Docker, artifact: Artifact) -> Declared:
        from .buildx import tool_value
        from .inputs import declare

        return declare(self.context, table, artifact, self._pins, lambda: tool_value(self.context, self._find_tool))

    def _build(
        self,
        table: Docker,
        group: str,  # noqa: ARG002 - each platform is built by itself
        snapshots: Mapping[Artifact, Snapshot],
    ) -> Mapping[Artifact, BuiltImage]:
        from .build import build

        ((artifact, snapshot),) = snapshots.items()
        tool = self._find_tool()
        # An engine's store knows one image by each name at a time.
        with contextlib.nullcontext() if tool.argv else self._engine_lock:
            return {artifact: build(self.context, table, artifact, tool, self._pins, snapshot)}

    def _build_definition(self, table: Docker) -> tuple[str, Mapping[str, JSONValue]]:
        from .artifacts import BUILD_TYPE, external

        return BUILD_TYPE, external(table)

    @cached_property
    def _pins(self) -> Pins:
        from .buildx import look_up
        from .pins import Pins

        return Pins(self.context, lambda reference: look_up(reference, self._find_tool(), self.workspace.root))

    def _find_tool(self) -> Tool:
        """Return what builds in this run; it is asked once, since one that does not answer takes its time.

        Raises:
            ProvenanceError: there is nothing that builds.
        """
        from .buildx import find_tool

        with self._tool_lock:
            if self._tool is None:
                try:
                    self._tool = find_tool(self.context)
                except ProvenanceError as error:
                    self._tool = error
            if isinstance(self._tool, ProvenanceError):
                raise self._tool
            return self._tool
