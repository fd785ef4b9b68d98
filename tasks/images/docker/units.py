"""What `[docker.NAME]` comes to: its artifacts, and what goes into each of them."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ....provenance.platform import Platform
from ....provenance.record import IMAGE
from ...builder import Artifact, Form
from ..annotations import as_input, settled
from ..index import IndexOf, index_artifact
from . import BUILDER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ....provenance.config import Docker
    from ....provenance.json import JSONValue
    from ...artifacts import Ids
    from ...workspace import Workspace

BUILD_TYPE = "https://github.com/doit-provenance/doit-provenance/blob/main/docs/build-types/docker.v1.md"
IMAGE_CONTEXT = "docker-image://"
"""How a named context begins that is an image."""
_ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One image.

    Attributes:
        images: its artifacts, one for each platform, in the order of provenance.toml.
        index: over them; `None`: there is one platform.
    """

    docker: Docker
    images: tuple[Artifact, ...]
    index: Artifact | None

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """All of them."""
        return (*self.images, self.index) if self.index else self.images

    def index_of(self, workspace: Workspace) -> IndexOf:
        """Return what the index is made of."""
        docker = self.docker
        return IndexOf(
            name=docker.name,
            annotations=settled(workspace, docker.name, docker.annotations),
            chosen=as_input(workspace, docker.name, docker.annotations),
            build_type=BUILD_TYPE,
            external=external(docker),
        )


def dockerfile_of(docker: Docker) -> str:
    """Return the path of an image's Dockerfile from the workspace's root."""
    return posixpath.normpath(docker.dockerfile or f"{docker.context}/Dockerfile")


def folders_of(docker: Docker) -> dict[str, str]:
    """Return the named contexts that are folders, by name, as paths from the workspace's root."""
    return {name: at for name, at in docker.contexts.items() if not at.startswith(IMAGE_CONTEXT)}


def image_contexts_of(docker: Docker) -> dict[str, str]:
    """Return the named contexts that are images, by name, as references."""
    return {
        name: at.removeprefix(IMAGE_CONTEXT) for name, at in docker.contexts.items() if at.startswith(IMAGE_CONTEXT)
    }


def secret_ids(docker: Docker) -> list[str]:
    """Return the ids of an image's secrets; where their values come from is nobody else's business."""
    words = (word for secret in docker.secrets for word in secret.split(","))
    return sorted(word.removeprefix("id=") for word in words if word.startswith("id="))


def external(docker: Docker) -> dict[str, JSONValue]:
    """Return what the user chose (SLSA v1, externalParameters); `docs/build-types/docker.v1.md` explains each."""
    ids: list[JSONValue] = [*secret_ids(docker)]
    return {
        "builder": BUILDER,
        "image": docker.name,
        "context": docker.context,
        "dockerfile": dockerfile_of(docker),
        "platforms": [str(platform) for platform in platforms_of(docker)],
        "args": dict(docker.args),
        "target": docker.target,
        "secrets": ids,
        "contexts": dict(docker.contexts),
        "artifacts": list(docker.artifacts),
        "annotations": dict(docker.annotations),
        "pull": docker.pull,
    }


def platforms_of(docker: Docker) -> list[Platform]:
    """Return the platforms of an image.

    Raises:
        ValueError: one is none.
    """
    return [Platform.parse(text) for text in docker.platforms] or [Platform.of_host()]


def fitting(reference: str, ids: Ids, platform: Platform) -> tuple[str, ...]:
    """Return the ids of the artifacts that a reference puts into the image of a platform: one, if all is well.

    A reference with a platform is taken at its word. Of one without, that counts which was built for the image's, as a
    target triple or as OCI has it; else the one for `any`.
    """
    meant = ids.standing_for(reference)
    if "@" in reference:
        return meant
    exact = tuple(id_ for id_ in meant if _platform(id_) == platform)
    return exact or tuple(id_ for id_ in meant if id_.rpartition("@")[2] == _ANY)


def _platform(id_: str) -> Platform | None:
    text = id_.rpartition("@")[2]
    try:
        return Platform.parse(text) if "/" in text else Platform.of_triple(text)
    except ValueError:
        return None


def unit(docker: Docker, ids: Ids) -> Unit:
    """Return the unit of an image in whose table `check.mistakes` found nothing wrong."""
    images = tuple(_image(docker, platform, ids) for platform in platforms_of(docker))
    return Unit(docker=docker, images=images, index=index_artifact(images) if len(images) > 1 else None)


def _image(docker: Docker, platform: Platform, ids: Ids) -> Artifact:
    upstream = (id_ for reference in docker.artifacts for id_ in fitting(reference, ids, platform))
    id_ = f"{BUILDER}:{docker.name}@{platform}"
    return Artifact(
        builder=BUILDER,
        name=docker.name,
        platform=str(platform),
        group=id_,
        file=IMAGE,
        form=Form.IMAGE,
        upstream=tuple(dict.fromkeys(upstream)),
    )


def names_in_context(upstream: Sequence[str], files: Mapping[str, str]) -> dict[str, list[str]]:
    """Return each name that upstream artifacts have in the context, with the ids of those that have it.

    Args:
        upstream: ids of the artifacts.
        files: id to the name of its file.
    """
    found: dict[str, list[str]] = {}
    for id_ in upstream:
        found.setdefault(files[id_], []).append(id_)
    return found
