"""What stands in an artifact's folder: whether all of it holds, and if not, what is to be made again and why."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...provenance import VERSION
from ...provenance.attest.bundle import LIMIT as BUNDLE_LIMIT
from ...provenance.attest.slsa import parse_provenance
from ...provenance.attest.statement import PROVENANCE
from ...provenance.digest import digest_bytes
from ...provenance.errors import ProvenanceError, UnreadableError, VerificationError, quoted
from ...provenance.fs.folder import Folder, opened, read_file
from ...provenance.record import LIMIT as RECORD_LIMIT
from ...provenance.record import RECORD_SUFFIX, Record
from ...provenance.sbom.inventory import Inventory
from ...provenance.verify.evidence import INVENTORY_LIMIT, Finding, FindingCode, record_name
from ...provenance.verify.policy import trusted_record_signer
from ...provenance.verify.verifier import CheckedFolder, check_folder, verify_bundle
from .answer import Code, Invalid, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ...provenance.attest.slsa import BuilderId, Provenance
    from ...provenance.digest import Digest
    from ...provenance.verify.evidence import Measured
    from ...provenance.verify.trust import Trust
    from ...provenance.verify.verifier import VerifiedArtifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Intact:
    """What can be said of a folder whose artifact, provenance and inventory may be kept.

    Attributes:
        digest: of the artifact's bytes; computed.
        inputs: the inputs digest, as sealed.
        files: name to sha256 of what the folder holds, as recorded; true for all of them where there are no gaps.
        gaps: what is to be attested again, and why; empty: all holds.
    """

    digest: Digest
    inputs: str
    files: Mapping[str, str]
    gaps: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a folder is judged by.

    Attributes:
        artifact: the id that its record must have.
        trust: whose signatures count; `None`: nobody's, there is no key yet.
        signer: hint of the key that signs now; `None`: there is none yet.
        builder: the mode of this run.
    """

    artifact: str
    trust: Trust | None
    signer: str | None
    builder: BuilderId


def inspect(place: Path, expected: Expected) -> Intact | Invalid:
    """Judge the folder at `place`, all of it, by its bytes. Nothing in it can make this fail."""
    if not os.path.lexists(place):
        return _fallen(Code.NEVER_BUILT)
    try:
        with opened(place) as folder:
            if not folder.names:
                return _fallen(Code.NEVER_BUILT)
            record = _record(folder, expected)
            if expected.trust is None:
                return _fallen(Code.PROVENANCE_INVALID, "there is no key to verify with")
            checked = check_folder(folder, trust=expected.trust)
            if checked.record != record:
                raise VerificationError("it was replaced while the folder was checked")
    except ProvenanceError as error:
        is_missing = isinstance(error, UnreadableError)
        return _fallen(Code.RECORD_MISSING if is_missing else Code.RECORD_INVALID, error.message)
    return _judge(place, record, checked, expected)


def _judge(place: Path, record: Record, checked: CheckedFolder, expected: Expected) -> Intact | Invalid:
    if checked.verified is not None:
        gaps = tuple(_renewals(record, checked.verified, expected))
        return _intact(place, record, checked.verified.artifact, gaps)
    lost, gaps = _reasons(record, checked)
    if checked.artifact is None or lost:
        return Invalid(reasons=(*lost, *gaps))
    return _intact(place, record, checked.artifact, gaps)


def _record(folder: Folder, expected: Expected) -> Record:
    """Return the folder's one record, of this artifact and sealed by somebody who is trusted."""
    try:
        name = record_name(folder)
    except UnreadableError as error:
        raise UnreadableError("") from error
    except VerificationError as error:
        raise VerificationError("there are several") from error
    try:
        record = Record.from_json(folder.read(name, RECORD_LIMIT))
    except UnreadableError as error:
        raise VerificationError(error.message) from error
    if record.artifact != expected.artifact or record.names.record != name:
        raise VerificationError("it is of another artifact")
    if expected.trust is not None:
        trusted_record_signer(record, expected.trust)
    return record


def _renewals(record: Record, found: VerifiedArtifact, expected: Expected) -> Iterator[Reason]:
    """Yield why evidence that holds is made again nevertheless."""
    if record.generator != VERSION:
        yield Reason(code=Code.GENERATOR_CHANGED, detail=f"{record.generator} → {VERSION}")
    signers = {key.hint for key in found.signers} | {record.seal.hint if record.seal else ""}
    # Statements of another kind of builder stay its own: our key never signs that CI has built something.
    if signers != {expected.signer} and found.build.run_details.builder_id == expected.builder:
        yield Reason(code=Code.SIGNER_CHANGED, detail=", ".join(sorted(signers - {expected.signer})))


