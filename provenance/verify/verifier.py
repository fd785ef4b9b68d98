"""Verifying one bundle, or one artifact's folder with all its evidence; offline, every digest computed again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import INVENTORY_PROPERTY
from ..attest import bundle as bundles
from ..attest import statement as statements
from ..attest.slsa import parse_provenance
from ..errors import VerificationError, quoted
from ..fs.folder import opened
from ..json import JSONObject, read_object
from .evidence import INVENTORY_LIMIT, Evidence, FindingCode, Findings, compare_with_record, read_evidence
from .policy import About, AllOf, Named, OfType, trusted_signer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..attest.slsa import Provenance
    from ..attest.statement import Statement
    from ..digest import Digest
    from ..fs.folder import Folder
    from ..record import Record
    from .evidence import Measured
    from .trust import Trust, TrustedKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A statement that a trusted key signed about the artifact."""

    statement: Statement
    signer: TrustedKey


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedArtifact:
    """An artifact whose evidence holds.

    Attributes:
        record: of the folder; every digest in it was computed again.
        artifact: its digest, and the files that it consists of.
        build: what the signed provenance says.
        provenance, spdx, cyclonedx: the three signed statements.
    """

    record: Record
    artifact: Measured
    build: Provenance
    provenance: Verified
    spdx: Verified
    cyclonedx: Verified

    @property
    def digest(self) -> Digest:
        """Of the artifact's bytes."""
        return self.artifact.digest

    @property
    def signers(self) -> tuple[TrustedKey, ...]:
        """The keys that signed, each once."""
        return tuple({v.signer.hint: v.signer for v in (self.provenance, self.spdx, self.cyclonedx)}.values())


def verify_bundle(bundle: bytes, *, artifact: Digest, trust: Trust, predicate_type: str | None) -> Verified:
    """Verify one signed statement about an artifact.

    1. The bundle is read strictly (`attest/bundle.py`).
    2. A trusted key signed its payload as an in-toto statement (`policy.trusted_signer`).
    3. The statement is read strictly, and only now (`attest/statement.py`).
    4. It is of the expected type (`policy.OfType`), and about this artifact (`policy.About`).

    Args:
        bundle: the bundle's bytes.
        artifact: computed from the artifact's bytes by the caller.
        trust: whom to trust.
        predicate_type: URI; `None` takes every type, for a caller that shows it to a person.

    Raises:
        UnreadableError: the bundle or the statement in it is malformed.
        VerificationError: signer or statement is not accepted.
    """
    found = bundles.Bundle.from_json(bundle)
    signer = trusted_signer(found, trust)
    statement = statements.parse_statement(found.envelope.payload)
    about = About(artifact=artifact)
    policy = AllOf(policies=(about,) if predicate_type is None else (OfType(predicate_type=predicate_type), about))
    policy.judge(statement)
    return Verified(statement=statement, signer=signer)


def verify_folder(path: Path, *, trust: Trust, artifact: Measured | None = None) -> VerifiedArtifact:
    """Verify an artifact's folder: everything that stands in it, and that it is all.

    The record is no evidence: it says what should be there, and every digest in it is computed again. That its id is
    the one that was asked for is the caller's to compare.

    1. The folder holds one record, and exactly the files that `Record.names` has for it; all are regular files, but
       for an image, which is a folder.
    2. The artifact's bytes are those of the record. Of an image these are the bytes of its manifest or index, and every
       blob below it is what its descriptor says (`oci/layout.py`).
    3. So are those of each file of evidence.
    4. Each of the three bundles holds, for its own predicate type and these bytes (`verify_bundle`), and its statement
       names the artifact (`policy.Named`).
    5. Each SBOM file equals, byte by byte, the predicate that was signed.
    6. The signed CycloneDX document names the sha256 of the inventory file, and the inventory is that of the artifact
       with the record's id and these bytes.
    7. The signed provenance is one by SLSA's rules.

    Args:
        path: of the folder.
        trust: whom to trust.
        artifact: what the caller has just measured this very artifact to be; it is measured here otherwise.

    Raises:
        UnreadableError: there is no such folder, or it is not an artifact's.
        VerificationError: something does not hold; the message has a line for each file that is wrong, and why.
    """
    with opened(path) as folder:
        checked = check_folder(folder, trust=trust, artifact=artifact)
    if checked.verified is None:
        is_known = checked.record is not None and checked.artifact is not None
        raise checked.findings.error(checked.record.artifact if checked.record and is_known else str(path))
    return checked.verified


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedFolder:
    """What a check of an artifact's folder found.

    Attributes:
        record: unproven unless `verified`; `None`: it can't be read.
        artifact: as measured; `None`: it can't be.
        findings: all that is wrong.
        verified: `None` unless nothing is wrong.
    """

    record: Record | None
    artifact: Measured | None
    findings: Findings
    verified: VerifiedArtifact | None


