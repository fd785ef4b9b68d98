"""Selecting the image that a source holds: one manifest for each platform, and nothing beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import UnreadableError, VerificationError, quoted
from .annotations import CONTAINERD_NAME, REF_NAME
from .model import CONFIGS, INDEXES, Descriptor, Index, Manifest, platform_of, walk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..platform import Platform
    from .writer import LayoutWriter

_ATTESTATION = "vnd.docker.reference.type"
"""Annotation of BuildKit's attestations, which an index lists beside the images."""
_MOST = 1000
_LISTED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The image of a source.

    Attributes:
        images: platform to manifest.
        index: over them; `None`: the source has none.
        absent: platforms that the index lists and the source does not hold.
        annotations: of the index.
    """

    images: Mapping[Platform, Descriptor]
    index: Descriptor | None = None
    absent: tuple[Platform, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


def name_of(entry: Descriptor) -> str | None:
    """Return the image's name, where the index that lists it has one."""
    return entry.annotations.get(CONTAINERD_NAME) or entry.annotations.get(REF_NAME)


def select(entries: Sequence[Descriptor], writer: LayoutWriter) -> Selection:
    """Return the image that the entries of a source describe together.

    That is one manifest, one index, or one manifest for each platform. BuildKit's attestations and other manifests
    that are not images are left out: their statements are about the manifests as they were.

    Args:
        entries: of the source's index.
        writer: the layout that holds what the source held.

    Raises:
        UnreadableError: there is no image or more than one, or its platform is unknown.
        VerificationError: the index gives another platform than the image's configuration.
    """
    images: dict[Platform, Descriptor] = {}
    absent: list[Platform] = []
    ambiguous = False

    def read(entry: Descriptor) -> Manifest | Index | None:
        if _is_attestation(entry):
            return None
        if writer.has(entry):
            return writer.manifest(entry)
        if entry.platform is None:
            raise UnreadableError(f"{entry.digest} is listed, but not in it")
        absent.append(entry.platform)
        return None

    for entry, document in walk(entries, read, _too_large, most=_MOST):
        if isinstance(document, Manifest) and document.config.media_type in CONFIGS:  # not a signature, a chart, …
            platform = _platform(entry, platform_of(writer.config(document)))
            ambiguous |= images.setdefault(platform, entry).digest != entry.digest
    if not images and not absent:
        raise UnreadableError("no image in it" if entries else "it is empty")
    indexes = [entry for entry in entries if entry.media_type in INDEXES]
    if ambiguous or len(indexes) > 1:
        listed = ", ".join(quoted(name_of(entry) or entry.digest) for entry in entries[:_LISTED])
        raise UnreadableError(f"it holds more than one image: {listed}", hint="save a single image into it")
    index = indexes[0] if indexes else None
    return Selection(
        images=images,
        index=index,
        absent=tuple(absent),
        annotations=writer.manifest(index).annotations if index else {},
    )


def _too_large(what: str) -> UnreadableError:
    return UnreadableError(f"it lists {what}")


def _platform(entry: Descriptor, own: Platform | None) -> Platform:
    """Return the platform of an image: the index is more exact on the variant, the configuration on all else."""
    listed = entry.platform
    if listed and own and (listed.os, listed.architecture) != (own.os, own.architecture):
        raise VerificationError(
            f"the image {entry.digest} is listed for `{listed}`, and its configuration says `{own}`"
        )
    if platform := listed or own:
        return platform
    raise UnreadableError(f"the image {entry.digest} does not say which platform it is for")


def _is_attestation(entry: Descriptor) -> bool:
    unknown = entry.platform is not None and entry.platform.os == "unknown"
    return unknown or _ATTESTATION in entry.annotations
