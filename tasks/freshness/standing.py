"""What stands in an artifact's folder: whether all of it holds, and if not, what is to be made again and why."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...provenance import VERSION
from ...provenance.attest.bundle import LIMIT as BUNDLE_LIMIT
from ...provenance.attest.statement import PROVENANCE
from ...provenance.digest import digest_bytes
from ...provenance.errors import ProvenanceError, UnreadableError, VerificationError, quoted
from ...provenance.fs.folder import Folder, opened, read_file
from ...provenance.record import LIMIT as RECORD_LIMIT
from ...provenance.record import RECORD_SUFFIX, Record
from ...provenance.sbom.inventory import Inventory
from ...provenance.verify.artifact import Measured, measure
from ...provenance.verify.evidence import INVENTORY_LIMIT, said_of
from ...provenance.verify.policy import trusted_sealer
from ...provenance.verify.verifier import VerifiedArtifact, verify_bundle, verify_folder
from .answer import Code, Fallen, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ...provenance.attest.slsa import BuilderId
    from ...provenance.digest import Digest
    from ...provenance.record import FileNames
    from ...provenance.verify.trust import Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
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


def inspect(place: Path, expected: Expected) -> Standing | Fallen:
    """Judge the folder at `place`, all of it, by its bytes. Nothing in it can make this fail."""
    if not os.path.lexists(place):
        return _fallen(Code.NEVER_BUILT)
    try:
        with opened(place) as folder:
            if not folder.names:
                return _fallen(Code.NEVER_BUILT)
            record = _record(folder, expected)
    except ProvenanceError as error:
        is_missing = isinstance(error, UnreadableError)
        return _fallen(Code.RECORD_MISSING if is_missing else Code.RECORD_INVALID, error.message)
    trust = expected.trust
    if trust is None:
        return _fallen(Code.PROVENANCE_INVALID, "there is no key to verify with")
    try:
        found = verify_folder(place, trust=trust)
    except ProvenanceError as error:
        return _examine(place, record, trust, error)
    gaps = tuple(_renewals(record, found, expected))
    return _standing(place, record, found.artifact, gaps)


def _record(folder: Folder, expected: Expected) -> Record:
    """Return the folder's one record, of this artifact and sealed by somebody who is trusted."""
    names = [name for name in folder.names if name.endswith(RECORD_SUFFIX) and name != RECORD_SUFFIX]
    if not names:
        raise UnreadableError("")
    if len(names) > 1:
        raise VerificationError("there are several")
    try:
        record = Record.from_json(folder.read(names[0], RECORD_LIMIT))
    except UnreadableError as error:
        raise VerificationError(error.message) from error
    if record.artifact != expected.artifact or record.names.record != names[0]:
        raise VerificationError("it is of another artifact")
    if expected.trust is not None:
        trusted_sealer(record, expected.trust)
    return record


def _renewals(record: Record, found: VerifiedArtifact, expected: Expected) -> Iterator[Reason]:
    """Yield why evidence that holds is made again nevertheless."""
    if record.generator != VERSION:
        yield Reason(code=Code.GENERATOR_CHANGED, detail=f"{record.generator} → {VERSION}")
    signers = {key.hint for key in found.signers} | {record.seal.hint if record.seal else ""}
    # Statements of another kind of builder stay its own: our key never signs that CI has built something.
    if signers != {expected.signer} and found.build.run_details.builder_id == expected.builder:
        yield Reason(code=Code.SIGNER_CHANGED, detail=", ".join(sorted(signers - {expected.signer})))


