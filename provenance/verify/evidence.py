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
    """An artifact as it stands in a folder.

    Attributes:
        digest: of a file's bytes; of an image's manifest or index, each of whose blobs was digested too.
        media_type: of that manifest or index; `None`: it is a file.
        files: path from the folder, with `/`, to sha256, of all that the artifact consists of.
    """

    digest: Digest
    media_type: str | None
    files: Mapping[str, str]

    @classmethod
    def of_file(cls, name: str, digest: Digest) -> Measured:
        """Return what is said of a file of this name, whose bytes were just digested."""
        return cls(digest=digest, media_type=None, files={name: digest.sha256})


def measure(folder: Folder, names: FileNames, *, media_type: str | None) -> Measured:
    """Measure the artifact with these `names`, which is an image if there is a media type.

    Raises:
        UnreadableError: it is missing, or can't be read.
        VerificationError: a blob of the image is not what its descriptor says, or its media type is another one.
    """
    if media_type is None:
        return Measured.of_file(names.artifact, folder.digest(names.artifact))
    if IMAGE not in folder.names:
        raise MissingFileError("missing")
    try:
        found = measure_image(folder.path)
    except MissingFileError as error:  # a file of the image, which itself is there
        raise UnreadableError(error.message, hint=error.hint) from error
    if found.media_type != media_type:
        raise VerificationError(f"its media type is `{found.media_type}`, the record says `{media_type}`")
    return found


def measure_image(folder: Path) -> Measured:
    """Measure the image whose layout lies in `folder`.

    Raises:
        UnreadableError: it is missing, or no layout.
        VerificationError: a blob is not what its descriptor says, or a file is not part of it.
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
    """Its bytes are not those that the record names."""
    INVALID = "invalid"
    """It does not verify, whatever the record says."""
    UNACCOUNTED = "unaccounted"
    """It does not belong there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong in an artifact's folder.

    Attributes:
        file: its name in the folder.
        detail: why, for a person; one line.
        hint: what to do about it; may be empty.
    """

    file: str
    code: FindingCode
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was read of one folder.

    Attributes:
        record: nothing in it is proven yet; `None`: it can't be read.
        artifact: its digest, computed; `None`: it can't be read.
        files: name to bytes of each file of evidence; one that could not be read is a finding and not here.
    """

    names: FileNames
    record: Record | None
    artifact: Measured | None
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong, collected so that a person sees all of it at once."""

    found: list[Finding] = field(default_factory=list)

    @contextmanager
    def of(self, name: str, code: FindingCode) -> Iterator[None]:
        """Note what goes wrong with the file `name`, and go on; a file that is not there is `MISSING`."""
        try:
            yield
        except ProvenanceError as error:
            if isinstance(error, MissingFileError):
                code = FindingCode.MISSING
            about = f"{quoted(name)}: "  # an image's lines begin with it already
            for line in error.message.splitlines() or ["no reason is given"]:
                self.found.append(Finding(file=name, code=code, detail=line.removeprefix(about), hint=error.hint or ""))

    def error(self, what: str) -> VerificationError:
        """Return the error that lists the findings, a line for each, and each hint once."""
        others = [f for f in self.found if f.code is FindingCode.UNACCOUNTED]
        left_out = others[_LISTED:]
        lines = [f"  {quoted(f.file)}: {f.detail}" for f in self.found if f not in left_out]
        if left_out:
            lines.append(f"  nothing accounts for {len(left_out)} more files")
        hints = dict.fromkeys(f.hint for f in self.found if f.hint)
        return VerificationError("\n".join([f"{quoted(what)} is not verified:", *lines]), hint="; ".join(hints) or None)


def read_evidence(folder: Folder, artifact: Measured | None, findings: Findings) -> Evidence:
    """Read an artifact's folder, noting what is missing, unreadable, or should not be there.

    Args:
        folder: open.
        artifact: what it was measured to be, where that is known; it is measured otherwise.
        findings: where to note.

    Raises:
        UnreadableError: it is not an artifact's folder.
        VerificationError: it has several records.
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
        Finding(file=name, code=FindingCode.UNACCOUNTED, detail="nothing accounts for this file")
        for name in sorted(set(folder.names) - {names.artifact, names.record, *names.evidence})
    )
    return Evidence(names=names, record=record, artifact=measured, files=files)


def compare_with_record(evidence: Evidence, record: Record, findings: Findings) -> None:
    """Note where the folder's files are not those of the record."""
    names = evidence.names
    with findings.of(names.record, FindingCode.INVALID):
        if set(record.evidence) != set(names.evidence):
            raise VerificationError("it does not list the evidence that belongs here, all of it and nothing else")
    if evidence.artifact is not None:
        with findings.of(names.artifact, FindingCode.CHANGED):
            if record.digest != evidence.artifact.digest:
                raise VerificationError(f"its bytes are {evidence.artifact.digest}, the record says {record.digest}")
    for name, data in evidence.files.items():
        with findings.of(name, FindingCode.CHANGED):
            if record.evidence.get(name) != hashlib.sha256(data).hexdigest():
                raise VerificationError("its bytes are not those of the record")


def record_name(folder: Folder) -> str:
    """Return the name of the folder's one record.

    Raises:
        UnreadableError: it has none.
        VerificationError: it has several.
    """
    records = [name for name in folder.names if name.endswith(RECORD_SUFFIX) and name != RECORD_SUFFIX]
    if not records:
        raise UnreadableError(
            f"{quoted(str(folder.path))} is not an artifact's folder: it holds no record (`NAME{RECORD_SUFFIX}`)"
        )
    if len(records) > 1:
        listed = ", ".join(quoted(name) for name in records[:_LISTED])
        raise VerificationError(f"{quoted(str(folder.path))} holds {len(records)} records, not one: {listed}")
    return records[0]


def _measured(folder: Folder, names: FileNames, media_type: str | None, known: Measured | None) -> Measured:
    if known is None or known.media_type != media_type:
        return measure(folder, names, media_type=media_type)
    if media_type is None and folder.size(names.artifact) != known.digest.size:
        raise VerificationError(f"it is not {known.digest.size:,} bytes long, as what was digested")
    return known
