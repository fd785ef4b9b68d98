"""Taking an image over: everything it holds into one layout, and of that an OCI image for each platform."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ....provenance.attest.resource import ResourceDescriptor
from ....provenance.errors import BuildError
from ....provenance.oci.annotations import annotate
from ....provenance.oci.archive import read_archive
from ....provenance.oci.convert import to_oci
from ....provenance.oci.select import select
from ....provenance.oci.writer import LayoutWriter, copy_layout
from ....provenance.platform import Platform
from ....provenance.record import IMAGE
from ....provenance.source import time_of
from ...builder import Built
from ..annotations import Origin, wanted, wanted_elsewhere
from .inputs import refuse_missing, remember, resolution
from .units import ARCHIVES, BUILD_TYPE, REMOTE, Place, external, platforms_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ....provenance.oci.model import Descriptor
    from ....provenance.oci.select import Selection
    from ...builder import Artifact
    from ...context import Context
    from ...freshness.inputs import Inputs
    from ...freshness.snapshot import Snapshot
    from ...workspace import Workspace
    from .units import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An image that was taken over.

    Attributes:
        created: the time of its sources.
        materials: what it was made of, by digest.
    """

    built: Built
    created: datetime
    materials: tuple[ResourceDescriptor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """The content of the source, in a layout of its own.

    Attributes:
        resolved: the digest of a remote source, as an input.
        files: the workspace's files that it was read from, by their paths from the repository's root, to sha256.
    """

    writer: LayoutWriter
    selection: Selection
    resolved: Inputs
    files: Mapping[str, str]


def take(context: Context, unit: Unit, snapshots: Mapping[Artifact, Snapshot], scratch: Path) -> dict[Artifact, Taken]:
    """Take an image over.

    Args:
        context: the run.
        unit: the image.
        snapshots: the artifacts that are wanted, with their inputs.
        scratch: a folder for what the source holds; nothing of it is needed afterwards.

    Raises:
        BuildError: there is no such source, or it holds other platforms than provenance.toml says.
        ProvenanceError: it can't be read, is damaged, or can't be written.
    """
    started = datetime.now(UTC)
    folders = {artifact: context.scratch_dir(artifact) for artifact in snapshots}
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        source = _read(context, unit, next(iter(snapshots.values())), scratch)
        images = {
            artifact: _image(context.workspace, unit, artifact, source, folder) for artifact, folder in folders.items()
        }
    except BaseException:
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    created = time_of(context.workspace.source, sorted(source.files))
    finished = datetime.now(UTC)
    return {
        artifact: Taken(
            built=Built(
                path=path,
                build_type=BUILD_TYPE,
                external=external(context.workspace, unit.oci),
                internal={"platform": artifact.platform},
                resolved=source.resolved,
                started=started,
                finished=finished,
            ),
            created=created,
            materials=(
                _material(unit, artifact, source.selection),
                *(one.material for one in snapshots[artifact].upstream.values()),
            ),
        )
        for artifact, path in images.items()
    }


def _read(context: Context, unit: Unit, snapshot: Snapshot, scratch: Path) -> _Source:
    refuse_missing(snapshot)
    writer = LayoutWriter(scratch / "source")
    digest, entries = _bring(context, unit, snapshot, writer, scratch)
    resolved: Inputs = {}
    if unit.source.place in REMOTE:
        remember(context, unit.source, digest)
        resolved = {resolution(unit.source): digest}
    return _Source(
        writer=writer,
        selection=select_from(unit, entries, writer),
        resolved=resolved,
        files=snapshot.in_repository(context.workspace),
    )


def _material(unit: Unit, artifact: Artifact, selection: Selection) -> ResourceDescriptor:
    """Return the image as the source had it: its index, or the manifest where there is none."""
    held = selection.index or selection.images[Platform.parse(artifact.platform)]
    return ResourceDescriptor(
        name=unit.oci.source or unit.oci.artifact or "",
        digest={"sha256": held.sha256},
        media_type=held.media_type,
    )


def _bring(
    context: Context, unit: Unit, snapshot: Snapshot, writer: LayoutWriter, scratch: Path
) -> tuple[str, tuple[Descriptor, ...]]:
    """Bring all that the source holds into a layout; return a remote one's digest, and the entries."""
    source = unit.source
    if source.place in REMOTE:
        from .remote import bring

        return bring(source, writer, scratch / "engine.tar")
    if source.place is Place.LAYOUT:
        return "", copy_layout((context.workspace.root / source.name).resolve(), writer)
    path = context.workspace.root / source.name
    if source.place not in ARCHIVES:
        (archive,) = snapshot.upstream.values()
        path = context.workspace.root / archive.path
    return "", read_archive(path, writer)


def select_from(unit: Unit, entries: Sequence[Descriptor], writer: LayoutWriter) -> Selection:
    """Return the image of a source, which has to hold the platforms of provenance.toml and no others.

    Raises:
        BuildError: it holds others.
        ProvenanceError: it holds no image, or several.
    """
    selection = select(entries, writer)
    asked = set(platforms_of(unit.oci))
    missing = sorted(map(str, asked - selection.images.keys()))
    absent = sorted(map(str, asked & set(selection.absent)))
    beyond = sorted(map(str, selection.images.keys() - asked))
    if missing or beyond:
        said = [
            *([f"it does not hold {_listed(missing)}"] if missing else []),
            *([f"it lists {_listed(absent)}, which is not in it"] if absent else []),
            *([f"it holds {_listed(beyond)} beyond these"] if beyond else []),
        ]
        held = ", ".join(f'"{platform}"' for platform in sorted(map(str, selection.images)))
        raise BuildError(
            f"`oci:{unit.oci.name}` is for {_listed(sorted(map(str, asked)))}, and its source is not: "
            + "; ".join(said),
            hint=f"write `platforms = [{held}]`, or make the source hold the others" if held else None,
        )
    return selection


def _image(workspace: Workspace, unit: Unit, artifact: Artifact, source: _Source, folder: Path) -> Path:
    """Write the layout of one platform."""
    shutil.rmtree(folder, ignore_errors=True)
    writer = LayoutWriter(folder / IMAGE)
    held = source.selection.images[Platform.parse(artifact.platform)]
    manifest = writer.take_image(source.writer, held)
    config, name, configured = writer.config(manifest), unit.oci.name, unit.oci.annotations
    if unit.origin is Origin.WORKSPACE:
        said = wanted(workspace, name, configured, config=config, files=source.files)
    else:
        said = wanted_elsewhere(workspace, name, configured, config=config)
    # What the source says of all its images goes with each, and from there back to the index over them.
    said |= source.selection.annotations
    writer.finish(annotate(to_oci(held, writer), said, writer))
    return writer.folder


def _listed(platforms: Sequence[str]) -> str:
    return ", ".join(f"`{platform}`" for platform in platforms)
