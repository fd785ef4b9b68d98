"""Offline verification of a bundle, or of an artifact's folder with all its evidence; all digests are recomputed."""

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
    """A statement about the artifact, signed with a trusted key."""

    statement: Statement
    signer: TrustedKey


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedArtifact:
    """An artifact with valid evidence.

    Attributes:
        record: the folder's record; every digest in it was recomputed.
        artifact: its digest and files.
        build: the signed provenance.
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
        """The artifact's digest."""
        return self.artifact.digest

    @property
    def signers(self) -> tuple[TrustedKey, ...]:
        """The signing keys, each once."""
        return tuple({v.signer.hint: v.signer for v in (self.provenance, self.spdx, self.cyclonedx)}.values())


def verify_bundle(bundle: bytes, *, artifact: Digest, trust: Trust, predicate_type: str | None) -> Verified:
    """Verify one signed statement about an artifact.

    1. Parse the bundle strictly (`attest/bundle.py`).
    2. Check that a trusted key signed the payload as an in-toto statement (`policy.trusted_signer`).
    3. Only then parse the statement, strictly (`attest/statement.py`).
    4. Check the predicate type (`policy.OfType`) and the subject (`policy.About`).

    Args:
        bundle: the bundle's bytes.
        artifact: the artifact's digest, computed by the caller.
        trust: the trusted keys.
        predicate_type: URI; `None` accepts every type, for callers that display it.

    Raises:
        UnreadableError: the bundle or the statement in it is malformed.
        VerificationError: the signer is not trusted, or the statement does not match.
    """
    parsed = bundles.Bundle.from_json(bundle)
    signer = trusted_signer(parsed, trust)
    statement = statements.parse_statement(parsed.envelope.payload)
    about = About(artifact=artifact)
    policy = AllOf(policies=(about,) if predicate_type is None else (OfType(predicate_type=predicate_type), about))
    policy.check(statement)
    return Verified(statement=statement, signer=signer)


def verify_folder(path: Path, *, trust: Trust, artifact: Measured | None = None) -> VerifiedArtifact:
    """Verify every file of an artifact's folder, and that it contains no others.

    The record is not evidence: it lists the expected files, and every digest in it is recomputed. Callers that expect a
    certain artifact id must compare it themselves.

    1. The folder contains one record and exactly the files of `Record.names`; all are regular files, except that an
       image is a folder.
    2. The artifact's digest matches the record. For an image that is the digest of its manifest or index, and every
       blob below it matches its descriptor (`oci/layout.py`).
    3. The digest of every evidence file matches the record.
    4. Each of the three bundles verifies for its predicate type and this artifact (`verify_bundle`), and the subject
       has the artifact's name (`policy.Named`).
    5. Each SBOM file is identical to the signed predicate, byte by byte.
    6. The signed CycloneDX document contains the sha256 of the inventory file, and the inventory has the record's
       artifact id and the artifact's digest.
    7. The signed provenance is valid SLSA provenance.

    Args:
        path: the folder.
        trust: the trusted keys.
        artifact: pass the measurement if known, to avoid rehashing.

    Raises:
        UnreadableError: the folder does not exist, or is not an artifact's.
        VerificationError: a check failed; the message lists each file with its problem.
    """
    with opened(path) as folder:
        checked = check_folder(folder, trust=trust, artifact=artifact)
    if checked.verified is None:
        is_known = checked.record is not None and checked.artifact is not None
        raise checked.findings.error(checked.record.artifact if checked.record and is_known else str(path))
    return checked.verified


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedFolder:
    """The result of checking an artifact's folder.

    Attributes:
        record: not verified unless `verified` is set; `None` if it can't be read.
        artifact: as measured; `None` if it can't be.
        findings: all problems.
        verified: set if there are no findings.
    """

    record: Record | None
    artifact: Measured | None
    findings: Findings
    verified: VerifiedArtifact | None


def check_folder(folder: Folder, *, trust: Trust, artifact: Measured | None = None) -> CheckedFolder:
    """Run the checks of `verify_folder` on an open folder and return the findings as values.

    Raises:
        UnreadableError: it is not an artifact's folder.
        VerificationError: it contains several records.
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


def _verify_bundles(evidence: Evidence, artifact: Digest, trust: Trust, findings: Findings) -> Mapping[str, Verified]:
    verified = {}
    for name, predicate_type in (
        (evidence.names.provenance_bundle, statements.PROVENANCE),
        (evidence.names.spdx_bundle, statements.SPDX),
        (evidence.names.cyclonedx_bundle, statements.CYCLONEDX),
    ):
        if (data := evidence.files.get(name)) is not None:
            with findings.of(name, FindingCode.INVALID):
                result = verify_bundle(data, artifact=artifact, trust=trust, predicate_type=predicate_type)
                Named(name=evidence.names.subject).check(result.statement)
                verified[predicate_type] = result
    return verified


def _compare_sboms(evidence: Evidence, verified: Mapping[str, Verified], findings: Findings) -> None:
    for name, predicate_type in (
        (evidence.names.spdx, statements.SPDX),
        (evidence.names.cyclonedx, statements.CYCLONEDX),
    ):
        if name in evidence.files and predicate_type in verified:
            with findings.of(name, FindingCode.INVALID):
                if evidence.files[name] != verified[predicate_type].statement.predicate_bytes:
                    raise VerificationError("it differs from the signed document")


def _compare_inventory(evidence: Evidence, record: Record, artifact: Digest, verified: Mapping[str, Verified]) -> None:
    if evidence.names.inventory not in evidence.files or statements.CYCLONEDX not in verified:
        return  # already a finding
    data = evidence.files[evidence.names.inventory]
    signed = JSONObject(
        what="the signed CycloneDX document", path="", found=verified[statements.CYCLONEDX].statement.predicate
    )
    properties = signed.child("metadata").children("properties")
    digests = [p.text("value") for p in properties if p.found.get("name") == INVENTORY_PROPERTY]
    if digests != [hashlib.sha256(data).hexdigest()]:
        raise VerificationError("its sha256 differs from the one in the signed CycloneDX document")
    inventory = read_object(data, what="the inventory", limit=INVENTORY_LIMIT)
    if inventory.text("artifact") != record.artifact:
        raise VerificationError(
            f"it describes {quoted(inventory.text('artifact'))}, the record {quoted(record.artifact)}"
        )
    if inventory.child("digest").found.get("sha256") != artifact.sha256:
        raise VerificationError("it describes an artifact with another digest")
