"""What `[oci.NAME]` comes to: where each image is taken from, and its artifacts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ....provenance.platform import Platform
from ....provenance.record import IMAGE
from ...builder import Artifact, Form
from ..annotations import Origin, as_input, settled
from ..index import IndexOf, index_artifact
from . import BUILDER

if TYPE_CHECKING:
    from ....provenance.config import Oci
    from ....provenance.json import JSONValue
    from ...artifacts import Ids
    from ...workspace import Workspace

BUILD_TYPE = "https://github.com/doit-provenance/doit-provenance/blob/main/docs/build-types/oci.v1.md"


class Place(StrEnum):
    """Where an image is: how its source begins, but for an artifact's."""

    DOCKER_ARCHIVE = "docker-archive"
    OCI_ARCHIVE = "oci-archive"
    LAYOUT = "oci"
    ENGINE = "docker-daemon"
    REGISTRY = "docker"
    ARTIFACT = "artifact"


ARCHIVES = frozenset({Place.DOCKER_ARCHIVE, Place.OCI_ARCHIVE})
REMOTE = frozenset({Place.ENGINE, Place.REGISTRY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where an image is taken from.

    Attributes:
        name: a path from the workspace's root, the engine's name of it, a reference, or a reference to an artifact.
    """

    place: Place
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One image.

    Attributes:
        images: its artifacts, one for each platform, in the order of provenance.toml.
        index: over them; `None`: there is one platform.
    """

    oci: Oci
    source: Source
    images: tuple[Artifact, ...]
    index: Artifact | None

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """All of them."""
        return (*self.images, self.index) if self.index else self.images

    @property
    def origin(self) -> Origin:
        """Where the image was built, as far as anybody knows."""
        return Origin.ELSEWHERE if self.source.place in REMOTE else Origin.WORKSPACE

    def chosen(self, workspace: Workspace) -> str:
        """Return what the annotations come from, as the value of an input."""
        return as_input(workspace, self.oci.name, self.oci.annotations)

    def index_of(self, workspace: Workspace) -> IndexOf:
        """Return what the index is made of."""
        return IndexOf(
            name=self.oci.name,
            annotations=settled(workspace, self.oci.name, self.oci.annotations, self.origin),
            chosen=self.chosen(workspace),
            build_type=BUILD_TYPE,
            external=external(workspace, self.oci),
        )


def external(workspace: Workspace, oci: Oci) -> dict[str, JSONValue]:
    """Return what the user chose (SLSA v1, externalParameters); `docs/build-types/oci.v1.md` explains each."""
    return {
        "builder": BUILDER,
        "workspace": workspace.from_repository("."),
        "image": oci.name,
        "source": oci.source,
        "artifact": oci.artifact,
        "platforms": [str(platform) for platform in platforms_of(oci)],
        "annotations": dict(oci.annotations),
        "pull": oci.pull,
    }


def platforms_of(oci: Oci) -> list[Platform]:
    """Return the platforms of an image.

    Raises:
        ValueError: one is none.
    """
    return [Platform.parse(text) for text in oci.platforms] or [Platform.of_host()]


def source_of(oci: Oci) -> Source:
    """Return where an image is taken from, of one that says it in one way."""
    if oci.artifact is not None:
        return Source(place=Place.ARTIFACT, name=oci.artifact)
    place, _, name = (oci.source or "").partition(":")
    return Source(place=Place(place), name=name.removeprefix("//") if place == Place.REGISTRY else name)


def unit(oci: Oci, ids: Ids) -> Unit:
    """Return the unit of an image in whose table `check.mistakes` found nothing wrong."""
    images = tuple(
        Artifact(
            builder=BUILDER,
            name=oci.name,
            platform=str(platform),
            group=f"{BUILDER}:{oci.name}",
            file=IMAGE,
            form=Form.IMAGE,
            upstream=ids.standing_for(oci.artifact) if oci.artifact else (),
        )
        for platform in platforms_of(oci)
    )
    index = index_artifact(images) if len(images) > 1 else None
    return Unit(oci=oci, source=source_of(oci), images=images, index=index)
