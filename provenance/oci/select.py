"""Which images a source holds: one for each platform, and nothing beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import UnreadableError, VerificationError, quoted
from ..platform import Platform
from .docker_archive import REF_NAME
from .model import CONFIGS, INDEXES, MANIFESTS, Descriptor, Index, Manifest
from .platforms import platform_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .writer import LayoutWriter

CONTAINERD_NAME = "io.containerd.image.name"
_DOCKER_KIND = "vnd.docker.reference.type"
"""Annotation of BuildKit's attestations, which stand beside the images in an index."""
_DEEPEST = 4
_MOST = 1000
_LISTED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The image that a source holds.

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
    """Return the image's name, where the index that lists it knows one."""
    return entry.annotations.get(CONTAINERD_NAME) or entry.annotations.get(REF_NAME)


def select(entries: Sequence[Descriptor], writer: LayoutWriter) -> Selection:
    """Return the image that the entries of a source come to.

    That is one manifest, one index, or one manifest for each platform. BuildKit's attestations and other manifests
    that are no images are left out: what they say is of the manifests as they were.

    Args:
        entries: of the source's index.
        writer: the layout that holds what the source held.

    Raises:
        UnreadableError: there is no image or more than one, or a platform can't be told.
        VerificationError: the index says another platform than the image's configuration.
    """
    found = _Found(writer=writer)
    for entry in entries:
        found.enter(entry, depth=1)
    if not found.images and not found.absent:
        raise UnreadableError("no image in it" if entries else "it is empty")
    indexes = [one for one in entries if one.media_type in INDEXES]
    if found.twice or len(indexes) > 1:
        names = [name_of(one) or one.digest for one in entries]
        listed = ", ".join(quoted(name) for name in names[:_LISTED])
        raise UnreadableError(f"it holds more than one image: {listed}", hint="save a single image into it")
    index = indexes[0] if indexes else None
    return Selection(
        images=found.images,
        index=index,
        absent=tuple(found.absent),
        annotations=writer.manifest(index).annotations if index else {},
    )


@dataclass(slots=True, kw_only=True)
class _Found:
    writer: LayoutWriter
    images: dict[Platform, Descriptor] = field(default_factory=dict)
    absent: list[Platform] = field(default_factory=list)
    twice: bool = False
    read: int = 0

    def enter(self, entry: Descriptor, depth: int) -> None:
        if entry.media_type not in INDEXES | MANIFESTS or _is_attestation(entry):
            return
        self.read += 1
        if self.read > _MOST or depth > _DEEPEST:
            raise UnreadableError(f"it lists more than {_MOST:,} manifests, or indexes more than {_DEEPEST} deep")
        if not self.writer.has(entry):
            if entry.platform is None:
                raise UnreadableError(f"{entry.digest} is listed, but not in it")
            self.absent.append(entry.platform)
            return
        match self.writer.manifest(entry):
            case Index() as index:
                for one in index.manifests:
                    self.enter(one, depth + 1)
            case Manifest() as manifest:
                self._image(entry, manifest)

    def _image(self, entry: Descriptor, manifest: Manifest) -> None:
        if manifest.config.media_type not in CONFIGS:
            return  # a signature, a chart, …
        platform = _platform(entry, platform_of(self.writer.config(manifest)))
        other = self.images.setdefault(platform, entry)
        self.twice = self.twice or other.digest != entry.digest


def _platform(entry: Descriptor, said: Platform | None) -> Platform:
    """Return the platform of an image: the index knows the variant better, the configuration all else."""
    match entry.platform, said:
        case None, None:
            raise UnreadableError(f"the image {entry.digest} does not say which platform it is for")
        case (Platform() as one, None) | (None, Platform() as one):
            return one
        case Platform() as listed, Platform() as own:
            if (listed.os, listed.architecture) == (own.os, own.architecture):
                return listed
            raise VerificationError(
                f"the image {entry.digest} is listed for `{listed}`, and its configuration says `{own}`"
            )
    raise AssertionError  # pragma: no cover - these are all


def _is_attestation(entry: Descriptor) -> bool:
    unknown = entry.platform is not None and entry.platform.os == "unknown"
    return unknown or _DOCKER_KIND in entry.annotations
