"""What an artifact's folder contains, measured and compared with what its record lists."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from ..attest import bundle
from ..digest import digest_bytes
from ..errors import MissingFileError, ProvenanceError, UnreadableError, VerificationError, quoted
from ..record import IMAGE, LIMIT, RECORD_SUFFIX, FileNames, Record, file_names
from ..sbom import inventory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ..digest import Digest
    from ..fs.folder import Folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """An artifact as measured in a folder.

    Attributes:
        digest: of a file's bytes; of an image its manifest's or index's digest, with every blob checked too.
        media_type: of that manifest or index; `None` for a file.
        files: relative path (with `/`) to sha256, for every file of the artifact.
    """

    digest: Digest
    media_type: str | None
    files: Mapping[str, str]

    @classmethod
    def of_file(cls, name: str, digest: Digest) -> Measured:
        """Return the measurement of a single file whose bytes were just digested."""
        return cls(digest=digest, media_type=None, files={name: digest.sha256})


def measure(folder: Folder, names: FileNames, *, media_type: str | None) -> Measured:
    """Measure the artifact with these `names`: an image if `media_type` is given, else a file.

    Raises:
        UnreadableError: it is missing, or can't be read.
        VerificationError: a blob does not match its descriptor, or the image has another media type.
    """
    if media_type is None:
        return Measured.of_file(names.artifact, folder.digest(names.artifact))
    if IMAGE not in folder.names:
        raise MissingFileError("missing")
    try:
        image = measure_image(folder.path)
    except MissingFileError as error:  # the layout exists, one of its files does not
        raise UnreadableError(error.message, hint=error.hint) from error
    if image.media_type != media_type:
        raise VerificationError(f"its media type is `{image.media_type}`, the record says `{media_type}`")
    return image


def measure_image(folder: Path) -> Measured:
    """Measure the image whose OCI layout is in `folder`.

    Raises:
        UnreadableError: it is missing, or not an OCI layout.
        VerificationError: a blob does not match its descriptor, or a file does not belong to the image.
    """
    from ..oci.layout import entry_files, verify_layout

    image = verify_layout(folder / IMAGE)
    for name, data in entry_files(image.descriptor).items():
        if image.files[name] != digest_bytes(data).sha256:
            raise VerificationError(f"`{IMAGE}/{name}` contains unsigned data")
    files = {f"{IMAGE}/{name}": sha256 for name, sha256 in image.files.items()}
    return Measured(digest=image.digest, media_type=image.descriptor.media_type, files=files)


INVENTORY_LIMIT = inventory.LIMIT
"""Bytes of an inventory."""

_LISTED = 5


class FindingCode(StrEnum):
    """What is wrong with a file of an artifact's folder."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    CHANGED = "changed"
    """Its digest differs from the one in the record."""
    INVALID = "invalid"
    """It does not verify, even if it matches the record."""
    UNACCOUNTED = "unaccounted"
    """It is not listed in the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem in an artifact's folder.

    Attributes:
        file: the name of the file in the folder.
        detail: the reason, on one line.
        hint: how to fix it; may be empty.
    """

    file: str
    code: FindingCode
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The contents of one artifact's folder.

    Attributes:
        record: not verified yet; `None` if it can't be read.
        artifact: as measured; `None` if it can't be read.
        files: name to bytes of each evidence file that could be read; the others are findings.
    """

    names: FileNames
    record: Record | None
    artifact: Measured | None
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Findings:
    """Problems, collected so that all of them are reported at once."""

    found: list[Finding] = field(default_factory=list)

    @contextmanager
    def of(self, name: str, code: FindingCode) -> Iterator[None]:
        """Turn an error of the block into findings about the file `name` and go on; a missing file is `MISSING`."""
        try:
            yield
        except ProvenanceError as error:
            if isinstance(error, MissingFileError):
                code = FindingCode.MISSING
            about = f"{quoted(name)}: "  # messages about an image already start with it
            for line in error.message.splitlines() or ["no reason given"]:
                self.found.append(Finding(file=name, code=code, detail=line.removeprefix(about), hint=error.hint or ""))

    def error(self, what: str) -> VerificationError:
        """Return an error that lists all findings, one per line, and each hint once."""
        others = [f for f in self.found if f.code is FindingCode.UNACCOUNTED]
        left_out = others[_LISTED:]
        lines = [f"  {quoted(f.file)}: {f.detail}" for f in self.found if f not in left_out]
        if left_out:
            lines.append(f"  {len(left_out)} more files are not listed in the record")
        hints = dict.fromkeys(f.hint for f in self.found if f.hint)
        return VerificationError("\n".join([f"{quoted(what)} is not verified:", *lines]), hint="; ".join(hints) or None)


def read_evidence(folder: Folder, artifact: Measured | None, findings: Findings) -> Evidence:
    """Read an artifact's folder; missing, unreadable and unexpected files become findings.

    Args:
        folder: the open folder.
        artifact: pass the measurement if known, to avoid rehashing.
        findings: problems are added here.

    Raises:
        UnreadableError: it is not an artifact's folder.
        VerificationError: it contains several records.
    """
    name = record_name(folder)
    record = measured = None
    files = {}
    with findings.of(name, FindingCode.INVALID):
        record = Record.from_json(folder.read(name, LIMIT))
    names = record.names if record else file_names(name.removesuffix(RECORD_SUFFIX))
    if names.record != name:
        detail = f"it is the record of {quoted(names.subject)}"
        findings.found.append(Finding(file=name, code=FindingCode.INVALID, detail=detail))
        names = file_names(name.removesuffix(RECORD_SUFFIX))
    with findings.of(names.artifact, FindingCode.UNREADABLE):
        measured = _measured(folder, names, record.media_type if record else None, artifact)
    for name in names.evidence:
        with findings.of(name, FindingCode.UNREADABLE):
            files[name] = folder.read(name, INVENTORY_LIMIT if name == names.inventory else bundle.LIMIT)
    findings.found.extend(
        Finding(file=name, code=FindingCode.UNACCOUNTED, detail="not listed in the record")
        for name in sorted(set(folder.names) - {names.artifact, names.record, *names.evidence})
    )
    return Evidence(names=names, record=record, artifact=measured, files=files)


def compare_with_record(evidence: Evidence, record: Record, findings: Findings) -> None:
    """Add a finding for each file that differs from the record."""
    names = evidence.names
    with findings.of(names.record, FindingCode.INVALID):
        if set(record.evidence) != set(names.evidence):
            raise VerificationError("it does not list exactly the expected evidence files")
    if evidence.artifact is not None:
        with findings.of(names.artifact, FindingCode.CHANGED):
            if record.digest != evidence.artifact.digest:
                raise VerificationError(f"its digest is {evidence.artifact.digest}, the record says {record.digest}")
    for name, data in evidence.files.items():
        with findings.of(name, FindingCode.CHANGED):
            if record.evidence.get(name) != hashlib.sha256(data).hexdigest():
                raise VerificationError("its sha256 differs from the one in the record")


def record_name(folder: Folder) -> str:
    """Return the name of the only record in the folder.

    Raises:
        UnreadableError: there is no record.
        VerificationError: there are several.
    """
    records = [name for name in folder.names if name.endswith(RECORD_SUFFIX) and name != RECORD_SUFFIX]
    if not records:
        raise UnreadableError(
            f"{quoted(str(folder.path))} is not an artifact's folder: it contains no record (`NAME{RECORD_SUFFIX}`)"
        )
    if len(records) > 1:
        listed = ", ".join(quoted(name) for name in records[:_LISTED])
        raise VerificationError(f"{quoted(str(folder.path))} contains {len(records)} records, expected one: {listed}")
    return records[0]


def _measured(folder: Folder, names: FileNames, media_type: str | None, known: Measured | None) -> Measured:
    if known is None or known.media_type != media_type:
        return measure(folder, names, media_type=media_type)
    if media_type is None and folder.size(names.artifact) != known.digest.size:
        raise VerificationError(f"it is not {known.digest.size:,} bytes long, the size that was measured")
    return known