def _examine(place: Path, record: Record, trust: Trust, error: ProvenanceError) -> Standing | Fallen:
    """Find out what exactly does not hold, file by file."""
    names = record.names
    lost: list[Reason] = []
    gaps: list[Reason] = []
    try:
        with opened(place) as folder:
            found = _artifact(folder, record, lost)
            _inventory(folder, names, record, lost)
            _provenance(folder, names, record, trust, lost)
            for name in (names.spdx, names.cyclonedx, names.spdx_bundle, names.cyclonedx_bundle):
                gaps += _differs(folder, name, record, (Code.EVIDENCE_MISSING, Code.EVIDENCE_CHANGED))
            for name in sorted(set(folder.names) - {names.artifact, names.record, *names.evidence}):
                gaps.append(Reason(code=Code.FILE_UNACCOUNTED, detail=name))
    except ProvenanceError as unreadable:  # it changes under us
        return _fallen(Code.RECORD_INVALID, unreadable.message)
    if found is None or lost:
        return Fallen(reasons=(*lost, *gaps))
    if not gaps:  # each file is as recorded, yet together they do not hold
        gaps.append(Reason(code=Code.EVIDENCE_CHANGED, detail=error.message.partition("\n")[2].strip()))
    return _standing(place, record, found, tuple(gaps))


def _standing(place: Path, record: Record, found: Measured, gaps: tuple[Reason, ...]) -> Standing | Fallen:
    """Return what stands, once it is sure that what is to be made again can be made of the stored inventory."""
    if gaps:
        try:
            stored_inventory(place, record)
        except ProvenanceError as error:
            return Fallen(reasons=(Reason(code=Code.INVENTORY_CHANGED, detail=error.message), *gaps))
    files = {**record.evidence, **found.files, record.names.record: digest_bytes(record.to_json()).sha256}
    return Standing(digest=found.digest, inputs=record.inputs, files=files, gaps=gaps)


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


def _artifact(folder: Folder, record: Record, lost: list[Reason]) -> Measured | None:
    if record.file not in folder.names:
        lost.append(Reason(code=Code.ARTIFACT_MISSING, detail=record.file))
        return None
    try:
        found = measure(folder, record.names, media_type=record.media_type)
    except (UnreadableError, VerificationError) as error:
        first, *more = said_of(record.file, error.message)
        rest = f", and {len(more)} more" if more else ""
        lost.append(Reason(code=Code.ARTIFACT_CHANGED, detail=f"{first}{rest}"))
        return None
    if found.digest != record.digest:
        lost.append(Reason(code=Code.ARTIFACT_CHANGED, detail=f"{record.file}: {found.digest}, was {record.digest}"))
    return found


def _inventory(folder: Folder, names: FileNames, record: Record, lost: list[Reason]) -> None:
    lost += _differs(folder, names.inventory, record, (Code.INVENTORY_MISSING, Code.INVENTORY_CHANGED))


def _provenance(folder: Folder, names: FileNames, record: Record, trust: Trust, lost: list[Reason]) -> None:
    name = names.provenance_bundle
    found = list(_differs(folder, name, record, (Code.PROVENANCE_MISSING, Code.PROVENANCE_INVALID)))
    if not found:
        try:
            bundle = folder.read(name, BUNDLE_LIMIT)
            verify_bundle(bundle, artifact=record.digest, trust=trust, predicate_type=PROVENANCE)
        except ProvenanceError as error:
            found.append(Reason(code=Code.PROVENANCE_INVALID, detail=f"{name}: {error.message}"))
    lost += found


def _differs(folder: Folder, name: str, record: Record, codes: tuple[Code, Code]) -> Iterator[Reason]:
    """Yield a reason where a file is missing (the first of `codes`) or is not as recorded (the second)."""
    missing, changed = codes
    if name not in folder.names:
        yield Reason(code=missing, detail=name)
        return
    try:
        data = folder.read(name, max(INVENTORY_LIMIT, BUNDLE_LIMIT))
    except UnreadableError as error:
        yield Reason(code=changed, detail=f"{name}: {error.message}")
        return
    if hashlib.sha256(data).hexdigest() != record.evidence.get(name):
        yield Reason(code=changed, detail=name)


def _fallen(code: Code, detail: str = "") -> Fallen:
    return Fallen(reasons=(Reason(code=code, detail=detail),))
