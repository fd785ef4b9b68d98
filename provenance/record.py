"""The record: a small file with the digests of an artifact, of its inputs and of its evidence.

It is written last and is not evidence: verification recomputes every digest. Its signature (JSON field `seal`) states
that these inputs produced these bytes. No other file states that once an artifact was rebuilt to identical bytes, so
freshness trusts the inputs digest only with a valid signature. JSON Schema: `docs/record.schema.json`.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .digest import Digest
from .errors import UnreadableError
from .json import JSONObject, JSONValue, read_object

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "https://github.com/doit-provenance/doit-provenance/blob/main/docs/record.schema.json#v1"
LIMIT = 1 << 20
RECORD_SUFFIX = ".record.json"
IMAGE = "image"
"""Name of an image artifact's folder, which is an OCI image layout."""
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
RECORD_PAYLOAD_TYPE = "application/vnd.doit-provenance.record+json"
"""DSSE payload type of record signatures, so that a signature of something else is not accepted as one."""
_FIELDS = ("schema", "artifact", "file", "digest", "inputs", "evidence", "generator", "mediaType", "seal")
_ID = re.compile(r"[^:@]+:[^@]+@.+\Z")
_MEDIA_TYPE = re.compile(r"[a-z]+/[A-Za-z0-9.+-]{1,126}\Z")
_NAME = re.compile(r"(?!\.{1,2}\Z)[^/\0]+\Z")
_IN_FOLDER = "the name of a file in the folder"
_WHAT = "the record"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileNames:
    """The names of the files in one artifact's folder; `file_names` and `image_names` make them.

    Attributes:
        subject: the subject name in statements.
        artifact: the artifact: a file, or an image's folder.
    """

    subject: str
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
        """All files except artifact and record: the keys of `Record.evidence`."""
        return (
            self.inventory,
            self.spdx,
            self.cyclonedx,
            self.provenance_bundle,
            self.spdx_bundle,
            self.cyclonedx_bundle,
        )


def file_names(file: str) -> FileNames:
    """Return the file names for an artifact that is a file; all start with its name, extension included."""
    return _names(file, artifact=file)


def image_names(name: str) -> FileNames:
    """Return the file names for an image artifact with this name."""
    return _names(name.replace("/", "-"), artifact=IMAGE)


def _names(stem: str, *, artifact: str) -> FileNames:
    return FileNames(
        subject=stem,
        artifact=artifact,
        inventory=f"{stem}.inventory.json",
        spdx=f"{stem}.spdx.json",
        cyclonedx=f"{stem}.cdx.json",
        provenance_bundle=f"{stem}.provenance.sigstore.json",
        spdx_bundle=f"{stem}.spdx.sigstore.json",
        cyclonedx_bundle=f"{stem}.cdx.sigstore.json",
        record=f"{stem}{RECORD_SUFFIX}",
    )


def place_of(builder: str, name: str, platform: str) -> str:
    """Return an artifact's folder, relative to the output folder, with `/`."""
    return f"{builder}/{name.replace('/', '-')}/{platform.replace('/', '-')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSignature:
    """A signature over a record (DSSE's pre-authentication encoding of `Record.payload`, with `RECORD_PAYLOAD_TYPE`).

    Attributes:
        hint: the key hint, as in bundles.
        signature: ECDSA with SHA-256, in DER.
    """

    hint: str
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The contents of one artifact's folder.

    Attributes:
        artifact: the artifact's id.
        file: the artifact's file name in the folder; for an image the name of the layout folder.
        digest: of that file; for an image of its manifest or index.
        media_type: of that manifest or index (OCI image-spec, descriptor); `None` for a file.
        inputs: sha256 of the list of all inputs (`tasks/freshness/inputs.py`).
        evidence: file name to sha256, for all files except artifact and record.
        generator: the version of this program that wrote the evidence.
        seal: signature over all other fields; `None`: the record is not signed.
    """

    artifact: str
    file: str
    digest: Digest
    inputs: str
    evidence: Mapping[str, str]
    generator: str
    media_type: str | None = None
    seal: RecordSignature | None = None

    @property
    def names(self) -> FileNames:
        """The names of the files in the artifact's folder."""
        if self.media_type is None:
            return file_names(self.file)
        return image_names(self.artifact.partition(":")[2].rpartition("@")[0])

    def payload(self) -> bytes:
        """Return the signed bytes: the record without its signature."""
        return _encode(self._document())

    def to_json(self) -> bytes:
        """Return the record's bytes."""
        document = self._document()
        if self.seal is not None:
            document["seal"] = {"keyid": self.seal.hint, "sig": base64.b64encode(self.seal.signature).decode()}
        return _encode(document)

    def _document(self) -> dict[str, JSONValue]:
        document: dict[str, JSONValue] = {
            "schema": SCHEMA,
            "artifact": self.artifact,
            "file": self.file,
            "digest": {"sha256": self.digest.sha256, "sha512": self.digest.sha512, "size": self.digest.size},
            "inputs": self.inputs,
            "evidence": dict(self.evidence),
            "generator": self.generator,
        }
        return document if self.media_type is None else document | {"mediaType": self.media_type}

    @classmethod
    def from_json(cls, data: bytes) -> Record:
        """Read a record strictly: only the canonical bytes of `to_json`, so that the signature covers what was read.

        Raises:
            UnreadableError: the bytes are not a record of this version.
        """
        document = read_object(data, what=_WHAT, limit=LIMIT)
        document.refuse_others(_FIELDS)
        if document.text("schema") != SCHEMA:
            raise document.error("schema", "is another schema version")
        record = cls(
            artifact=document.matching("artifact", _ID, "an artifact's id"),
            file=document.matching("file", _NAME, _IN_FOLDER),
            digest=_digest(document.child("digest")),
            inputs=document.matching("inputs", _SHA256, "a sha256 in hex"),
            evidence=_evidence(document.child("evidence")),
            generator=document.text("generator"),
            media_type=document.matching("mediaType", _MEDIA_TYPE, "a media type")
            if "mediaType" in document.found
            else None,
            seal=_seal(document.child("seal")) if "seal" in document.found else None,
        )
        if record.file != record.names.artifact:
            raise document.error("file", "is not the name of an image's folder")
        if record.to_json() != data:
            raise UnreadableError(f"{_WHAT} is not in the canonical form in which records are written")
        return record


def _encode(document: Mapping[str, JSONValue]) -> bytes:
    return (json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()


def _seal(table: JSONObject) -> RecordSignature:
    table.refuse_others(("keyid", "sig"))
    try:
        signature = base64.b64decode(table.text("sig"), validate=True)
    except ValueError as error:
        raise table.error("sig", "is not base64") from error
    return RecordSignature(hint=table.text("keyid"), signature=signature)


def _evidence(table: JSONObject) -> dict[str, str]:
    for name in table.found:
        if not _NAME.fullmatch(name):
            raise table.error(name, f"must be {_IN_FOLDER}")
    return {name: table.matching(name, _SHA256, "a sha256 in hex") for name in table.found}


def _digest(table: JSONObject) -> Digest:
    table.refuse_others(("sha256", "sha512", "size"))
    sha256, sha512, size = table.text("sha256"), table.text("sha512"), table.count("size")
    try:
        return Digest(sha256=sha256, sha512=sha512, size=size)
    except ValueError as error:
        raise table.error("sha256", f"or `sha512` is malformed: {error}") from error
