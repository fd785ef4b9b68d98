"""Taking an image over: everything its source holds into one layout, and from that an OCI image for each platform."""

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
from ....provenance.oci.pull import pull, resolve
from ....provenance.oci.reference import Reference
from ....provenance.oci.registry import Registry
from ....provenance.oci.select import select
from ....provenance.oci.writer import LayoutWriter, copy_layout
from ....provenance.platform import Platform
from ....provenance.record import IMAGE
from ....provenance.source import time_of
from ...builder import Built
from ..annotations import Origin, wanted, wanted_elsewhere
from ..builder import BuiltImage, read_platforms
from ..docker import engine
from .artifacts import ARCHIVES, BUILD_TYPE, REMOTE, Place, Source, external, refuse_missing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ....provenance.config import Oci
    from ....provenance.oci.model import Descriptor
    from ....provenance.oci.select import Selection
    from ...artifacts import Artifact
    from ...context import Context
    from ...freshness.inputs import Inputs
    from ...freshness.snapshot import Snapshot
    from ...workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """The content of a source, in a layout of its own.

    Attributes:
        resolved: the digest of a remote source, as an input.
        files: the workspace's files that it was read from: path from the repository's root to sha256.
    """

    writer: LayoutWriter
    selection: Selection
    resolved: Inputs
    files: Mapping[str, str]


def take(
    context: Context, oci: Oci, snapshots: Mapping[Artifact, Snapshot], scratch: Path
) -> dict[Artifact, BuiltImage]:
    """Take an image over.

    Args:
        context: the run.
        oci: the image.
        snapshots: the artifacts to make, with their inputs.
        scratch: a folder for the source's content; it is removed afterwards.

    Raises:
        BuildError: the source is missing, or holds other platforms than provenance.toml says.
        ProvenanceError: it can't be read, is damaged, or can't be written.
    """
    started = datetime.now(UTC)
    folders = {artifact: context.scratch_dir(artifact) for artifact in snapshots}
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        content = _read(context, oci, next(iter(snapshots.values())), scratch)
        images = {
            artifact: _write_image(context.workspace, oci, artifact, content, folder)
            for artifact, folder in folders.items()
        }
    except BaseException:
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    created = time_of(context.workspace.source, sorted(content.files))
    return {
        artifact: BuiltImage(
            built=Built(
                path=path,
                build_type=BUILD_TYPE,
                external=external(context.workspace, oci),
                internal={"platform": artifact.platform},
                resolved=content.resolved,
                started=started,
                finished=datetime.now(UTC),
            ),
            created=created,
            materials=(
                _material(oci, artifact, content.selection),
                *(upstream.material for upstream in snapshots[artifact].upstream.values()),
            ),
        )
        for artifact, path in images.items()
    }


def _read(context: Context, oci: Oci, snapshot: Snapshot, scratch: Path) -> _Content:
    """Copy everything that the source holds into a layout."""
    refuse_missing(snapshot)
    writer, source, resolved = LayoutWriter(scratch / "source"), Source.of(oci), {}
    path = context.workspace.root / source.name
    if source.place in REMOTE:
        digest, entries = bring(source, writer, scratch / "engine.tar")
        context.memory.put(source.resolution, digest)
        resolved = {source.resolution: digest}
    elif source.place is Place.LAYOUT:
        entries = copy_layout(path.resolve(), writer)
    elif source.place in ARCHIVES:
        entries = read_archive(path, writer)
    else:
        (archive,) = snapshot.upstream.values()
        entries = read_archive(context.workspace.root / archive.path, writer)
    return _Content(
        writer=writer,
        selection=_select(oci, entries, writer),
        resolved=resolved,
        files=snapshot.in_repository(context.workspace),
    )


def look_up(source: Source) -> str:
    """Return the digest of a remote image: the engine's image id, or the digest of the registry's manifest.

    Raises:
        ToolError: the engine can't be asked, or has no such image.
        RegistryError: the registry can't be asked, or has no such image.
    """
    if source.place is Place.ENGINE:
        return engine.image_id(source.name)
    with Registry() as registry:
        return resolve(registry, Reference.parse(source.name)).digest


def bring(source: Source, writer: LayoutWriter, scratch: Path) -> tuple[str, tuple[Descriptor, ...]]:
    """Copy a remote image into a layout; return its digest (`look_up`) and its entries.

    Args:
        source: where it is.
        writer: of the layout.
        scratch: path of a temporary file.

    Raises:
        ToolError: the engine can't be asked, has no such image, or breaks off.
        RegistryError: likewise a registry.
        UnreadableError: what came is no image.
        VerificationError: its bytes don't match their digests.
        StoreError: it can't be written.
    """
    if source.place is Place.ENGINE:
        try:
            digest = engine.save(source.name, scratch)
            return digest, read_archive(scratch, writer)
        finally:
            scratch.unlink(missing_ok=True)
    with Registry() as registry:
        reference = Reference.parse(source.name)
        root = resolve(registry, reference)
        pull(registry, reference, root, writer)
    return root.digest, (root,)


def _material(oci: Oci, artifact: Artifact, selection: Selection) -> ResourceDescriptor:
    """Return the image as the source has it: its index, or the manifest if there is no index."""
    descriptor = selection.index or selection.images[Platform.parse(artifact.platform)]
    return ResourceDescriptor(
        name=oci.source or oci.artifact or "",
        digest={"sha256": descriptor.sha256},
        media_type=descriptor.media_type,
    )


def _select(oci: Oci, entries: Sequence[Descriptor], writer: LayoutWriter) -> Selection:
    """Return the image of a source, which must hold exactly the platforms of provenance.toml."""
    selection = select(entries, writer)
    wanted_platforms = set(read_platforms(oci.platforms))
    missing = sorted(map(str, wanted_platforms - selection.images.keys()))
    absent = sorted(map(str, wanted_platforms & set(selection.absent)))
    beyond = sorted(map(str, selection.images.keys() - wanted_platforms))
    if missing or beyond:
        reasons = [
            *([f"it does not hold {_listed(missing)}"] if missing else []),
            *([f"it lists {_listed(absent)}, which is not in it"] if absent else []),
            *([f"it holds {_listed(beyond)} beyond these"] if beyond else []),
        ]
        held = ", ".join(f'"{platform}"' for platform in sorted(map(str, selection.images)))
        raise BuildError(
            f"`oci:{oci.name}` is for {_listed(sorted(map(str, wanted_platforms)))}, and its source is not: "
            + "; ".join(reasons),
            hint=f"write `platforms = [{held}]`, or make the source hold the others" if held else None,
        )
    return selection


def _write_image(workspace: Workspace, oci: Oci, artifact: Artifact, content: _Content, folder: Path) -> Path:
    """Write the layout of one platform."""
    shutil.rmtree(folder, ignore_errors=True)
    writer = LayoutWriter(folder / IMAGE)
    descriptor = content.selection.images[Platform.parse(artifact.platform)]
    config = writer.config(writer.take_image(content.writer, descriptor))
    if Source.of(oci).origin is Origin.WORKSPACE:
        annotations = wanted(workspace, oci.name, oci.annotations, config=config, files=content.files)
    else:
        annotations = wanted_elsewhere(workspace, oci.name, oci.annotations, config=config)
    # Annotations of the source's index go with each image, and from there back to the index over them.
    annotations |= content.selection.annotations
    writer.finish(annotate(to_oci(descriptor, writer), annotations, writer))
    return writer.folder


def _listed(platforms: Sequence[str]) -> str:
    return ", ".join(f"`{platform}`" for platform in platforms)
