"""The way of one artifact, from what the build left to the folder in the output: the whole of one doit task."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from ..provenance import VERSION, store
from ..provenance.attest import bundle as bundle_format
from ..provenance.attest.resource import ResourceDescriptor
from ..provenance.attest.slsa import (
    BuildDefinition,
    BuilderId,
    Provenance,
    RunDetails,
    inputs_digest,
)
from ..provenance.attest.statement import CYCLONEDX, PROVENANCE, SPDX, make_statement
from ..provenance.digest import Digest, digest_bytes, read_limited
from ..provenance.errors import ProvenanceError
from ..provenance.record import FileNames, Record, file_names
from ..provenance.sbom import cyclonedx, spdx
from ..provenance.verify.verifier import verify_bundle, verify_folder
from .inputs import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..provenance.sbom.inventory import Inventory
    from ..provenance.sign.key import LocalKey
    from ..provenance.source import Source
    from ..provenance.verify.trust import Trust
    from .builder import Artifact, Builder, Built, Workspace


class Action(StrEnum):
    """What became of an artifact's folder."""

    BUILT = "built"
    """New bytes, all evidence new."""
    DESCRIBED = "described"
    """The same bytes, whose provenance stays; some other evidence is new."""
    UNCHANGED = "unchanged"
    """The same bytes, and all evidence holds: nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of one artifact's way, for people."""

    artifact: Artifact
    action: Action
    digest: Digest
    inventory: Inventory
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """Who signs, and whom the check of what was written trusts."""

    key: LocalKey
    trust: Trust
    builder: BuilderId
    invocation: str = field(default_factory=lambda: f"urn:uuid:{uuid.uuid4()}")


def produce(artifact: Artifact, built: Built, *, builder: Builder, workspace: Workspace, signing: Signing) -> Outcome:
    """Take what `builder` has built to its place in the output folder, with all its evidence, or change nothing.

    The steps of design.md, "The way of one artifact"; 1 to 3 are the builder's.

    4. Digest: the artifact is put beside its place, and its bytes are digested.
    5. Describe: the inventory, and the SBOMs from it.
    6. Attest and 7. sign: provenance and both SBOMs, as statements about that digest; what holds already is kept.
    8. Check: the folder verifies, by the code of `doit verify`.
    9. Commit: the folder takes the old one's place.

    Raises:
        ProvenanceError: any step failed; the old folder is untouched.
    """
    names = file_names(artifact.file)
    place = workspace.output / artifact.folder
    with store.staging_for(workspace.output, artifact.folder) as staging:
        digest = store.adopt(built.path, staging / names.artifact, previous=place / names.artifact)
        inventory, packages = builder.describe(artifact, staging / names.artifact, digest)
        documents = _documents(names, inventory)
        kept = _kept(place, names, artifact, digest, documents, signing.trust)
        bundles: dict[str, bytes] = {}
        for name, (kind, document) in _kinds(names).items():
            if name not in kept:
                predicate = documents[document] if document else _provenance(workspace, built, packages, signing)
                statement = make_statement(name=artifact.file, digest=digest, predicate_type=kind, predicate=predicate)
                bundles[name] = signing.key.sign_statement(statement)
        evidence = documents | kept | bundles
        record = Record(
            artifact=artifact.id,
            file=artifact.file,
            digest=digest,
            inputs=digest_of(built.inputs),
            evidence={name: digest_bytes(data).sha256 for name, data in evidence.items()},
            generator=VERSION,
        )
        for name, data in evidence.items():
            store.write(staging / name, data)
        store.write(staging / names.record, record.to_json())
        verify_folder(staging, trust=signing.trust, artifact=digest)
        if bundles or not store.same_files(staging, place):
            store.commit(staging, place)
            action = Action.BUILT if names.provenance_bundle in bundles else Action.DESCRIBED
        else:
            action = Action.UNCHANGED
    return Outcome(artifact=artifact, action=action, digest=digest, inventory=inventory, folder=place)


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


def _kept(
    place: Path,
    names: FileNames,
    artifact: Artifact,
    digest: Digest,
    documents: Mapping[str, bytes],
    trust: Trust,
) -> dict[str, bytes]:
    """Return the bundles of the folder at `place` that still say the truth about these very bytes.

    Provenance says how the bytes came to be, so it stays true while the bytes are the same. A statement of an SBOM
    stays while the SBOM does, byte by byte.
    """
    kept: dict[str, bytes] = {}
    for name, (kind, document) in _kinds(names).items():
        predicate = documents[document] if document else None
        try:
            bundle = read_limited(place / name, bundle_format.LIMIT)
            found = verify_bundle(bundle, artifact=digest, trust=trust, predicate_type=kind)
        except ProvenanceError:
            continue  # missing, damaged, of other bytes or of another signer: it is made again
        if predicate in (None, found.statement.predicate_bytes) and found.statement.name == artifact.file:
            kept[name] = bundle
    return kept


def _provenance(workspace: Workspace, built: Built, packages: Sequence[ResourceDescriptor], signing: Signing) -> bytes:
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