def _reasons(record: Record, checked: CheckedFolder) -> tuple[list[Reason], tuple[Reason, ...]]:
    """Return why the artifact has to be built, and why other evidence has to be made again, a reason for each file."""
    names = record.names
    first: dict[str, Finding] = {}
    for finding in checked.findings.found:
        first.setdefault(finding.file, finding)
    lost = []
    if names.artifact in first:
        lost.append(_artifact_reason(record, checked, first[names.artifact]))
    for name, missing, changed in (
        (names.inventory, Code.INVENTORY_MISSING, Code.INVENTORY_CHANGED),
        (names.provenance_bundle, Code.PROVENANCE_MISSING, Code.PROVENANCE_INVALID),
    ):
        found = first.get(name)
        # Statements about another artifact than the one that is there are of no interest: it is built in any case.
        if found and (found.code is not FindingCode.INVALID or (name == names.provenance_bundle and not lost)):
            lost.append(_reason(found, missing, changed))
    others = [
        first[name]
        for name in (names.spdx, names.cyclonedx, names.spdx_bundle, names.cyclonedx_bundle)
        if name in first
    ]
    others += [f for f in first.values() if f.code is FindingCode.UNACCOUNTED]
    gaps = [f for f in others if f.code is not FindingCode.INVALID]
    if not gaps and not lost:  # each file is as recorded, yet together they do not hold
        gaps = [f for f in first.values() if f.code is FindingCode.INVALID]
    return lost, tuple(_reason(finding, Code.EVIDENCE_MISSING, Code.EVIDENCE_CHANGED) for finding in gaps)


def _artifact_reason(record: Record, checked: CheckedFolder, finding: Finding) -> Reason:
    if finding.code is FindingCode.MISSING:
        return Reason(code=Code.ARTIFACT_MISSING, detail=record.file)
    if checked.artifact is not None:
        detail = f"{record.file}: {checked.artifact.digest}, was {record.digest}"
        return Reason(code=Code.ARTIFACT_CHANGED, detail=detail)
    more = sum(f.file == finding.file for f in checked.findings.found) - 1
    detail = f"{quoted(finding.file)}: {finding.detail}{f', and {more} more' if more else ''}"
    return Reason(code=Code.ARTIFACT_CHANGED, detail=detail)


def _reason(finding: Finding, missing: Code, changed: Code) -> Reason:
    match finding.code:
        case FindingCode.MISSING:
            return Reason(code=missing, detail=finding.file)
        case FindingCode.UNACCOUNTED:
            return Reason(code=Code.FILE_UNACCOUNTED, detail=finding.file)
        case FindingCode.CHANGED:
            return Reason(code=changed, detail=finding.file)
    return Reason(code=changed, detail=f"{finding.file}: {finding.detail}")


def _intact(place: Path, record: Record, found: Measured, gaps: tuple[Reason, ...]) -> Intact | Invalid:
    """Return what stands, once it is sure that what is to be made again can be made of the stored inventory."""
    if gaps:
        try:
            stored_inventory(place, record)
        except ProvenanceError as error:
            return Invalid(reasons=(Reason(code=Code.INVENTORY_CHANGED, detail=error.message), *gaps))
    files = {**record.evidence, **found.files, record.names.record: digest_bytes(record.to_json()).sha256}
    return Intact(digest=found.digest, inputs=record.inputs, files=files, gaps=gaps)


def stored_inventory(place: Path, record: Record) -> Inventory:
    """Return the inventory that the folder holds, which must be the one that its record names.

    Raises:
        ProvenanceError: it is not, or it is none that this version reads.
    """
    name = record.names.inventory
    data = read_file(place / name, INVENTORY_LIMIT)
    if hashlib.sha256(data).hexdigest() != record.evidence.get(name):
        raise VerificationError(f"{quoted(name)}: its bytes are not those of the record")
    inventory = Inventory.from_json(data)
    if inventory.artifact != record.artifact or inventory.digest != record.digest:
        raise VerificationError(f"{quoted(name)}: it is of another artifact")
    return inventory


def _fallen(code: Code, detail: str = "") -> Invalid:
    return Invalid(reasons=(Reason(code=code, detail=detail),))


def read_record(place: Path) -> Record:
    """Return the record in an artifact's folder.

    Raises:
        UnreadableError: the record is missing or malformed.
    """
    names = sorted(p for p in place.glob(f"*{RECORD_SUFFIX}"))
    if len(names) != 1:
        raise UnreadableError(f"`{place}` holds no record", hint="run again: the artifact is built then")
    return Record.from_json(read_file(names[0], RECORD_LIMIT))


def signed_provenance(place: Path, digest: Digest, trust: Trust) -> Provenance:
    """Return the provenance of these bytes from an artifact's folder.

    Raises:
        ProvenanceError: it is missing, or does not verify.
    """
    names = read_record(place).names
    bundle = read_file(place / names.provenance_bundle, BUNDLE_LIMIT)
    said = verify_bundle(bundle, artifact=digest, trust=trust, predicate_type=PROVENANCE)
    return parse_provenance(said.statement.predicate)
