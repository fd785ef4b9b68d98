"""Artifacts of this workspace that lie in an image: found by the digests of its files, never by their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...provenance.digest import digest_bytes
from ...provenance.errors import ProvenanceError, VerificationError
from ...provenance.fs.folder import read_file
from ...provenance.sbom.inventory import Inventory
from ...provenance.verify.evidence import INVENTORY_LIMIT
from ...provenance.verify.verifier import verify_folder
from ..builder import Form

if TYPE_CHECKING:
    from collections.abc import Collection

    from ...provenance.digest import Digest
    from ...provenance.verify.trust import Trust
    from ..builder import Artifact
    from ..context import Context
    from ..workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """An artifact whose evidence was verified, by its very bytes.

    Attributes:
        file: the name of its file.
        digest: of that file; of an image of its manifest.
        inventory: what is in it.
        spdx, cyclonedx: its SBOMs, as they were signed.
    """

    id: str
    name: str
    file: str
    digest: Digest
    inventory: Inventory
    spdx: bytes
    cyclonedx: bytes


def shipped(context: Context, sha256s: Collection[str]) -> dict[str, Shipped]:
    """Return the files that this workspace ships among those with these digests, by sha256.

    Where two artifacts have the same bytes, the first by id stands for both. What does not verify is nobody's.
    """
    found: dict[str, Shipped] = {}
    for id_ in sorted(context.artifacts):
        artifact = context.artifacts[id_]
        if artifact.form is Form.FILE and (one := _shipped(context, artifact, sha256s)):
            found.setdefault(one.digest.sha256, one)
    return found


def evidence_of(context: Context, artifact: Artifact) -> Shipped:
    """Return what is said of an artifact of this context.workspace.

    Raises:
        ProvenanceError: it does not verify.
    """
    trust = context.signer.trust
    if trust is None:
        raise VerificationError(f"`{artifact.id}` can't be verified: there is no key to verify with")
    return _read(context.workspace, artifact, trust)


def _shipped(context: Context, artifact: Artifact, sha256s: Collection[str]) -> Shipped | None:
    from ..freshness.evidence_check import read_record

    trust = context.signer.trust
    try:
        if trust is None or read_record(context.workspace.output / artifact.folder).digest.sha256 not in sha256s:
            return None
        return _read(context.workspace, artifact, trust)
    except ProvenanceError:  # not built, or nothing that anybody vouches for
        return None


def _read(workspace: Workspace, artifact: Artifact, trust: Trust) -> Shipped:
    place = workspace.output / artifact.folder
    found = verify_folder(place, trust=trust)
    if found.record.artifact != artifact.id:
        raise VerificationError(f"the folder of `{artifact.id}` holds `{found.record.artifact}`")
    names = found.record.names

    def read(name: str) -> bytes:
        data = read_file(place / name, INVENTORY_LIMIT)
        if digest_bytes(data).sha256 != found.record.evidence[name]:  # verified a moment ago, and replaced since
            raise VerificationError(f"`{name}` of `{artifact.id}` changed while it was read")
        return data

    return Shipped(
        id=artifact.id,
        name=artifact.name,
        file=found.record.file,
        digest=found.digest,
        inventory=Inventory.from_json(read(names.inventory)),
        spdx=read(names.spdx),
        cyclonedx=read(names.cyclonedx),
    )
