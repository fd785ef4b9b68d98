"""What stands in an artifact's folder, compared with what its record says should stand there."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..attest import bundle
from ..errors import ProvenanceError, UnreadableError, VerificationError, quoted
from ..fs.folder import Folder, opened
from ..record import LIMIT, RECORD_SUFFIX, FileNames, Record, file_names
from ..sbom import inventory
from .artifact import Measured, measure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

INVENTORY_LIMIT = inventory.LIMIT
"""Bytes of an inventory."""

_LISTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was read of one folder.

    Attributes:
        record: as it stands there; nothing in it is proven yet.
        artifact: its digest, computed.
        files: name to bytes of each file of evidence; what could not be read is a failure already and not here.
    """

    names: FileNames
    record: Record
    artifact: Measured
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Failures:
    """What does not hold, so that a person sees all of it at once.

    Attributes:
        reasons: a line for each.
        hints: what to do, each once however many reasons have it.
    """

    reasons: list[str] = field(default_factory=list)
    hints: dict[str, None] = field(default_factory=dict)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Note what goes wrong with the file `name`, and go on."""
        try:
            yield
        except ProvenanceError as error:
            self.reasons.extend(said_of(name, error.message))
            if error.hint:
                self.hints[error.hint] = None

    def raise_for(self, what: str) -> None:
        """Raise if anything was noted.

        Raises:
            VerificationError: with a line for each failure.
        """
        if self.reasons:
            lines = "\n".join(f"  {reason}" for reason in self.reasons)
            raise VerificationError(f"{quoted(what)} is not verified:\n{lines}", hint="; ".join(self.hints) or None)


def said_of(name: str, message: str) -> list[str]:
    """Return the lines of a message, each with the name of what it is about, which an image's lines have already."""
    about = f"{quoted(name)}: "
    return [f"{about}{line.removeprefix(about)}" for line in message.splitlines()]


def read_evidence(path: Path, artifact: Measured | None, failures: Failures) -> Evidence:
    """Read an artifact's folder, noting what is missing, unreadable, or should not be there.

    Args:
        path: of the folder.
        artifact: what it was measured to be, where that is known; it is measured otherwise.
        failures: where to note.

    Raises:
        UnreadableError: there is no such folder, or it is not an artifact's.
        VerificationError: its record or its artifact can't be read, so nothing can be said about the rest.
    """
    with opened(path) as folder:
        name = _record_name(folder)
        records, artifacts, files = [], [], {}
        with failures.of(name):
            records.append(Record.from_json(folder.read(name, LIMIT)))
        names = records[0].names if records else file_names(name.removesuffix(RECORD_SUFFIX))
        if names.record != name:
            failures.reasons.append(f"{quoted(name)}: it is the record of {quoted(names.subject)}")
            names = file_names(name.removesuffix(RECORD_SUFFIX))
        media_type = records[0].media_type if records else None
        with failures.of(names.artifact):
            artifacts.append(_measured(folder, names, media_type, artifact))
        for name in names.evidence:
            with failures.of(name):
                files[name] = folder.read(name, INVENTORY_LIMIT if name == names.inventory else bundle.LIMIT)
        _note_others(folder, names, failures)
    if not records or not artifacts:
        failures.raise_for(str(path))
    return Evidence(names=names, record=records[0], artifact=artifacts[0], files=files)


def compare_with_record(found: Evidence, failures: Failures) -> None:
    """Note where the folder's files are not those of the record."""
    names, record = found.names, found.record
    with failures.of(names.record):
        if set(record.evidence) != set(names.evidence):
            raise VerificationError("it does not list the evidence that belongs here, all of it and nothing else")
    with failures.of(names.artifact):
        if record.digest != found.artifact.digest:
            raise VerificationError(f"its bytes are {found.artifact.digest}, the record says {record.digest}")
    for name, data in found.files.items():
        with failures.of(name):
            if record.evidence.get(name) != hashlib.sha256(data).hexdigest():
                raise VerificationError("its bytes are not those of the record")


def _record_name(folder: Folder) -> str:
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


def _note_others(folder: Folder, names: FileNames, failures: Failures) -> None:
    others = sorted(set(folder.names) - {names.artifact, names.record, *names.evidence})
    for name in others[:_LISTED]:
        failures.reasons.append(f"{quoted(name)}: nothing accounts for this file")
    if len(others) > _LISTED:
        failures.reasons.append(f"nothing accounts for {len(others) - _LISTED} more files")
