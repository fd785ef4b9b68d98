"""What can be wrong with `[docker.NAME]` beyond the words of provenance.toml: a line for each mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....provenance.errors import UsageError, quoted
from ....provenance.oci.reference import Reference
from ...artifacts import unknown
from ...builder import Form
from ..platforms import read_platforms, wrong_platforms
from . import BUILDER
from .units import fitting, image_contexts_of, names_in_context, secret_ids

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from ....provenance.config import Docker
    from ....provenance.platform import Platform
    from ...artifacts import Ids
    from ...builder import Artifact


def mistakes(
    dockers: Sequence[Docker], ids: Ids, artifacts: Mapping[str, Artifact], untold: Container[str] = ()
) -> Iterator[str]:
    """Yield what is wrong, as `docker.wash.platforms[0]: …`.

    Args:
        dockers: the tables.
        ids: of all artifacts that were discovered so far; an image is made of none of this builder's own.
        artifacts: the same, by their ids.
        untold: the builders that could not tell what they build.
    """
    names = {docker.name for docker in dockers}
    for docker in dockers:
        at = f"docker.{docker.name}"
        yield from wrong_platforms(docker.platforms, f"{at}.platforms")
        yield from _contexts(docker, at)
        own = [one for one in docker.artifacts if _image_name(one) in names]
        yield from _images(own, docker, at)
        yield from unknown(f"{at}.artifacts", docker.artifacts, ids, untold, but=own)
        yield from _artifacts(docker, at, ids, artifacts, read_platforms(docker.platforms))
        secrets = secret_ids(docker)
        for id_ in sorted({id_ for id_ in secrets if secrets.count(id_) > 1}):
            yield f"{at}.secrets: two secrets have the id {quoted(id_)}"


def _image_name(reference: str) -> str | None:
    """Return the name of the image of this builder that a reference stands for, if it is one of its own."""
    builder, _, name = reference.partition("@")[0].partition(":")
    return name if builder == BUILDER else None


def _images(own: Sequence[str], docker: Docker, at: str) -> Iterator[str]:
    for reference in own:
        yield f"{at}.artifacts[{docker.artifacts.index(reference)}]: {_no_file(reference)}"


def _no_file(reference: str) -> str:
    return f"{quoted(reference)} is an image, and no file that a context can hold"


def _contexts(docker: Docker, at: str) -> Iterator[str]:
    for name, reference in image_contexts_of(docker).items():
        try:
            Reference.parse(reference)
        except UsageError as error:
            yield f"{at}.contexts.{name}: {error.message}"


def _artifacts(
    docker: Docker,
    at: str,
    ids: Ids,
    artifacts: Mapping[str, Artifact],
    platforms: Sequence[Platform],
) -> Iterator[str]:
    for index, reference in enumerate(docker.artifacts):
        place, meant = f"{at}.artifacts[{index}]", ids.standing_for(reference)
        images = [id_ for id_ in meant if artifacts[id_].form is not Form.FILE]
        if images:
            yield f"{place}: {_no_file(images[0])}"
        elif meant:
            yield from _fitting(reference, place, ids, platforms)
    for platform in platforms:
        upstream = [id_ for reference in docker.artifacts for id_ in fitting(reference, ids, platform)]
        names = {id_: artifacts[id_].file for id_ in upstream}
        for name, same in names_in_context(list(names), names).items():
            if len(same) > 1:
                both = " and ".join(f"`{id_}`" for id_ in same)
                yield f"{at}.artifacts: {both} would both be {quoted(name)} in the context of `{BUILDER}:{docker.name}`"
                return


def _fitting(reference: str, place: str, ids: Ids, platforms: Sequence[Platform]) -> Iterator[str]:
    for platform in platforms:
        found = fitting(reference, ids, platform)
        if len(found) == 1:
            continue
        there = ", ".join(f"`{id_}`" for id_ in (found or ids.standing_for(reference)))
        if found:
            several = f"stands for {len(found)} artifacts for `{platform}`"
            yield f"{place}: {quoted(reference)} {several}; write one of {there}"
        else:
            yield f"{place}: {quoted(reference)} is built for no platform that fits `{platform}`; there is {there}"
