"""The record: the small file that ties one artifact's digest, its inputs' digest and its evidence's digests together.

It is written last and is no evidence itself: whoever verifies computes every digest again. Its JSON Schema is
`docs/record.schema.json`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .digest import Digest
from .errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "https://github.com/doit-provenance/doit-provenance/blob/main/docs/record.schema.json#v1"
LIMIT = 1 << 20
RECORD_SUFFIX = ".record.json"
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_NAME = re.compile(r"[^/\0]+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileNames:
    """The names of the files in one artifact's folder; `file_names` makes them."""

    artifact: str
    inventory: str
    spdx: str
    cyclonedx: str
    provenance_bundle: str
    spdx_bundle: str
    cyclonedx_bundle: str
    record: str

    @property
    def evidence(self) -> tuple[str, ...]:
        """Every file but the artifact and the record: the keys of `Record.evidence`."""
        return (
            self.inventory,
            self.spdx,
            self.cyclonedx,
            self.provenance_bundle,
            self.spdx_bundle,
            self.cyclonedx_bundle,
        )


def file_names(file: str) -> FileNames:
    """Return the names of what stands beside the artifact `file`, all named after it, its extension included."""
    return FileNames(
        artifact=file,
        inventory=f"{file}.inventory.json",
        spdx=f"{file}.spdx.json",
        cyclonedx=f"{file}.cdx.json",
        provenance_bundle=f"{file}.provenance.sigstore.json",
        spdx_bundle=f"{file}.spdx.sigstore.json",
        cyclonedx_bundle=f"{file}.cdx.sigstore.json",
        record=f"{file}{RECORD_SUFFIX}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one artifact's folder holds.

    Attributes:
        artifact: its id.
        file: the artifact's file name in the folder.
        digest: of that file.
        inputs: sha256 of the list of inputs (`attest/slsa.py` says how it is computed).
        evidence: file name to sha256, of every other file of the folder but the record.
        generator: the version of this program that made the evidence.
    """

    artifact: str
    file: str
    digest: Digest
    inputs: str
    evidence: Mapping[str, str]
    generator: str

    def to_json(self) -> bytes:
        """Return the record's bytes."""
        document = {
            "schema": SCHEMA,
            "artifact": self.artifact,
            "file": self.file,
            "digest": {"sha256": self.digest.sha256, "sha512": self.digest.sha512, "size": self.digest.size},
            "inputs": self.inputs,
            "evidence": dict(self.evidence),
            "generator": self.generator,
        }
        return (json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> Record:
        """Read a record strictly.

        Raises:
            UnreadableError: these bytes are no record of this version.
        """
        try:
            document = json.loads(data)
            if document.pop("schema") != SCHEMA:
                raise ValueError("another schema version")
            digest = Digest(**document.pop("digest"))
            record = cls(digest=digest, **document)
            texts = (record.artifact, record.file, record.inputs, record.generator)
            if not all(isinstance(t, str) for t in texts) or not isinstance(record.evidence, dict):
                raise ValueError("a field has the wrong type")
            if not all(_NAME.match(n) and n not in {".", ".."} for n in (record.file, *record.evidence)):
                raise ValueError("a file name leads out of the folder")
            if not all(_SHA256.match(d) for d in (record.inputs, *record.evidence.values())):
                raise ValueError("a digest is malformed")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UnreadableError(f"not a record: {error}") from error
        return record
