"""What can change an image that is taken over, and its value at one moment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ....provenance.errors import BuildError, quoted
from ...builder import Declared
from ...freshness.inputs import Kind, key, parts
from ..annotations import Origin
from .units import ARCHIVES, REMOTE, Place

if TYPE_CHECKING:
    from ...context import Context
    from ...freshness.snapshot import Snapshot
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


def refuse_missing(snapshot: Snapshot) -> None:
    """Require every file of the source.

    Raises:
        BuildError: the archive or layout is missing.
    """
    for input_ in snapshot.missing:
        raise BuildError(f"there is no image at {quoted(parts(input_)[1].removesuffix('/**'))}", hint=_HINT)


_HINT = "build it first, correct `source` in provenance.toml, or let `artifact` name the artifact that is the archive"
