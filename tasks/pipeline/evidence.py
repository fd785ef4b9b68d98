"""The evidence of one artifact: SBOMs from its inventory, and a signed statement of each kind about its digest."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance import VERSION
from ...provenance.attest import bundle as bundle_format
from ...provenance.attest.resource import ResourceDescriptor
from ...provenance.attest.slsa import (
    BuildDefinition,
    Provenance,
    RunDetails,
    inputs_digest,
    parse_provenance,
)
from ...provenance.attest.statement import CYCLONEDX, PROVENANCE, SPDX, make_statement, parse_statement
from ...provenance.digest import digest_bytes
from ...provenance.errors import ProvenanceError, VerificationError
from ...provenance.fs.folder import read_file
from ...provenance.record import LIMIT as RECORD_LIMIT
from ...provenance.record import Record
from ...provenance.sbom import cyclonedx, spdx
from ...provenance.verify.policy import trusted_record_signer
from ...provenance.verify.verifier import verify_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ...provenance.attest.statement import Statement
    from ...provenance.digest import Digest
    from ...provenance.json import JSONValue
    from ...provenance.record import FileNames
    from ...provenance.sbom.inventory import Inventory
    from ...provenance.source import Source
    from ...provenance.verify.evidence import Measured
    from ...provenance.verify.trust import Trust
    from ...provenance.verify.verifier import Verified
    from ..builder import Built
    from ..workspace import Workspace
    from .signer import Signing


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is known of an artifact before its evidence is made.

    Attributes:
        artifact: its id.
        measured: the artifact as it stands beside its place.
        inputs: the inputs digest.
        provenance: makes the predicate; `None` where no build is there to tell, so that only an old one may.
    """

    artifact: str
    names: FileNames
    measured: Measured
    inputs: str
    inventory: Inventory
    provenance: Callable[[], bytes] | None

    @property
    def digest(self) -> Digest:
        """Of the artifact."""
        return self.measured.digest


def evidence_of(draft: Draft, place: Path, signing: Signing) -> dict[str, bytes]:
    """Return all evidence by file name. The bundles at `place` that still say the truth about these bytes are kept.

    Provenance says how the bytes came to be, so it stays true while the bytes are the same. A statement of an SBOM
    stays while the SBOM does, byte by byte. What another trusted key has signed is signed again as it is, where it says
    that this kind of builder made it; never does our key say of a build on another machine that it was CI's, or ours.

    Raises:
        VerificationError: provenance does not hold, and no build is there to tell it again.
    """
    documents = _documents(draft.names, draft.inventory)
    bundles: dict[str, bytes] = {}
    countersigns = True
    for name, (kind, document) in _kinds(draft.names).items():
        predicate = documents[document] if document else None
        kept = _kept(place / name, draft, kind, predicate, signing.trust)
        if kept is not None:
            if kind == PROVENANCE:
                builder = parse_provenance(kept.said.statement.predicate).run_details.builder_id
                countersigns = builder == signing.builder
            renewed = countersigns and kept.said.signer.hint != signing.key.hint
            bundles[name] = signing.key.sign_statement(kept.payload) if renewed else kept.bundle
            continue
        if predicate is None:
            if draft.provenance is None:
                raise VerificationError(f"the provenance of `{draft.artifact}` does not hold any more")
            predicate = draft.provenance()
        bundles[name] = signing.key.sign_statement(_statement(draft, kind, predicate))
    return documents | bundles


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    bundle: bytes
    payload: bytes
    said: Verified


def _kept(path: Path, draft: Draft, kind: str, predicate: bytes | None, trust: Trust) -> _Kept | None:
    """Return the bundle at `path` if it holds, for these bytes, and says this; else it is made again."""
    try:
        bundle = read_file(path, bundle_format.LIMIT)
        said = verify_bundle(bundle, artifact=draft.digest, trust=trust, predicate_type=kind)
        if predicate is None:
            parse_provenance(said.statement.predicate)
    except ProvenanceError:
        return None  # missing, damaged, of other bytes or of another signer
    if said.statement.name != draft.names.subject or predicate not in {None, said.statement.predicate_bytes}:
        return None
    if kind == PROVENANCE and not _is_own(path, bundle, said.statement, draft, trust):
        return None
    return _Kept(bundle=bundle, payload=bundle_format.Bundle.from_json(bundle).envelope.payload, said=said)


