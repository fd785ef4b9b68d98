"""The index over the images of several platforms, as an artifact of its own; `join` makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...provenance.record import IMAGE
from ..builder import Artifact, Declared, Form
from ..freshness.inputs import Kind, key

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
        annotations: that it shall have where its images share none of that key.
        chosen: what they come from, as the value of an input (`annotations.as_input`).
        build_type: URI of the page that says what the parameters mean.
        external: what the user chose (SLSA v1, externalParameters).
    """

    name: str
    annotations: Mapping[str, str]
    chosen: str
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


def declare_index(annotations: str) -> Declared:
    """Return the inputs of an index that are no artifacts: what its annotations come from (`annotations.as_input`)."""
    return Declared(values={key(Kind.SETTING, "annotations"): annotations})
