"""The lineage of an artifact: artifact to upstream artifact by digest, index → image → binary, down to the sources.

What an artifact was made of is said by its signed provenance; each upstream artifact is looked for in the same output
folder, where its own evidence has to hold, for the very digest that was named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ProvenanceError, VerificationError
from ..record import place_of
from .verifier import verify_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..attest.slsa import Provenance
    from .trust import Trust
    from .verifier import VerifiedArtifact

_ID = re.compile(r"(?P<builder>[a-z]+):(?P<name>[^\s:@\x00-\x1f]+)@(?P<platform>[^\s:@\x00-\x1f]+)\Z")
_LEADS_OUT = {"", ".", ".."}
_LIMIT = 1000
"""Artifacts in one lineage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One artifact of a lineage.

    Attributes:
        depth: steps from the artifact whose lineage it is.
        sha256: of the artifact, as the one that is made of it names it.
        found: what was verified; `None`: that it was made of this is signed, but nothing of it is here that holds.
        problem: why nothing holds, if so.
    """

    depth: int
    id: str
    sha256: str
    found: VerifiedArtifact | None
    problem: str = ""


def lineage(found: VerifiedArtifact, output: Path, trust: Trust) -> Iterator[Line]:
    """Yield the lineage of a verified artifact, itself first, what goes into each after it.

    Args:
        found: the artifact.
        output: the output folder in which upstream artifacts are looked for.
        trust: whose signatures count.
    """
    pending = [Line(depth=0, id=found.record.artifact, sha256=found.digest.sha256, found=found)]
    met: dict[tuple[str, str], VerifiedArtifact | ProvenanceError] = {}
    for _ in range(_LIMIT):
        if not pending:
            return
        line = pending.pop()
        yield line
        if line.found is None:
            continue
        below = []
        for id_, sha256 in upstream_of(line.found.build):
            if (id_, sha256) not in met:
                met[id_, sha256] = _look(output, id_, sha256, trust)
            one = met[id_, sha256]
            problem = one.message.partition("\n")[0] if isinstance(one, ProvenanceError) else ""
            held = None if isinstance(one, ProvenanceError) else one
            below.append(Line(depth=line.depth + 1, id=id_, sha256=sha256, found=held, problem=problem))
        pending += reversed(below)


def upstream_of(build: Provenance) -> Iterator[tuple[str, str]]:
    """Yield id and sha256 of each artifact that provenance names among what went in."""
    for material in build.build_definition.resolved_dependencies:
        if _ID.match(material.name) and "sha256" in material.digest:
            yield material.name, material.digest["sha256"]


def _look(output: Path, id_: str, sha256: str, trust: Trust) -> VerifiedArtifact | ProvenanceError:
    parts = _ID.match(id_)
    try:
        if parts is None or any(_LEADS_OUT & set(part.split("/")) for part in parts.groups()):
            raise VerificationError("its id names no folder")
        place = output / place_of(parts["builder"], parts["name"], parts["platform"])
        if not place.is_dir():
            raise VerificationError("it is not in the output folder")
        found = verify_folder(place, trust=trust)
        if found.record.artifact != id_ or found.digest.sha256 != sha256:
            raise VerificationError(f"the output folder holds another one, {found.digest}")
    except ProvenanceError as error:
        return error
    return found
