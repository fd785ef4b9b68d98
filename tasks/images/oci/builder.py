"""The oci builder: `[oci.NAME]` to an OCI image for each platform, and to the index over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....provenance.config import Oci
from ..builder import ImageBuilder
from . import BUILDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ....provenance.json import JSONValue
    from ...artifacts import Artifact, Ids
    from ...freshness.inputs import Declared
    from ...freshness.snapshot import Snapshot
    from ..annotations import Origin
    from ..builder import BuiltImage, Image
    from .artifacts import Source


class OciBuilder(ImageBuilder[Oci]):
    """Takes over the images of `[oci.NAME]`."""

    name = BUILDER

    def _tables(self) -> Sequence[Oci]:
        return self.workspace.config.ocis

    def _config_errors(self, tables: Sequence[Oci], ids: Ids) -> Iterator[str]:
        from .artifacts import config_errors

        return config_errors(tables, ids, self.context.artifacts, self.context.failed_builders)

    def _image(self, table: Oci, ids: Ids) -> Image[Oci]:
        from .artifacts import image_of

        return image_of(table, ids)

    def _declare(self, table: Oci, artifact: Artifact) -> Declared:  # noqa: ARG002 - all platforms have the same inputs
        from .artifacts import declare

        def look_up(source: Source) -> str:
            from . import take

            return take.look_up(source)

        return declare(self.context, table, look_up)

    def _build(self, table: Oci, group: str, snapshots: Mapping[Artifact, Snapshot]) -> Mapping[Artifact, BuiltImage]:
        from .take import take

        scratch = self.workspace.state / BUILDER / f"{group.partition(':')[2]}.source"
        return take(self.context, table, snapshots, scratch)

    def _build_definition(self, table: Oci) -> tuple[str, Mapping[str, JSONValue]]:
        from .artifacts import BUILD_TYPE, external

        return BUILD_TYPE, external(self.workspace, table)

    def _origin(self, table: Oci) -> Origin:
        from .artifacts import Source

        return Source.of(table).origin
