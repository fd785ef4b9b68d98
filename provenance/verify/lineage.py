"""The lineage of an artifact: from artifact to upstream artifact by digest (index → image → binary → sources).

Upstream artifacts are the resolved dependencies in the signed provenance. Each is looked up in the same output folder
and must verify there with exactly the digest that the provenance names.
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
"""Maximum number of artifacts in one lineage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One artifact of a lineage.

    Attributes:
        depth: number of steps from the root of the lineage.
        sha256: of the artifact, as named in the provenance of its downstream artifact.
        verified: the artifact; `None`: it is named in signed provenance but could not be verified here.
        problem: why it could not be verified; otherwise empty.
    """

    depth: int
    id: str
    sha256: str
    verified: VerifiedArtifact | None
    problem: str = ""


def lineage(root: VerifiedArtifact, output: Path, trust: Trust) -> Iterator[Line]:
    """Yield the lineage of a verified artifact in depth-first order, starting with the artifact itself.

    Args:
        root: the artifact.
        output: the output folder with the upstream artifacts.
        trust: the trusted keys.
    """
    pending = [Line(depth=0, id=root.record.artifact, sha256=root.digest.sha256, verified=root)]
    results: dict[tuple[str, str], VerifiedArtifact | ProvenanceError] = {}
    for _ in range(_LIMIT):
        if not pending:
            return
        line = pending.pop()
        yield line
        if line.verified is None:
            continue
        upstream = []
        for id_, sha256 in upstream_of(line.verified.build):
            if (id_, sha256) not in results:
                results[id_, sha256] = _verify(output, id_, sha256, trust)
            result = results[id_, sha256]
            problem = result.message.partition("\n")[0] if isinstance(result, ProvenanceError) else ""
            verified = None if isinstance(result, ProvenanceError) else result
            upstream.append(Line(depth=line.depth + 1, id=id_, sha256=sha256, verified=verified, problem=problem))
        pending += reversed(upstream)


def upstream_of(build: Provenance) -> Iterator[tuple[str, str]]:
    """Yield id and sha256 of each artifact among the resolved dependencies."""
    for material in build.build_definition.resolved_dependencies:
        if _ID.match(material.name) and "sha256" in material.digest:
            yield material.name, material.digest["sha256"]


def _verify(output: Path, id_: str, sha256: str, trust: Trust) -> VerifiedArtifact | ProvenanceError:
    parts = _ID.match(id_)
    try:
        if parts is None or any(_LEADS_OUT & set(part.split("/")) for part in parts.groups()):
            raise VerificationError("its id is not a valid path in the output folder")
        folder = output / place_of(parts["builder"], parts["name"], parts["platform"])
        if not folder.is_dir():
            raise VerificationError("it is not in the output folder")
        artifact = verify_folder(folder, trust=trust)
        if artifact.record.artifact != id_ or artifact.digest.sha256 != sha256:
            raise VerificationError(f"the output folder contains another version, {artifact.digest}")
    except ProvenanceError as error:
        return error
    return artifact
