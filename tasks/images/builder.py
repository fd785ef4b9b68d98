"""What the builders of images share: an image with its platforms and index, and the builder itself."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ...provenance.errors import did_you_mean, quoted
from ...provenance.platform import ARCHITECTURES, SYSTEMS, Platform
from ...provenance.record import IMAGE
from ..artifacts import Artifact, Form, Ids, refuse
from ..freshness.inputs import Declared, Kind, key
from .annotations import Origin, as_input, from_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from ...provenance.attest.resource import ResourceDescriptor
    from ...provenance.digest import Digest
    from ...provenance.json import JSONValue
    from ...provenance.sbom.inventory import Inventory
    from ..builder import Built
    from ..context import Context
    from ..freshness.snapshot import Snapshot

INDEX = "index"
"""Takes the place of the platform in the id of an index."""


class ImageTable(Protocol):
    """The part of `[docker.NAME]` and `[oci.NAME]` that is the same."""

    @property
    def name(self) -> str:
        """The image's name."""

    @property
    def platforms(self) -> Sequence[str]:
        """As they were written; empty: the machine's own."""

    @property
    def annotations(self) -> Mapping[str, str]:
        """Of the image, by key."""


Table = TypeVar("Table", bound=ImageTable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image(Generic[Table]):
    """One image.

    Attributes:
        table: its settings in provenance.toml.
        manifests: its artifacts, one for each platform, in the order of provenance.toml.
        index: over them; `None` if there is one platform.
    """

    table: Table
    manifests: tuple[Artifact, ...]
    index: Artifact | None

    @classmethod
    def of(
        cls, builder: str, table: Table, upstream: Callable[[Platform], Iterable[str]], group: str = ""
    ) -> Image[Table]:
        """Return the image of a table in which nothing is wrong.

        Args:
            builder: the name of its builder.
            table: its settings.
            upstream: returns the ids of the artifacts that go into the image for a platform.
            group: builds all platforms in one call; if empty, each platform is built by itself.
        """
        manifests = tuple(
            Artifact(
                builder=builder,
                name=table.name,
                platform=str(platform),
                group=group or f"{builder}:{table.name}@{platform}",
                file=IMAGE,
                form=Form.IMAGE,
                upstream=tuple(dict.fromkeys(upstream(platform))),
            )
            for platform in read_platforms(table.platforms)
        )
        return cls(table=table, manifests=manifests, index=index_artifact(manifests) if len(manifests) > 1 else None)

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """The manifests and the index."""
        return (*self.manifests, self.index) if self.index else self.manifests


def index_artifact(manifests: Sequence[Artifact]) -> Artifact:
    """Return the artifact that is the index over images of one name, for two platforms or more."""
    first = manifests[0]
    return Artifact(
        builder=first.builder,
        name=first.name,
        platform=INDEX,
        group=f"{first.builder}:{first.name}@{INDEX}",
        file=IMAGE,
        form=Form.IMAGE,
        upstream=tuple(manifest.id for manifest in manifests),
    )


def declare_index(annotations: str) -> Declared:
    """Return the inputs of an index beside its images: what determines its annotations (`annotations.as_input`)."""
    return Declared(values={key(Kind.SETTING, "annotations"): annotations})


def wrong_platforms(texts: Sequence[str], path: str) -> Iterator[str]:
    """Yield a line for each error in an array of platforms.

    Names that Go doesn't know are errors: BuildKit builds for `linux/amd65`, and nothing would run it.

    Args:
        texts: as they are written.
        path: of the array, for the messages.
    """
    seen: dict[Platform, str] = {}
    for index, text in enumerate(texts):
        try:
            platform = Platform.parse(text)
        except ValueError as error:
            yield f"{path}[{index}]: {error}"
            continue
        for word, known, what in (
            (platform.os, SYSTEMS, "operating system"),
            (platform.architecture, ARCHITECTURES, "architecture"),
        ):
            if word not in known:
                yield f"{path}[{index}]: {quoted(word)} is no {what} that is known{did_you_mean(word, sorted(known))}"
        if platform in seen:
            yield f"{path}[{index}]: {quoted(text)} is the same platform as {quoted(seen[platform])}"
        seen[platform] = text


def read_platforms(texts: Sequence[str]) -> list[Platform]:
    """Return the platforms that are well-formed, each once; the machine's own if there are none."""
    platforms: dict[Platform, None] = {}
    for text in texts:
        try:
            platforms[Platform.parse(text)] = None
        except ValueError:  # reported by `wrong_platforms`
            continue
    return list(platforms) or [Platform.of_host()]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    """An image for one platform that was built or taken over.

    Attributes:
        created: the time of its sources.
        materials: what it was made of, by digest.
        sources: the user's files that may lie in it: path from the repository's root to sha256.
        upstream: ids of the artifacts that may lie in it.
    """

    built: Built
    created: datetime
    materials: Sequence[ResourceDescriptor]
    sources: Mapping[str, str] = field(default_factory=dict)
    upstream: Sequence[str] = ()


class ImageBuilder(ABC, Generic[Table]):
    """Makes an OCI image for each platform of each table, and the index over the platforms."""

    name: str

    def __init__(self, context: Context) -> None:
        self.context = context
        self.workspace = context.workspace
        self._images: dict[str, Image[Table]] = {}
        self._built: dict[str, BuiltImage] = {}

    def discover(self) -> Sequence[Artifact]:
        """Return the artifacts of every configured image; those that go into them must have been discovered before.

        Raises:
            ConfigError: a table is wrong; the message has a line for each error.
        """
        tables = self._tables()
        if not tables:
            return ()
        ids = Ids(self.context.artifacts)
        refuse(self._config_errors(tables, ids))
        self._images = {table.name: self._image(table, ids) for table in tables}
        return [artifact for image in self._images.values() for artifact in image.artifacts]

    def declare(self, artifact: Artifact) -> Declared:
        """Return the settings of an image, and what it is built from."""
        image = self._images[artifact.name]
        if artifact == image.index:
            return declare_index(as_input(self.workspace, image.table.name, image.table.annotations))
        return self._declare(image.table, artifact)

    def propose(self) -> Mapping[str, tuple[str, ...]]:
        """Propose no settings of fixed names; for docker, `doit init` writes tables for the Dockerfiles it finds."""
        return {}

    def build(self, group: str, snapshots: Mapping[Artifact, Snapshot]) -> Mapping[Artifact, Built]:
        """Make the images of one group, or join those of all platforms in an index."""
        artifact, snapshot = next(iter(snapshots.items()))
        table = self._images[artifact.name].table
        if artifact == self._images[artifact.name].index:
            from .index import build_index

            annotations = from_config(self.workspace, table.name, table.annotations, self._origin(table))
            build_type, external = self._build_definition(table)
            return {artifact: build_index(self.context, artifact, snapshot, annotations, build_type, external)}
        images = self._build(table, group, snapshots)
        self._built |= {artifact.id: image for artifact, image in images.items()}
        return {artifact: image.built for artifact, image in images.items()}

    def release(self, artifact: Artifact) -> None:
        """Remove the layout that was made of an artifact."""
        self._built.pop(artifact.id, None)
        shutil.rmtree(self.context.scratch_dir(artifact), ignore_errors=True)

    def describe(
        self, artifact: Artifact, path: Path, digest: Digest
    ) -> tuple[Inventory, Sequence[ResourceDescriptor]]:
        """Return what is in an image, and what it was made of, by digest."""
        if artifact == self._images[artifact.name].index:
            from .index import describe

            return describe(self.context, artifact, path, digest)
        from .describe import describe_image

        image = self._built[artifact.id]
        inventory = describe_image(
            self.context,
            artifact,
            path,
            digest,
            created=image.created,
            sources={sha256: name for name, sha256 in sorted(image.sources.items(), reverse=True)},
            upstream=image.upstream,
        )
        return inventory, image.materials

    @abstractmethod
    def _tables(self) -> Sequence[Table]:
        """Return the tables of this builder."""

    @abstractmethod
    def _config_errors(self, tables: Sequence[Table], ids: Ids) -> Iterator[str]:
        """Yield a line for each error in the tables."""

    @abstractmethod
    def _image(self, table: Table, ids: Ids) -> Image[Table]:
        """Return the image of a table without errors."""

    @abstractmethod
    def _declare(self, table: Table, artifact: Artifact) -> Declared:
        """Return the inputs of an image for one platform."""

    @abstractmethod
    def _build(self, table: Table, group: str, snapshots: Mapping[Artifact, Snapshot]) -> Mapping[Artifact, BuiltImage]:
        """Make the images of one group."""

    @abstractmethod
    def _build_definition(self, table: Table) -> tuple[str, Mapping[str, JSONValue]]:
        """Return the build type and what the user chose (SLSA v1, buildType and externalParameters)."""

    def _origin(self, table: Table) -> Origin:  # noqa: ARG002 - for builders whose images come from elsewhere
        """Return where an image is built."""
        return Origin.WORKSPACE
