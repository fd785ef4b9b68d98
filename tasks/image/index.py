"""The index over the images of several platforms: an artifact of its own, made of theirs by digest."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ...provenance.errors import InputChangedError
from ...provenance.oci import annotate
from ...provenance.oci.layout import LayoutWriter, opened_layout
from ...provenance.platform import Platform
from ...provenance.record import IMAGE
from ...provenance.source import time_of
from ..builder import Artifact, Built, Declared, Form
from ..freshness.inputs import Kind, key
from ..upstream import read_upstream
from .annotations import as_input, settled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ...provenance.attest.resource import ResourceDescriptor
    from ...provenance.digest import Digest
    from ...provenance.json import JSONValue
    from ...provenance.oci.compose import Part
    from ...provenance.sbom.inventory import Inventory
    from ..builder import Workspace

INDEX = "index"
"""Where an artifact's id has a platform, that of an index has this."""
_ANNOTATIONS = key(Kind.SETTING, "annotations")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOf:
    """What an index is made of, beside its images.

    Attributes:
        name: the image's.
        annotations: of its table in provenance.toml.
        build_type: URI of the page that says what the parameters mean.
        external: what the user chose (SLSA v1, externalParameters).
    """

    name: str
    annotations: Mapping[str, str]
    build_type: str
    external: Mapping[str, JSONValue]


def index_artifact(images: Sequence[Artifact]) -> Artifact:
    """Return the artifact that is the index over images of one name, for two platforms or more."""
    first = images[0]
    return Artifact(
        builder=first.builder,
        name=first.name,
        platform=INDEX,
        group=f"{first.builder}:{first.name}@{INDEX}",
        file=IMAGE,
        form=Form.IMAGE,
        upstream=tuple(image.id for image in images),
    )


def declare_index(workspace: Workspace, of: IndexOf) -> Declared:
    """Return the inputs of an index that are no artifacts."""
    return Declared(values={_ANNOTATIONS: as_input(settled(workspace, of.name, of.annotations))})


def build_index(workspace: Workspace, artifact: Artifact, of: IndexOf, folder: Path) -> Built:
    """Join the images of the output folder.

    Args:
        workspace: of the index.
        artifact: the index; its upstream artifacts are the images.
        of: what else it is made of.
        folder: receives the layout; what was there is removed.

    Raises:
        InputChangedError: an image is not what its record says, or changed meanwhile.
        ProvenanceError: an image can't be read, or the index not be written.
    """
    from ...provenance.oci.compose import Part, compose

    started = datetime.now(UTC)
    before = read_upstream(workspace, artifact.upstream)
    parts = [
        Part(platform=Platform.parse(workspace.artifacts[id_].platform), path=workspace.root / one.path)
        for id_, one in before.items()
    ]
    shutil.rmtree(folder, ignore_errors=True)
    writer = LayoutWriter(folder / IMAGE)
    said = settled(workspace, of.name, of.annotations) | _newest(parts)
    root = compose(parts, said, writer)
    writer.finish(root)
    if any(one != before[id_] for id_, one in read_upstream(workspace, artifact.upstream).items()):
        raise InputChangedError(f"an image changed while `{artifact.id}` was made of it", hint="run again")
    return Built(
        path=writer.folder,
        build_type=of.build_type,
        external=of.external,
        internal={},
        files={},
        inputs={
            **declare_index(workspace, of).values,
            **{key(Kind.ARTIFACT, id_): str(one.digest) for id_, one in before.items()},
        },
        started=started,
        finished=datetime.now(UTC),
    )


def describe(
    workspace: Workspace, artifact: Artifact, path: Path, digest: Digest
) -> tuple[Inventory, Sequence[ResourceDescriptor]]:
    """Return what is in an index, and the images that it was made of, by digest.

    Raises:
        ProvenanceError: the evidence of an image does not hold.
        InputChangedError: it is of another image than the one in the index.
    """
    from ...provenance.attest.resource import ResourceDescriptor
    from .describe import describe_index

    with opened_layout(path) as layout:
        created = _time(layout.manifest(layout.root).annotations.get(annotate.CREATED, ""))
        held = {descriptor.digest for descriptor, _ in layout.images()}
    images = read_upstream(workspace, artifact.upstream)
    for id_, one in images.items():
        if str(one.digest) not in held:
            raise InputChangedError(f"`{id_}` changed while `{artifact.id}` was made of it", hint="run again")
    inventory = describe_index(workspace, artifact, path, digest, created=created or time_of(workspace.source, []))
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
            times.append(layout.manifest(layout.root).annotations.get(annotate.CREATED, ""))
    newest = max(times, default="")
    return {annotate.CREATED: newest} if newest else {}


def _time(text: str) -> datetime | None:
    """Read a time as images have it (RFC 3339); `None`: it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
