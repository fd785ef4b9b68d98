"""The index over the images of several platforms, as an artifact of its own; `join` makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...provenance.record import IMAGE
from ..builder import Artifact, Declared, Form
from ..freshness.inputs import Kind, key
from .annotations import as_input

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...provenance.json import JSONValue

INDEX = "index"
"""Where an artifact's id has a platform, that of an index has this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOf:
    """What an index is made of, beside its images.

    Attributes:
        name: the image's.
        annotations: that it shall have beside those that its images share.
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


def declare_index(of: IndexOf) -> Declared:
    """Return the inputs of an index that are no artifacts."""
    return Declared(values={key(Kind.SETTING, "annotations"): as_input(of.annotations)})
