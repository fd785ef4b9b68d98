"""The index over the images of several platforms: joined by digest, wherever each image was built."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ...provenance.errors import InputChangedError
from ...provenance.oci import annotations as keys
from ...provenance.oci.compose import Part, compose
from ...provenance.oci.layout import opened_layout
from ...provenance.oci.writer import LayoutWriter
from ...provenance.platform import Platform
from ...provenance.record import IMAGE
from ...provenance.source import time_of
from ..builder import Built
from ..freshness.snapshot import read_upstream
from .describe import describe_index

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ...provenance.attest.resource import ResourceDescriptor
    from ...provenance.digest import Digest
    from ...provenance.json import JSONValue
    from ...provenance.sbom.inventory import Inventory
    from ..artifacts import Artifact
    from ..context import Context
    from ..freshness.snapshot import Snapshot


def build_index(
    context: Context,
    artifact: Artifact,
    snapshot: Snapshot,
    annotations: Mapping[str, str],
    build_type: str,
    external: Mapping[str, JSONValue],
) -> Built:
    """Join the images of the output folder.

    Args:
        context: the run.
        artifact: the index; its upstream artifacts are the images.
        snapshot: its inputs.
        annotations: that it gets for each key on whose value its images don't agree.
        build_type: URI of the page that explains the parameters.
        external: what the user chose (SLSA v1, externalParameters).

    Raises:
        ProvenanceError: an image can't be read, or the index can't be written.
    """
    started = datetime.now(UTC)
    folder = context.scratch_dir(artifact)
    parts = [
        Part(platform=Platform.parse(context.artifacts[id_].platform), path=context.workspace.root / image.path)
        for id_, image in snapshot.upstream.items()
    ]
    shutil.rmtree(folder, ignore_errors=True)
    writer = LayoutWriter(folder / IMAGE)
    writer.finish(compose(parts, {**_newest(parts), **annotations}, writer))
    return Built(
        path=writer.folder,
        build_type=build_type,
        external=external,
        internal={},
        started=started,
        finished=datetime.now(UTC),
    )


def describe(
    context: Context, artifact: Artifact, path: Path, digest: Digest
) -> tuple[Inventory, Sequence[ResourceDescriptor]]:
    """Return what is in an index, and the images that it was made of, by digest.

    Raises:
        ProvenanceError: the evidence of an image does not verify.
        InputChangedError: the output folder has another image than the index.
    """
    with opened_layout(path) as layout:
        created = _time(layout.manifest(layout.root).annotations.get(keys.CREATED, ""))
        digests = {descriptor.digest for descriptor, _ in layout.images()}
    images = read_upstream(context, artifact.upstream)
    for id_, image in images.items():
        if str(image.digest) not in digests:
            raise InputChangedError(f"`{id_}` changed while `{artifact.id}` was made of it", hint="run again")
    inventory = describe_index(
        context, artifact, path, digest, created=created or time_of(context.workspace.source, [])
    )
    return inventory, [replace(image.material, media_type=image.media_type or "") for image in images.values()]


def _newest(parts: Sequence[Part]) -> dict[str, str]:
    """Return the creation time of the newest image by its own annotation: an index is as old as its content."""
    times = []
    for part in parts:
        with opened_layout(part.path) as layout:
            times.append(layout.manifest(layout.root).annotations.get(keys.CREATED, ""))
    newest = max(times, default="")
    return {keys.CREATED: newest} if newest else {}


def _time(text: str) -> datetime | None:
    """Read a time as in annotations (RFC 3339); `None` if it is malformed."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
