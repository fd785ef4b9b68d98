"""The way of one artifact, from what the build left to the folder in the output: the whole of one doit task."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from ...provenance import VERSION
from ...provenance.digest import digest_bytes
from ...provenance.errors import ProvenanceError, VerificationError
from ...provenance.fs import copies, store
from ...provenance.fs.folder import read_file
from ...provenance.record import Record, file_names
from ...provenance.verify.evidence import Measured, measure_image
from ...provenance.verify.policy import trusted_record_signer
from ...provenance.verify.verifier import verify_folder
from ..artifacts import Form
from ..freshness.evidence_check import read_record, stored_inventory
from ..freshness.inputs import digest_of
from ..progress.progress import Step
from .evidence import Draft, evidence_of, provenance_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ...provenance.attest.slsa import Provenance
    from ...provenance.sbom.inventory import Inventory
    from ...provenance.verify.trust import Trust
    from ..artifacts import Artifact
    from ..builder import Builder, Built
    from ..context import Context
    from .signer import Signing


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An artifact's folder as it stands after its way.

    Attributes:
        files: name to sha256 of everything in it.
        made: names of the files of evidence that are new.
        provenance: what its signed provenance says.
    """

    record: Record
    files: Mapping[str, str]
    inventory: Inventory
    made: tuple[str, ...]
    provenance: Provenance


def produce(artifact: Artifact, built: Built, *, builder: Builder, context: Context, signing: Signing) -> Placed:
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
    place = context.workspace.output / artifact.folder
    names = artifact.names if artifact.form is Form.IMAGE else file_names(built.path.name)
    at = functools.partial(context.progress.step, artifact.id)
    at(Step.DIGESTING)
    with store.staging_for(context.workspace.output, artifact.folder) as staging:
        measured = _adopt(built.path, staging, place, names.artifact, artifact.form)
        at(Step.DESCRIBING)
        inventory, packages = builder.describe(artifact, staging / names.artifact, measured.digest)
        return _place(
            Draft(
                artifact=artifact.id,
                names=names,
                measured=measured,
                inputs=digest_of(built.inputs),
                inventory=inventory,
                provenance=lambda: provenance_of(context.workspace, built, packages, signing),
            ),
            staging,
            place,
            signing,
            at,
        )


def repair(artifact: Artifact, *, context: Context, signing: Signing) -> Placed:
    """Make what is missing or out of date of an artifact's evidence, from its stored inventory, or change nothing.

    The artifact's bytes and the statement about how they were built stay. A statement that a trusted key other than the
    one in use has signed is signed again, as it is.

    Raises:
        ProvenanceError: any step failed; the old folder is untouched.
    """
    place = context.workspace.output / artifact.folder
    record = read_record(place)
    names = record.names
    stored = stored_inventory(place, record)
    at = functools.partial(context.progress.step, artifact.id)
    at(Step.DIGESTING)
    with store.staging_for(context.workspace.output, artifact.folder) as staging:
        form = Form.FILE if record.media_type is None else Form.IMAGE
        measured = _adopt(place / names.artifact, staging, place, names.artifact, form)
        if measured.digest != record.digest:
            raise VerificationError(f"`{artifact.id}` was changed while its evidence was made again")
        return _place(
            Draft(
                artifact=artifact.id,
                names=names,
                measured=measured,
                inputs=record.inputs,
                inventory=replace(stored, generator=(stored.generator[0], VERSION)),
                provenance=None,
            ),
            staging,
            place,
            signing,
            at,
        )


def _adopt(source: Path, staging: Path, place: Path, name: str, form: Form) -> Measured:
    """Put the artifact into `staging` under its name, and measure what was put there."""
    match form:
        case Form.FILE:
            return Measured.of_file(name, copies.adopt(source, staging / name, previous=place / name))
        case Form.IMAGE:
            copies.adopt_folder(source, staging / name, previous=place / name)
            return measure_image(staging)
        case _ as never:
            assert_never(never)


def _place(draft: Draft, staging: Path, place: Path, signing: Signing, at: Callable[[Step], object]) -> Placed:
    """Make the evidence that is not kept, beside the artifact in `staging`, check it, and commit."""
    names = draft.names
    at(Step.SIGNING)
    evidence = evidence_of(draft, place, signing)
    record = signing.key.sign_record(
        Record(
            artifact=draft.artifact,
            file=names.artifact,
            media_type=draft.measured.media_type,
            digest=draft.digest,
            inputs=draft.inputs,
            evidence={name: digest_bytes(data).sha256 for name, data in evidence.items()},
            generator=VERSION,
        )
    )
    made = tuple(name for name, data in evidence.items() if not _holds(place / name, data))
    if standing := _same_record(place, record, signing.trust):
        record = standing  # an ECDSA signature is never the same twice: the seal that says this already stays
    written = evidence | {names.record: record.to_json()}
    for name, data in written.items():
        store.write(staging / name, data)
    at(Step.CHECKING)
    verified = verify_folder(staging, trust=signing.trust, artifact=draft.measured)
    if not copies.same_files(staging, place):
        at(Step.COMMITTING)
        store.commit(staging, place)
    return Placed(
        record=record,
        files={**draft.measured.files} | {n: digest_bytes(data).sha256 for n, data in written.items()},
        inventory=draft.inventory,
        made=made,
        provenance=verified.build,
    )


def built_at(provenance: Provenance) -> str:
    """Return when the bytes were built, as RFC 3339; empty where the provenance does not say."""
    finished = provenance.run_details.finished
    return finished.strftime("%Y-%m-%dT%H:%M:%SZ") if finished else ""


def _same_record(place: Path, record: Record, trust: Trust) -> Record | None:
    try:
        found = read_record(place)
        trusted_record_signer(found, trust)
    except ProvenanceError:
        return None
    same_signer = found.seal is not None and record.seal is not None and found.seal.hint == record.seal.hint
    return found if same_signer and found.payload() == record.payload() else None


def _holds(path: Path, data: bytes) -> bool:
    try:
        return read_file(path, max(len(data), 1)) == data
    except ProvenanceError:
        return False
