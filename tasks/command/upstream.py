"""The upstream artifacts that a command is given, as the output folder holds them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...provenance.digest import sha256_file
from ...provenance.errors import InputChangedError, ToolError
from .describe import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..builder import Workspace


def read_upstream(workspace: Workspace, ids: Iterable[str]) -> dict[str, Upstream]:
    """Return these artifacts, by their ids; the bytes of each are those that its record names.

    Raises:
        UnreadableError: one has no record.
        InputChangedError: one is not what its record says.
        ToolError: one can't be read.
    """
    from ..flow.flow import read_record

    found = {}
    for id_ in ids:
        artifact = workspace.artifacts[id_]
        place = workspace.output / artifact.folder
        record = read_record(place)
        path = place / record.file
        try:
            sha256 = sha256_file(path)
        except OSError as error:
            raise ToolError(f"the upstream artifact `{id_}` can't be read: {error.strerror}") from error
        if sha256 != record.digest.sha256:
            raise InputChangedError(f"the upstream artifact `{id_}` is not what its record says", hint="run again")
        relative = os.path.relpath(path, workspace.root)
        found[id_] = Upstream(id=id_, name=artifact.name, path=relative, digest=record.digest)
    return found
