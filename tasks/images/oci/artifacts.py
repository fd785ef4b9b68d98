"""What `[oci.NAME]` comes to: its artifacts, where each image is taken from, its inputs, and errors in the table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ....provenance.errors import BuildError, UsageError, quoted
from ...artifacts import Form, unknown
from ...freshness.inputs import Declared, Kind, key, parts
from ..annotations import Origin, as_input
from ..builder import Image, read_platforms, wrong_platforms
from . import BUILDER

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping, Sequence

    from ....provenance.config import Oci
    from ....provenance.json import JSONValue
    from ...artifacts import Artifact, Ids
    from ...context import Context
    from ...freshness.snapshot import Snapshot
    from ...workspace import Workspace

BUILD_TYPE = "https://github.com/doit-provenance/doit-provenance/blob/main/docs/build-types/oci.v1.md"
UNKNOWN = "unknown"
"""Stands for the digest of a remote image that was never looked up; no build has this value as an input."""


class Place(StrEnum):
    """Where an image is: the scheme of its `source`, or an artifact."""

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
        name: a path from the workspace's root, a name in the engine's store, an image reference, or a reference to an
            artifact.
    """

    place: Place
    name: str

    @classmethod
    def of(cls, oci: Oci) -> Source:
        """Return the source of a table that has exactly one."""
        if oci.artifact is not None:
            return cls(place=Place.ARTIFACT, name=oci.artifact)
        place, _, name = (oci.source or "").partition(":")
        return cls(place=Place(place), name=name.removeprefix("//") if place == Place.REGISTRY else name)

    @property
    def origin(self) -> Origin:
        """Where the image was built, as far as is known."""
        return Origin.ELSEWHERE if self.place in REMOTE else Origin.WORKSPACE

    @property
    def resolution(self) -> str:
        """The key under which the digest of a remote image is an input."""
        return key(Kind.RESOLUTION, f"{self.place}:{self.name}")


def image_of(oci: Oci, ids: Ids) -> Image[Oci]:
    """Return the image of a table in which `config_errors` found nothing; one call takes all its platforms over."""
    upstream = ids.standing_for(oci.artifact) if oci.artifact else ()
    return Image.of(BUILDER, oci, lambda _: upstream, group=f"{BUILDER}:{oci.name}")


def external(workspace: Workspace, oci: Oci) -> dict[str, JSONValue]:
    """Return what the user chose (SLSA v1, externalParameters); `docs/build-types/oci.v1.md` explains each."""
    return {
        "builder": BUILDER,
        "workspace": workspace.from_repository("."),
        "image": oci.name,
        "source": oci.source,
        "artifact": oci.artifact,
        "platforms": [str(platform) for platform in read_platforms(oci.platforms)],
        "annotations": dict(oci.annotations),
        "pull": oci.pull,
    }


def declare(context: Context, oci: Oci, look_up: Callable[[Source], str]) -> Declared:
    """Return the inputs of an image.

    Args:
        context: the run.
        oci: the image.
        look_up: asks the engine or the registry for a digest; called only if `pull` is set.

    Raises:
        ToolError: the engine can't be asked.
        RegistryError: the registry can't be asked.
    """
    source = Source.of(oci)
    values = {
        key(Kind.SETTING, "source"): json.dumps([source.place, source.name]),
        key(Kind.SETTING, "annotations"): as_input(context.workspace, oci.name, oci.annotations),
    }
    measured: list[str] = []
    if source.origin is Origin.WORKSPACE:
        measured.append(key(Kind.VARIABLE, "SOURCE_DATE_EPOCH"))  # decides the image's time
    if source.place in ARCHIVES:
        measured.append(key(Kind.FILE, source.name))
    elif source.place is Place.LAYOUT:
        measured.append(key(Kind.GLOB, f"{source.name}/**"))
    elif source.place in REMOTE:
        last = context.memory.get(source.resolution)
        values[source.resolution] = look_up(source) if oci.pull else last if isinstance(last, str) else UNKNOWN
    return Declared(values=values, measured=measured)


def refuse_missing(snapshot: Snapshot) -> None:
    """Require every file of the source.

    Raises:
        BuildError: the archive or layout is missing.
    """
    for input_ in snapshot.missing:
        raise BuildError(
            f"there is no image at {quoted(parts(input_)[1].removesuffix('/**'))}",
            hint="build it first, correct `source` in provenance.toml, or let `artifact` name the artifact that is the "
            "archive",
        )


def config_errors(
    ocis: Sequence[Oci], ids: Ids, artifacts: Mapping[str, Artifact], failed_builders: Container[str] = ()
) -> Iterator[str]:
    """Yield a line for each error, as `oci.wash.platforms[0]: …`.

    Args:
        ocis: the tables.
        ids: of all artifacts discovered so far; an image of this builder is made of none of its own.
        artifacts: the same, by id.
        failed_builders: the builders whose discovery failed.
    """
    for oci in ocis:
        path = f"oci.{oci.name}"
        yield from wrong_platforms(oci.platforms, f"{path}.platforms")
        if oci.source is None and oci.artifact is None:
            yield f"{path}: missing; `source` or `artifact` has to say where the image is"
        elif oci.source is not None and oci.artifact is not None:
            yield f"{path}: `source` and `artifact` both say where the image is; leave one out"
        elif oci.artifact is not None:
            yield from _artifact_errors(oci.artifact, f"{path}.artifact", ids, artifacts, failed_builders)
        elif (source := Source.of(oci)).place is Place.REGISTRY:
            yield from _reference_errors(source.name, f"{path}.source")


def _reference_errors(text: str, path: str) -> Iterator[str]:
    from ....provenance.oci.reference import Reference

    try:
        Reference.parse(text)
    except UsageError as error:
        yield f"{path}: {error.message}"


def _artifact_errors(
    reference: str, path: str, ids: Ids, artifacts: Mapping[str, Artifact], failed_builders: Container[str]
) -> Iterator[str]:
    meant = ids.standing_for(reference)
    if not meant:
        for line in unknown(path, [reference], ids, failed_builders):
            yield line.replace(f"{path}[0]", path, 1)
    elif len(meant) > 1:
        several = ", ".join(f"`{id_}`" for id_ in meant)
        yield f"{path}: {quoted(reference)} stands for {len(meant)} artifacts; write one of {several}"
    elif artifacts[meant[0]].form is not Form.FILE:
        yield f"{path}: {quoted(reference)} is an image already, not an archive; `{BUILDER}` takes archives"
