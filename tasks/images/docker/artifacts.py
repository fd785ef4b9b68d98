"""What `[docker.NAME]` comes to: its artifacts, what goes into each of them, and errors in the table."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from ....provenance.errors import UsageError, quoted
from ....provenance.oci.reference import Reference
from ....provenance.platform import Platform
from ...artifacts import Form, unknown
from ..builder import Image, read_platforms, wrong_platforms
from . import BUILDER

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from ....provenance.config import Docker
    from ....provenance.json import JSONValue
    from ...artifacts import Artifact, Ids

BUILD_TYPE = "https://github.com/doit-provenance/doit-provenance/blob/main/docs/build-types/docker.v1.md"
IMAGE_CONTEXT = "docker-image://"
"""Prefix of a named context that is an image."""


def image_of(docker: Docker, ids: Ids) -> Image[Docker]:
    """Return the image of a table in which `config_errors` found nothing; each platform is built by itself."""
    return Image.of(
        BUILDER,
        docker,
        lambda platform: [id_ for reference in docker.artifacts for id_ in fitting(reference, ids, platform)],
    )


def dockerfile_of(docker: Docker) -> str:
    """Return the path of an image's Dockerfile from the workspace's root."""
    return posixpath.normpath(docker.dockerfile or f"{docker.context}/Dockerfile")


def folders_of(docker: Docker) -> dict[str, str]:
    """Return the named contexts that are folders, by name, as paths from the workspace's root."""
    return {name: path for name, path in docker.contexts.items() if not path.startswith(IMAGE_CONTEXT)}


def image_contexts_of(docker: Docker) -> dict[str, str]:
    """Return the named contexts that are images, by name, as references."""
    return {
        name: reference.removeprefix(IMAGE_CONTEXT)
        for name, reference in docker.contexts.items()
        if reference.startswith(IMAGE_CONTEXT)
    }


def secret_ids(docker: Docker) -> list[str]:
    """Return the ids of an image's secrets; the sources of their values are not recorded."""
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
        "platforms": [str(platform) for platform in read_platforms(docker.platforms)],
        "args": dict(docker.args),
        "target": docker.target,
        "secrets": ids,
        "contexts": dict(docker.contexts),
        "artifacts": list(docker.artifacts),
        "annotations": dict(docker.annotations),
        "pull": docker.pull,
    }


def fitting(reference: str, ids: Ids, platform: Platform) -> tuple[str, ...]:
    """Return the ids of the artifacts that a reference puts into the image of a platform; exactly one if it is valid.

    A reference with a platform is taken literally. Without one, it means the artifact built for the image's platform
    (as a target triple or in OCI's notation), else the one for `any`.
    """
    meant = ids.standing_for(reference)
    if "@" in reference:
        return meant
    exact = tuple(id_ for id_ in meant if _platform(id_) == platform)
    return exact or tuple(id_ for id_ in meant if id_.rpartition("@")[2] == "any")


def _platform(id_: str) -> Platform | None:
    text = id_.rpartition("@")[2]
    try:
        return Platform.parse(text) if "/" in text else Platform.of_triple(text)
    except ValueError:
        return None


def config_errors(
    dockers: Sequence[Docker], ids: Ids, artifacts: Mapping[str, Artifact], failed_builders: Container[str] = ()
) -> Iterator[str]:
    """Yield a line for each error, as `docker.wash.platforms[0]: …`.

    Args:
        dockers: the tables.
        ids: of all artifacts discovered so far; an image is made of none of this builder's own.
        artifacts: the same, by id.
        failed_builders: the builders whose discovery failed.
    """
    names = {docker.name for docker in dockers}
    for docker in dockers:
        path = f"docker.{docker.name}"
        yield from wrong_platforms(docker.platforms, f"{path}.platforms")
        for name, reference in image_contexts_of(docker).items():
            try:
                Reference.parse(reference)
            except UsageError as error:
                yield f"{path}.contexts.{name}: {error.message}"
        own = [reference for reference in docker.artifacts if _own_name(reference) in names]
        for reference in own:
            yield f"{path}.artifacts[{docker.artifacts.index(reference)}]: {_no_file(reference)}"
        yield from unknown(f"{path}.artifacts", docker.artifacts, ids, failed_builders, but=own)
        yield from _artifact_errors(docker, f"{path}.artifacts", ids, artifacts)
        secrets = secret_ids(docker)
        for id_ in sorted({id_ for id_ in secrets if secrets.count(id_) > 1}):
            yield f"{path}.secrets: two secrets have the id {quoted(id_)}"


def _own_name(reference: str) -> str | None:
    """Return the name of the image if a reference is to one of this builder."""
    builder, _, name = reference.partition("@")[0].partition(":")
    return name if builder == BUILDER else None


def _no_file(reference: str) -> str:
    return f"{quoted(reference)} is an image, and no file that a context can hold"


def _artifact_errors(docker: Docker, path: str, ids: Ids, artifacts: Mapping[str, Artifact]) -> Iterator[str]:
    platforms = read_platforms(docker.platforms)
    for index, reference in enumerate(docker.artifacts):
        meant = ids.standing_for(reference)
        images = [id_ for id_ in meant if artifacts[id_].form is not Form.FILE]
        if images:
            yield f"{path}[{index}]: {_no_file(images[0])}"
        elif meant:
            yield from _platform_errors(reference, f"{path}[{index}]", ids, platforms)
    for platform in platforms:
        files: dict[str, list[str]] = {}
        for id_ in dict.fromkeys(id_ for reference in docker.artifacts for id_ in fitting(reference, ids, platform)):
            files.setdefault(artifacts[id_].file, []).append(id_)
        for name, same in files.items():
            if len(same) > 1:
                both = " and ".join(f"`{id_}`" for id_ in same)
                yield f"{path}: {both} would both be {quoted(name)} in the context of `{BUILDER}:{docker.name}`"
                return


def _platform_errors(reference: str, path: str, ids: Ids, platforms: Sequence[Platform]) -> Iterator[str]:
    for platform in platforms:
        fits = fitting(reference, ids, platform)
        if len(fits) == 1:
            continue
        there = ", ".join(f"`{id_}`" for id_ in (fits or ids.standing_for(reference)))
        if fits:
            several = f"stands for {len(fits)} artifacts for `{platform}`"
            yield f"{path}: {quoted(reference)} {several}; write one of {there}"
        else:
            yield f"{path}: {quoted(reference)} is built for no platform that fits `{platform}`; there is {there}"
