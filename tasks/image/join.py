"""Joining the images of several platforms in an index, by their digests, wherever each was built."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ...provenance.attest.resource import ResourceDescriptor
from ...provenance.errors import InputChangedError
from ...provenance.oci import annotations as keys
from ...provenance.oci.compose import Part, compose
from ...provenance.oci.layout import opened_layout
from ...provenance.oci.writer import LayoutWriter
from ...provenance.platform import Platform
from ...provenance.record import IMAGE
from ...provenance.source import time_of
from ..builder import Artifact, Built
from ..freshness.inputs import Kind, key
from ..upstream import read_upstream
from .describe import describe_index
from .index import declare_index

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ...provenance.digest import Digest
    from ...provenance.sbom.inventory import Inventory
    from ..context import Context
    from .index import IndexOf


def build_index(context: Context, artifact: Artifact, of: IndexOf, folder: Path) -> Built:
    """Join the images of the output folder.

    Args:
        context: of the index.
        artifact: the index; its upstream artifacts are the images.
        of: what else it is made of.
        folder: receives the layout; what was there is removed.

    Raises:
        InputChangedError: an image is not what its record says, or changed meanwhile.
        ProvenanceError: an image can't be read, or the index not be written.
    """
    started = datetime.now(UTC)
    before = read_upstream(context, artifact.upstream)
    parts = [
        Part(platform=Platform.parse(context.artifacts[id_].platform), path=context.workspace.root / one.path)
        for id_, one in before.items()
    ]
    shutil.rmtree(folder, ignore_errors=True)
    writer = LayoutWriter(folder / IMAGE)
    root = compose(parts, {**_newest(parts), **of.annotations}, writer)
    writer.finish(root)
    if any(one != before[id_] for id_, one in read_upstream(context, artifact.upstream).items()):
        raise InputChangedError(f"an image changed while `{artifact.id}` was made of it", hint="run again")
    return Built(
        path=writer.folder,
        build_type=of.build_type,
        external=of.external,
        internal={},
        files={},
        inputs={
            **declare_index(of.chosen).values,
            **{key(Kind.ARTIFACT, id_): str(one.digest) for id_, one in before.items()},
        },
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
    return inventory, [
        ResourceDescriptor(
            name=id_,
            digest=dict(one.digest.as_digest_set()),
            media_type=one.media_type or "",
            annotations={"file": one.file},
        )
        for id_, one in images.items()
    ]


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
