"""What serves one run over a workspace: memory, programs, keys, progress, and what has been discovered so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from .memory import ShortMemory

if TYPE_CHECKING:
    from pathlib import Path

    from .artifacts import Artifact
    from .memory import Memory
    from .pipeline.signer import Signer
    from .programs import Programs
    from .progress.progress import Progress
    from .workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Context:
    """One run over a workspace, as builders see it.

    Attributes:
        workspace: the user's repository.
        memory: facts found in earlier runs.
        build_dirs: folders that builds fill, so that files in them are not inputs; builders add theirs on discovery.
        artifacts: everything discovered so far, by id.
        failed_builders: the builders whose discovery failed, so that their artifacts are unknown.
    """

    workspace: Workspace
    memory: Memory = field(default_factory=ShortMemory)
    build_dirs: set[Path] = field(default_factory=set)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    failed_builders: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Begin with the folders that every builder shares."""
        self.build_dirs.update((self.workspace.output, self.workspace.state))

    @cached_property
    def programs(self) -> Programs:
        """The digests of programs, shared by all builders."""
        from .programs import Programs

        return Programs(self.memory)

    @cached_property
    def signer(self) -> Signer:
        """The keys of this run: the one that signs, and all trusted ones."""
        from .pipeline.signer import Signer

        return Signer(self.workspace.root, self.workspace.config, self.progress)

    @cached_property
    def progress(self) -> Progress:
        """Receives the progress of the run and keeps its logs; shows nothing until it is given a display."""
        from .progress.progress import Progress

        return Progress(self.workspace.root, self.workspace.state)

    def scratch_dir(self, artifact: Artifact) -> Path:
        """Return the folder in which a builder keeps what it made of an artifact until it is told to release it."""
        return self.workspace.state / artifact.builder / f"{artifact.name}@{artifact.platform}".replace("/", "-")
