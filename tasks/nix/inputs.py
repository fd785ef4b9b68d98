"""What can change an artifact of Nix: its derivation, and what is taken of the output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..builder import Declared, Form
from ..freshness.inputs import ABSENT, Kind, key
from ..images.annotations import as_input

if TYPE_CHECKING:
    from ..workspace import Workspace
    from .units import Unit

DERIVATION = key(Kind.RESOLUTION, "derivation")
_FILE, _ANNOTATIONS, _REBUILD, _BUILD_INVENTORY = (
    key(Kind.SETTING, name) for name in ("file", "annotations", "rebuild", "build-inventory")
)


def declare(workspace: Workspace, unit: Unit) -> Declared:
    """Return the inputs of an artifact.

    An equal derivation builds equal things, whatever changed in the tree that it came from: so no file is an input.
    """
    config = workspace.config.nix
    values = {
        DERIVATION: unit.package.derivation or ABSENT,
        _FILE: json.dumps([unit.package.output, unit.pattern]),
    }
    if unit.artifact.form is Form.IMAGE:
        values[_ANNOTATIONS] = as_input(workspace, unit.artifact.name, {})
    if config.rebuild:
        values[_REBUILD] = "true"
    if config.build_inventory:
        values[_BUILD_INVENTORY] = "true"
    return Declared(values=values)
