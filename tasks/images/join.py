"""Joining the images of several platforms in an index, by their digests, wherever each was built."""

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
from ..builder import Artifact, Built
from ..freshness.snapshot import read_upstream
from .describe import describe_index

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ...provenance.attest.resource import ResourceDescriptor
    from ...provenance.digest import Digest
    from ...provenance.sbom.inventory import Inventory
    from ..context import Context
    from ..freshness.snapshot import Snapshot
    from .index import IndexOf


def build_index(context: Context, artifact: Artifact, of: IndexOf, snapshot: Snapshot) -> Built:
    """Join the images of the output folder.

    Args:
        context: the run.
        artifact: the index; its upstream artifacts are the images.
        of: what else it is made of.
        snapshot: its inputs.

    Raises:
        ProvenanceError: an image can't be read, or the index not be written.
    """
    started = datetime.now(UTC)
    folder = context.scratch_dir(artifact)
    parts = [
        Part(platform=Platform.parse(context.artifacts[id_].platform), path=context.workspace.root / one.path)
        for id_, one in snapshot.upstream.items()
    ]
    shutil.rmtree(folder, ignore_errors=True)
    writer = LayoutWriter(folder / IMAGE)
    writer.finish(compose(parts, {**_newest(parts), **of.annotations}, writer))
    return Built(
        path=writer.folder,
        build_type=of.build_type,
        external=of.external,
        internal={},
        started=started,
        finished=datetime.now(UTC),
    )


def describe(
    context: Context, artifact: Artifact, path: Path, digest: Digest
) -> tuple[Inventory, Sequence[ResourceDescriptor]]:
    """Return what is in an index, and the images that it was made of, by digest.

    Raises:
        ProvenanceError: the evidence of an image does not hold.
        InputChangedError: it is of another image than the one in the index.
    """
    with opened_layout(path) as layout:
        created = _time(layout.manifest(layout.root).annotations.get(keys.CREATED, ""))
        held = {descriptor.digest for descriptor, _ in layout.images()}
    images = read_upstream(context, artifact.upstream)
    for id_, one in images.items():
        if str(one.digest) not in held:
            raise InputChangedError(f"`{id_}` changed while `{artifact.id}` was made of it", hint="run again")
    inventory = describe_index(
        context, artifact, path, digest, created=created or time_of(context.workspace.source, [])
    )
    return inventory, [replace(one.material, media_type=one.media_type or "") for one in images.values()]


def _newest(parts: Sequence[Part]) -> dict[str, str]:
    """Return the time of the newest image, as it says it itself: an index is as old as what is in it."""
    times = []
    for part in parts:
        with opened_layout(part.path) as layout:
            times.append(layout.manifest(layout.root).annotations.get(keys.CREATED, ""))
    newest = max(times, default="")
    return {keys.CREATED: newest} if newest else {}


def _time(text: str) -> datetime | None:
    """Read a time as images have it (RFC 3339); `None`: it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
