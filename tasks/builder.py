"""What a builder is, and what passes between builders and the pipeline of one artifact."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from ..provenance.attest.resource import ResourceDescriptor
    from ..provenance.digest import Digest
    from ..provenance.errors import BuildError
    from ..provenance.json import JSONValue
    from ..provenance.sbom.inventory import Inventory
    from .artifacts import Artifact
    from .freshness.inputs import Declared, Inputs
    from .freshness.snapshot import Snapshot


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
