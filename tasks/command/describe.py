"""What is said of an artifact that a command made: what it was made from, and that nobody looked into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...provenance import VERSION
from ...provenance.attest.resource import ResourceDescriptor
from ...provenance.sbom.inventory import Completeness, Component, Inventory, Kind, Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from ...provenance.config import Command
    from ...provenance.digest import Digest
    from ...provenance.json import JSONValue
    from ...provenance.sbom.party import Party
    from ..builder import Artifact
    from ..upstream import Upstream

BUILD_TYPE = "https://github.com/doit-provenance/doit-provenance/blob/main/docs/build-types/command.v1.md"

_NOTE = "What it holds is not known. Listed is what it was made from: the program that ran, and upstream artifacts."


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """The program that ran: as the command names it, and the sha256 of its file."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFrom:
    """What is known by digest of all that a command used, beside its input files.

    Attributes:
        upstream: the artifacts that it was given, by their ids.
        tool: `None` where the program was one of these.
    """

    upstream: Mapping[str, Upstream]
    tool: Tool | None


def external(command: Command, pattern: str, *, workspace: str) -> dict[str, JSONValue]:
    """Return what the user chose (SLSA v1, externalParameters); `docs/build-types/command.v1.md` explains each."""
    return {
        "builder": "command",
        "workspace": workspace,
        "command": command.name,
        "run": list(command.run),
        "inputs": list(command.inputs),
        "exclude": list(command.exclude),
        "outputs": list(command.outputs),
        "output": pattern,
        "artifacts": list(command.artifacts),
        "environment": list(command.environment),
        "platform": command.platform,
    }


def materials(made_from: MadeFrom) -> list[ResourceDescriptor]:
    """Return the upstream artifacts and the program, by digest."""
    found = [
        ResourceDescriptor(name=one.id, digest=dict(one.digest.as_digest_set()), annotations={"file": one.file})
        for _, one in sorted(made_from.upstream.items())
    ]
    tool = made_from.tool
    return [*found, ResourceDescriptor(name=tool.name, digest={"sha256": tool.sha256})] if tool else found


def describe(
    artifact: Artifact, file: str, digest: Digest, made_from: MadeFrom, *, project: Party, created: datetime
) -> Inventory:
    """Return the inventory of an artifact whose file has this name and digest."""
    components = sorted(_components(made_from, project), key=lambda c: c.ref)
    refs = tuple(component.ref for component in components)
    return Inventory(
        artifact=artifact.id,
        digest=digest,
        subject=Component(
            ref=artifact.id,
            kind=Kind.FILE,
            role=Role.SUBJECT,
            name=artifact.name,
            hashes=digest.as_digest_set(),
            supplier=project,
            filename=file,
        ),
        components=tuple(components),
        dependencies={artifact.id: refs, **dict.fromkeys(refs, ())},
        completeness=Completeness.UNKNOWN,
        note=_NOTE,
        created=created,
        author=project,
        generator=("doit-provenance", VERSION),
    )


def _components(made_from: MadeFrom, project: Party) -> Iterator[Component]:
    for one in made_from.upstream.values():
        yield Component(
            ref=one.id,
            kind=Kind.FILE,
            role=Role.INPUT,
            name=one.name,
            hashes=one.digest.as_digest_set(),
            supplier=project,
            filename=one.file,
        )
    if tool := made_from.tool:
        name = tool.name.rpartition("/")[2]
        yield Component(
            ref=f"tool:{name}",
            kind=Kind.APPLICATION,
            role=Role.BUILD,
            name=name,
            hashes={"sha256": tool.sha256},
            filename=name,
        )
