"""The upstream artifacts that a builder is given, as the output folder holds them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..provenance.errors import InputChangedError, UnreadableError, VerificationError
from ..provenance.fs.folder import opened
from ..provenance.verify.artifact import measure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..provenance.digest import Digest
    from .context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """An artifact that a builder was given, as the output folder held it.

    Attributes:
        path: of its file, or of its image's layout, from the workspace's root.
        media_type: of an image's manifest or index; `None`: it is a file.
    """

    id: str
    name: str
    path: str
    digest: Digest
    media_type: str | None = None

    @property
    def file(self) -> str:
        """The name of its file or folder."""
        return self.path.rpartition("/")[2]


def read_upstream(context: Context, ids: Iterable[str]) -> dict[str, Upstream]:
    """Return these artifacts, by their ids; the bytes of each are those that its record names.

    Raises:
        UnreadableError: one has no record.
        InputChangedError: one is not what its record says.
    """
    from .pipeline.produce import read_record

    found = {}
    for id_ in ids:
        artifact = context.artifacts[id_]
        place = context.workspace.output / artifact.folder
        record = read_record(place)
        try:
            with opened(place) as folder:
                digest = measure(folder, record.names, media_type=record.media_type).digest
        except (UnreadableError, VerificationError) as error:
            raise InputChangedError(
                f"the upstream artifact `{id_}` can't be read: {error.message}", hint="run again"
            ) from error
        if digest != record.digest:
            raise InputChangedError(f"the upstream artifact `{id_}` is not what its record says", hint="run again")
        path = os.path.relpath(place / record.names.artifact, context.workspace.root)
        found[id_] = Upstream(id=id_, name=artifact.name, path=path, digest=digest, media_type=record.media_type)
    return found
