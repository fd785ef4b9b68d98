"""Taking an image over: everything it holds into one layout, and of that an OCI image for each platform."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ...provenance.attest.resource import ResourceDescriptor
from ...provenance.errors import BuildError, InputChangedError
from ...provenance.oci.annotations import annotate
from ...provenance.oci.archive import read_archive
from ...provenance.oci.convert import to_oci
from ...provenance.oci.select import select
from ...provenance.oci.writer import LayoutWriter, copy_layout
from ...provenance.platform import Platform
from ...provenance.record import IMAGE
from ...provenance.source import time_of
from ..builder import Built
from ..freshness.inputs import Kind, key
from ..image.annotations import Origin, wanted, wanted_elsewhere
from ..upstream import read_upstream
from .inputs import declare, measure, remember, resolution
from .units import ARCHIVES, BUILD_TYPE, REMOTE, Place, external, from_repository, platforms_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ...provenance.oci.model import Descriptor
    from ...provenance.oci.select import Selection
    from ..builder import Artifact
    from ..context import Context
    from ..freshness.inputs import Inputs
    from ..workspace import Workspace
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
    """What the source held, in a layout of its own.

    Attributes:
        inputs: all of them, as they were before and after.
        files: those that are files, by their paths from the repository's root.
        upstream: the artifact that is the archive, if it is one.
    """

    writer: LayoutWriter
    selection: Selection
    inputs: Inputs
    files: Mapping[str, str]
    upstream: tuple[ResourceDescriptor, ...]


def take(context: Context, unit: Unit, folders: Mapping[Artifact, Path], scratch: Path) -> dict[Artifact, Taken]:
    """Take an image over.

    Args:
        context: of the image.
        unit: the image.
        folders: the artifacts that are wanted, to the folder that receives the layout of each; what was there goes.
        scratch: a folder for what the source holds; nothing of it is needed afterwards.

    Raises:
        BuildError: there is no such source, or it holds other platforms than provenance.toml says.
        InputChangedError: the source changed meanwhile.
        ProvenanceError: it can't be read, is damaged, or can't be written.
    """
    started = datetime.now(UTC)
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        source = _read(context, unit, scratch)
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
                files=source.files,
                inputs=source.inputs,
                started=started,
                finished=finished,
            ),
            created=created,
            materials=(_material(unit, artifact, source.selection), *source.upstream),
        )
        for artifact, path in images.items()
    }


def _read(context: Context, unit: Unit, scratch: Path) -> _Source:
    declared = declare(context, unit)
    before = measure(context.workspace, declared)
    upstream = read_upstream(context, unit.images[0].upstream)
    writer = LayoutWriter(scratch / "source")
    digest, entries = _bring(context, unit, writer, scratch)
    selection = select_from(unit, entries, writer)
    measure(context.workspace, declared).refuse_changes_since(before)
    if read_upstream(context, unit.images[0].upstream) != upstream:
        raise InputChangedError(f"`{unit.source.name}` changed while it was read", hint="run again")
    resolved: Inputs = {}
    if unit.source.place in REMOTE:
        remember(context, unit.source, digest)
        resolved = {resolution(unit.source): digest}
    artifacts = {key(Kind.ARTIFACT, id_): str(one.digest) for id_, one in upstream.items()}
    return _Source(
        writer=writer,
        selection=selection,
        inputs={**declared.values, **before.values, **artifacts, **resolved},
        files={from_repository(context.workspace, name): sha256 for name, sha256 in before.files.items()},
        upstream=tuple(
            ResourceDescriptor(name=id_, digest=dict(one.digest.as_digest_set()), annotations={"file": one.file})
            for id_, one in upstream.items()
        ),
    )


def _material(unit: Unit, artifact: Artifact, selection: Selection) -> ResourceDescriptor:
    """Return the image as the source had it: its index, or the manifest where there is none."""
    held = selection.index or selection.images[Platform.parse(artifact.platform)]
    return ResourceDescriptor(
        name=unit.oci.source or unit.oci.artifact or "",
        digest={"sha256": held.sha256},
        media_type=held.media_type,
    )


def _bring(context: Context, unit: Unit, writer: LayoutWriter, scratch: Path) -> tuple[str, tuple[Descriptor, ...]]:
    """Bring all that the source holds into a layout; return a remote one's digest, and the entries."""
    source = unit.source
    if source.place in REMOTE:
        from .remote import bring

        return bring(source, writer, scratch / "engine.tar")
    if source.place is Place.LAYOUT:
        return "", copy_layout((context.workspace.root / source.name).resolve(), writer)
    path = context.workspace.root / source.name
    if source.place not in ARCHIVES:
        (one,) = read_upstream(context, unit.images[0].upstream).values()
        path = context.workspace.root / one.path
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