def check_folder(folder: Folder, *, trust: Trust, artifact: Measured | None = None) -> CheckedFolder:
    """Check an open folder by the rules of `verify_folder`, and return what is wrong as values.

    Raises:
        UnreadableError: it is not an artifact's folder.
        VerificationError: it has several records.
    """
    findings = Findings()
    evidence = read_evidence(folder, artifact, findings)
    record, measured = evidence.record, evidence.artifact
    verified = None
    if record is not None:
        compare_with_record(evidence, record, findings)
        if measured is not None:
            verified = _verify_evidence(evidence, record, measured, trust, findings)
    return CheckedFolder(record=record, artifact=measured, findings=findings, verified=verified)


def _verify_evidence(
    evidence: Evidence, record: Record, artifact: Measured, trust: Trust, findings: Findings
) -> VerifiedArtifact | None:
    names = evidence.names
    verified = _verify_bundles(evidence, artifact.digest, trust, findings)
    _compare_sboms(evidence, verified, findings)
    with findings.of(names.inventory, FindingCode.INVALID):
        _compare_inventory(evidence, record, artifact.digest, verified)
    build = None
    if statements.PROVENANCE in verified:
        with findings.of(names.provenance_bundle, FindingCode.INVALID):
            build = parse_provenance(verified[statements.PROVENANCE].statement.predicate)
    if findings.found or build is None:
        return None
    return VerifiedArtifact(
        record=record,
        artifact=artifact,
        build=build,
        provenance=verified[statements.PROVENANCE],
        spdx=verified[statements.SPDX],
        cyclonedx=verified[statements.CYCLONEDX],
    )


def _verify_bundles(found: Evidence, artifact: Digest, trust: Trust, findings: Findings) -> Mapping[str, Verified]:
    verified = {}
    for name, predicate_type in (
        (found.names.provenance_bundle, statements.PROVENANCE),
        (found.names.spdx_bundle, statements.SPDX),
        (found.names.cyclonedx_bundle, statements.CYCLONEDX),
    ):
        if name in found.files:
            with findings.of(name, FindingCode.INVALID):
                said = verify_bundle(found.files[name], artifact=artifact, trust=trust, predicate_type=predicate_type)
                Named(name=found.names.subject).judge(said.statement)
                verified[predicate_type] = said
    return verified


def _compare_sboms(found: Evidence, verified: Mapping[str, Verified], findings: Findings) -> None:
    for name, predicate_type in ((found.names.spdx, statements.SPDX), (found.names.cyclonedx, statements.CYCLONEDX)):
        if name in found.files and predicate_type in verified:
            with findings.of(name, FindingCode.INVALID):
                if found.files[name] != verified[predicate_type].statement.predicate_bytes:
                    raise VerificationError("its bytes are not those that were signed")


def _compare_inventory(found: Evidence, record: Record, artifact: Digest, verified: Mapping[str, Verified]) -> None:
    if found.names.inventory not in found.files or statements.CYCLONEDX not in verified:
        return  # noted where it was missed
    data = found.files[found.names.inventory]
    signed = JSONObject(
        what="the signed CycloneDX document", path="", found=verified[statements.CYCLONEDX].statement.predicate
    )
    properties = signed.child("metadata").children("properties")
    said = [p.text("value") for p in properties if p.found.get("name") == INVENTORY_PROPERTY]
    if said != [hashlib.sha256(data).hexdigest()]:
        raise VerificationError("its sha256 is not the one that the signed CycloneDX document names")
    inventory = read_object(data, what="the inventory", limit=INVENTORY_LIMIT)
    if inventory.text("artifact") != record.artifact:
        raise VerificationError(
            f"it is of {quoted(inventory.text('artifact'))}, the record of {quoted(record.artifact)}"
        )
    if inventory.child("digest").found.get("sha256") != artifact.sha256:
        raise VerificationError("it is of other bytes than the artifact's")
