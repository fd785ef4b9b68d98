"""What `[command.NAME]` comes to: the artifacts of each command, and what goes into them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..builder import Artifact
from . import BUILDER
from .names import artifact_names, host_platform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...provenance.config import Command
    from ..references import Ids

PLACEHOLDER = re.compile(r"\{([a-z]+:[^{}:\s]+)\}")
"""Stands in an argument for the file of an upstream artifact, by its id or `BUILDER:NAME`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One artifact of a command, and the pattern that finds its file after a run."""

    artifact: Artifact
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One command, and what it makes.

    Attributes:
        references: each entry of the command's `artifacts`, to the ids that it stands for.
    """

    command: Command
    outputs: tuple[Output, ...]
    references: Mapping[str, tuple[str, ...]]

    @property
    def upstream(self) -> tuple[str, ...]:
        """The ids of the artifacts that go into it, each once."""
        return self.outputs[0].artifact.upstream

    def argv(self, files: Mapping[str, str]) -> list[str]:
        """Return the program and its arguments, with files in the place of upstream artifacts.

        `files`: the path of each, by its id.
        """

        def file(found: re.Match[str]) -> str:
            ids = standing_for(found[1], self.references)
            return files[ids[0]] if ids else found[0]

        return [PLACEHOLDER.sub(file, word) for word in self.command.run]


def standing_for(reference: str, references: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return what a placeholder stands for: an entry of a command's `artifacts`, or one of the ids of such an entry."""
    if reference in references:
        return references[reference]
    return (reference,) if any(reference in ids for ids in references.values()) else ()


def platform_of(command: Command) -> str:
    """Return what a command's artifacts are for."""
    return command.platform or host_platform()


def ids_of(command: Command) -> list[str]:
    """Return the ids of a command's artifacts, in the order of its outputs."""
    return [f"{BUILDER}:{name}@{platform_of(command)}" for name in artifact_names(command)]


def unit(command: Command, ids: Ids) -> Unit:
    """Return the unit of a command in which `check.mistakes` found nothing wrong."""
    references = {reference: ids.standing_for(reference) for reference in command.artifacts}
    upstream = tuple(dict.fromkeys(id_ for each in references.values() for id_ in each))
    platform = platform_of(command)
    group = f"{BUILDER}:{command.name}@{platform}"
    return Unit(
        command=command,
        references=references,
        outputs=tuple(
            Output(
                pattern=pattern,
                artifact=Artifact(
                    builder=BUILDER,
                    name=name,
                    platform=platform,
                    group=group,
                    file=pattern.rpartition("/")[2],
                    upstream=upstream,
                ),
            )
            for name, pattern in zip(artifact_names(command), command.outputs, strict=True)
        ),
    )