def _is_own(path: Path, bundle: bytes, said: Statement, draft: Draft, trust: Trust) -> bool:
    """Tell whether provenance is the artifact's own: another one may have the same bytes and file name.

    It is where the artifact's sealed record names it. Where that is lost, it is if it has the parameters of the build
    that has just made the same bytes again. Where nothing was built, the record was asked before.
    """
    if draft.provenance is None:
        return True
    new = parse_statement(_statement(draft, PROVENANCE, draft.provenance()))
    made, kept = (parse_provenance(one.predicate) for one in (new, said))
    if kept.run_details.finished is None and made.run_details.finished is not None:
        return False  # it claims no build: what was only taken over then has been built now
    with contextlib.suppress(ProvenanceError):
        record = Record.from_json(read_file(path.with_name(draft.names.record), RECORD_LIMIT))
        trusted_record_signer(record, trust)
        if record.artifact == draft.artifact and record.evidence.get(path.name) == digest_bytes(bundle).sha256:
            return True
    return _ways(made) == _ways(kept)


def _ways(provenance: Provenance) -> tuple[str, Mapping[str, JSONValue]]:
    """Return what two builds have to share to be builds of the same."""
    definition = provenance.build_definition
    return definition.build_type, definition.external_parameters


def _statement(draft: Draft, kind: str, predicate: bytes) -> bytes:
    return make_statement(name=draft.names.subject, digest=draft.digest, predicate_type=kind, predicate=predicate)


def _documents(names: FileNames, inventory: Inventory) -> dict[str, bytes]:
    data = inventory.to_json()
    sha256 = digest_bytes(data).sha256
    return {
        names.inventory: data,
        names.spdx: spdx.write(inventory, inventory_sha256=sha256),
        names.cyclonedx: cyclonedx.write(inventory, inventory_sha256=sha256),
    }


def _kinds(names: FileNames) -> Mapping[str, tuple[str, str | None]]:
    """Return each bundle's predicate type, and the file that is its predicate; provenance has none."""
    return {
        names.provenance_bundle: (PROVENANCE, None),
        names.spdx_bundle: (SPDX, names.spdx),
        names.cyclonedx_bundle: (CYCLONEDX, names.cyclonedx),
    }


def provenance_of(
    workspace: Workspace, built: Built, packages: Sequence[ResourceDescriptor], signing: Signing
) -> bytes:
    """Return how the artifact was built, as a predicate."""
    return Provenance(
        build_definition=BuildDefinition(
            build_type=built.build_type,
            external_parameters=built.external,
            internal_parameters=built.internal,
            resolved_dependencies=(*_source_materials(workspace, built), *packages),
        ),
        run_details=RunDetails(
            builder_id=signing.builder,
            builder_version={"doit-provenance": VERSION},
            invocation_id=signing.invocation,
            started=built.started,
            finished=built.finished,
        ),
    ).to_json()


def _source_materials(workspace: Workspace, built: Built) -> list[ResourceDescriptor]:
    """Return the source commit, and the list of input files, which is exact for a tree that is no commit."""
    source: Source = workspace.source
    found = []
    if source.commit is not None:
        uri = f"git+{workspace.source_url}" if workspace.source_url else ""
        found.append(
            ResourceDescriptor(
                uri=f"{uri}@{source.ref}" if uri and source.ref else uri,
                name="source",
                digest={"gitCommit": source.commit},
                annotations={"dirty": source.dirty or _lacks_some(workspace, built.files)},
            )
        )
    return [
        *found,
        ResourceDescriptor(
            name="inputs",
            digest={"sha256": inputs_digest(built.files.items())},
            annotations={"files": len(built.files)},
        ),
    ]


def _lacks_some(workspace: Workspace, files: Iterable[str]) -> bool:
    """Tell whether one of `files` is not in the commit, though it lies in the repository."""
    root = os.path.realpath(workspace.source.root)
    return any(
        file not in workspace.committed
        and os.path.relpath(os.path.realpath(Path(root, file)), root) not in workspace.committed
        for file in files
        if not file.startswith("../")
    )
