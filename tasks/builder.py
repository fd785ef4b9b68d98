"""What a builder is, and what passes between builders and the pipeline of one artifact."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..provenance.errors import ConfigError
from ..provenance.record import file_names, image_names, place_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from ..provenance.attest.resource import ResourceDescriptor
    from ..provenance.digest import Digest
    from ..provenance.errors import BuildError
    from ..provenance.json import JSONValue
    from ..provenance.record import FileNames
    from ..provenance.sbom.inventory import Inventory
    from .freshness.inputs import Inputs
    from .freshness.snapshot import Snapshot

_NAME = re.compile(r"[^\s@:=*?\[\]/\\\x00-\x1f]+(/[^\s@:=*?\[\]/\\\x00-\x1f]+)*\Z")


class Form(StrEnum):
    """What an artifact is on disk."""

    FILE = "file"
    IMAGE = "image"
    """A folder, which is an OCI image layout of one image, or of an index and its images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One thing that ships.

    Attributes:
        builder: the builder's name, as `cargo`. name: unique in it; a feature set is part of it (`wash+fips`).
        platform: in the builder's own words: for cargo the target triple.
        group: id of the group of artifacts that one call of the tool builds.
        file: the name of its file; a pattern (`*.whl`) where only the build tells. Of an image `record.IMAGE`.
        form: a file or an image.
        upstream: ids of the artifacts that go into it; they are built before it.
    """

    builder: str
    name: str
    platform: str
    group: str
    file: str
    form: Form = Form.FILE
    upstream: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that could not be a task's or a folder's."""
        for part in (self.builder, self.name, self.platform):
            if not _NAME.match(part) or set(part.split("/")) & {".", ".."}:
                raise ConfigError(
                    f"`{part}` can't be part of an artifact's id: it is used as a task's and a folder's name",
                    hint="give the artifact another name, for cargo with `[cargo.rename]` in provenance.toml",
                )

    @property
    def id(self) -> str:
        """`BUILDER:NAME@PLATFORM`, which is the name of its doit task."""
        return f"{self.builder}:{self.name}@{self.platform}"

    @property
    def folder(self) -> Path:
        """Where it lies below the output folder."""
        return Path(self.place)

    @property
    def names(self) -> FileNames:
        """The names of the files in that folder; patterns where only the build tells."""
        return image_names(self.name) if self.form is Form.IMAGE else file_names(self.file)

    @property
    def place(self) -> str:
        """The same, as text with `/`."""
        return place_of(self.builder, self.name, self.platform)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a builder made of one artifact, and what it alone knows of that build.

    Attributes:
        path: the artifact as the tool left it, a file of its name or an image layout; the flow copies it from there.
        build_type: URI of the page that says what the parameters mean.
        external: SLSA externalParameters: what the user chose.
        internal: SLSA internalParameters: what the environment gave.
        started, finished: UTC, of the tool's call; `None` where it built nothing, but took what was built elsewhere:
            then provenance claims no build.
        files: every file of the user's that went in: path from the repository's root to sha256. Provenance lists them.
            If empty, the pipeline takes the files of the snapshot.
        resolved: inputs that the build itself settled, by key, as the digest of a tag. They replace declared ones.
        inputs: inputs that only the build could tell, by key; once the pipeline has it, all inputs
            (`tasks/freshness/inputs.py`).
    """

    path: Path
    build_type: str
    external: Mapping[str, JSONValue]
    internal: Mapping[str, JSONValue]
    started: datetime | None
    finished: datetime | None
    files: Mapping[str, str] = field(default_factory=dict)
    resolved: Inputs = field(default_factory=dict)
    inputs: Inputs = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """The inputs of an artifact that are known without building it.

    Attributes:
        values: of kinds that only the builder can tell (settings, tools, resolutions): key to value now.
        measured: keys of the other kinds, whose values anyone can measure (files, patterns, variables).
        hint: what to do if one of them changes during the build.
    """

    values: Inputs = field(default_factory=dict)
    measured: Collection[str] = ()
    hint: str = "run again when it holds still"


class Builder(Protocol):
    """What knows one build tool."""

    name: str

    def discover(self) -> Sequence[Artifact]:
        """Return every artifact of the workspace, without building.

        Raises:
            ProvenanceError: the tool is missing, or what it says can't be understood.
        """

    def declare(self, artifact: Artifact) -> Declared:
        """Return the inputs of an artifact that can be told now; it builds and writes nothing.

        An artifact that was built before is fresh while these values, and all that the last build found to be inputs,
        are as they were then.

        Raises:
            ProvenanceError: a tool is missing, or what it says can't be understood.
        """

    def propose(self) -> Mapping[str, tuple[str, ...]]:
        """Return settings that `doit init` writes into a new provenance.toml, by their path: what was seen here.

        Raises:
            ProvenanceError: as `discover`.
        """

    def build(self, group: str, snapshots: Mapping[Artifact, Snapshot]) -> Mapping[Artifact, Built | BuildError]:
        """Build artifacts of one group in one call of the tool, from the inputs in their snapshots.

        The pipeline compares the declared inputs before and after. Where the tool tells which artifacts it could build,
        the others have an error in their place.

        Raises:
            BuildError: the tool failed, or an input is missing; what the tool wrote went to `Context.progress`.
            InputChangedError: an input that only the build could tell changed meanwhile.
        """

    def release(self, artifact: Artifact) -> None:
        """Let go of what `build` kept for an artifact; nothing of it is asked for any more."""

    def describe(
        self, artifact: Artifact, path: Path, digest: Digest
    ) -> tuple[Inventory, Sequence[ResourceDescriptor]]:
        """Return what is in an artifact that `build` has just made, and which packages and tools made it, by digest.

        `path` is a copy of the artifact, with that digest.
        """
