"""What can change an image that is taken over, and its value at one moment."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...provenance.errors import BuildError, InputChangedError, quoted
from ..builder import Declared
from ..freshness.inputs import ABSENT, Kind, Meter, key, names_digest, parts
from ..image.annotations import Origin
from .units import ARCHIVES, REMOTE, Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..context import Context
    from ..freshness.inputs import Inputs
    from ..workspace import Workspace
    from .units import Source, Unit

UNKNOWN = "unknown"
"""What stands for the digest of a remote image that nobody has looked up yet: no build has had it as an input."""
_SOURCE, _ANNOTATIONS = key(Kind.SETTING, "source"), key(Kind.SETTING, "annotations")


def resolution(source: Source) -> str:
    """Return the key under which the digest of a remote image is an input."""
    return key(Kind.RESOLUTION, f"{source.place}:{source.name}")


def declare(context: Context, unit: Unit) -> Declared:
    """Return the inputs of an image; the engine or the registry is asked only if `pull` says so.

    Raises:
        ToolError: the engine can't be asked.
        RegistryError: the registry can't be asked.
    """
    source = unit.source
    values = {
        _SOURCE: json.dumps([source.place, source.name]),
        _ANNOTATIONS: unit.chosen(context.workspace),
    }
    measured: list[str] = []
    if unit.origin is Origin.WORKSPACE:
        measured.append(key(Kind.VARIABLE, "SOURCE_DATE_EPOCH"))  # what the image says of its time
    if source.place in ARCHIVES:
        measured.append(key(Kind.FILE, source.name))
    elif source.place is Place.LAYOUT:
        measured.append(key(Kind.GLOB, f"{source.name}/**"))
    elif source.place in REMOTE:
        values[resolution(source)] = _looked_up(source) if unit.oci.pull else remembered(context, source)
    return Declared(values=values, measured=measured)


def remembered(context: Context, source: Source) -> str:
    """Return the digest of a remote image as the last build found it."""
    found = context.memory.get(resolution(source))
    return found if isinstance(found, str) else UNKNOWN


def remember(context: Context, source: Source, digest: str) -> None:
    """Keep the digest of a remote image for runs to come."""
    context.memory.put(resolution(source), digest)


def _looked_up(source: Source) -> str:
    from .remote import look_up

    return look_up(source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The files that an image is taken from, at one moment.

    Attributes:
        values: as inputs, by their keys.
        files: path from the workspace's root to sha256.
    """

    values: Inputs
    files: Mapping[str, str]

    def refuse_changes_since(self, before: Measured) -> None:
        """Compare with the same files before.

        Raises:
            InputChangedError: one of them differs.
        """
        for of in sorted({**before.values, **self.values}):
            if self.values.get(of) != before.values.get(of):
                raise InputChangedError(
                    f"an input changed while it was read: {quoted(parts(of)[1])}", hint="run again when it holds still"
                )


def measure(workspace: Workspace, declared: Declared) -> Measured:
    """Measure what was declared, and each file that a pattern stands for.

    Raises:
        BuildError: there is no such file.
        ToolError: one can't be read.
    """
    meter = Meter(workspace.root)  # what another builder has left in a folder of its own may well be the source
    values: dict[str, str] = {}
    files: dict[str, str] = {}
    for of in declared.measured:
        kind, name = parts(of)
        if kind is Kind.VARIABLE:
            values[of] = meter.measure(of)
            continue
        names = meter.files(of) if kind is Kind.GLOB else (name,)
        if kind is Kind.GLOB:
            values[of] = names_digest(names)
        for one in names:
            files[one] = values[key(Kind.FILE, one)] = meter.measure(key(Kind.FILE, one))
        if not names or ABSENT in values.values():
            raise BuildError(f"there is no image at {quoted(name.removesuffix('/**'))}", hint=_HINT)
    return Measured(values=values, files=files)


_HINT = "build it first, correct `source` in provenance.toml, or let `artifact` name the artifact that is the archive"
