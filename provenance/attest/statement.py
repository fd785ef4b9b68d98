"""in-toto Statement v1 with exactly one subject (in-toto/attestation, spec/v1/statement.md).

The predicate is embedded verbatim, so that an SBOM file can be compared with the signed predicate byte by byte.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UnreadableError
from ..json import JSONObject, read_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..digest import Digest
    from ..json import JSONValue

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
PROVENANCE = "https://slsa.dev/provenance/v1"
SPDX = "https://spdx.dev/Document/v2.3"
CYCLONEDX = "https://cyclonedx.org/bom"

LIMIT = 16 << 20
"""Bytes of a statement, and so of a predicate: some fifteen times the SBOM of a 900-package binary."""

_WHAT = "the statement"
_FIELDS = ("_type", "subject", "predicateType", "predicate")
_HEX = re.compile(r"(?:[0-9a-f]{2})+\Z")
_LENGTHS = {"sha256": 64, "sha512": 128}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement about one subject.

    Attributes:
        name: of the subject, for display; not evidence.
        digest: of the subject: algorithm to lower-case hex (in-toto v1, DigestSet).
        predicate_type: URI.
        predicate: parsed.
        predicate_bytes: the predicate's bytes in the payload; `None` if the statement does not have the layout of
            `make_statement`, so another tool wrote it.
    """

    name: str
    digest: Mapping[str, str]
    predicate_type: str
    predicate: Mapping[str, JSONValue]
    predicate_bytes: bytes | None


def make_statement(*, name: str, digest: Digest, predicate_type: str, predicate: bytes) -> bytes:
    """Return the bytes of a statement about the artifact with `digest`, with `predicate` embedded verbatim.

    Args:
        name: the artifact's file name.
        digest: of its bytes.
        predicate_type: URI.
        predicate: the bytes of one JSON object.

    Raises:
        UnreadableError: the predicate is not a strict JSON object, the statement is larger than `LIMIT`, or the name
            is not Unicode.
    """
    read_object(predicate, what="the predicate", limit=LIMIT)
    try:
        head = _head(name, digest.as_digest_set(), predicate_type).encode()
    except UnicodeEncodeError as error:
        raise UnreadableError(f"the artifact's name {name!r} is not Unicode text") from error
    statement = head + predicate + b"}"
    if len(statement) > LIMIT:
        raise UnreadableError(f"{_WHAT} would be larger than {LIMIT:,} bytes")
    return statement


def parse_statement(payload: bytes) -> Statement:
    """Read a statement strictly, with exactly one subject.

    Unknown fields are ignored, as in-toto's parsing rules require (spec/v1/README.md, "Parsing rules").

    Raises:
        UnreadableError: it is malformed, or does not have exactly one subject.
    """
    document = read_object(payload, what=_WHAT, limit=LIMIT)
    document.refuse_lookalikes(_FIELDS)
    if document.text("_type") != STATEMENT_TYPE:
        raise document.error("_type", f"must be `{STATEMENT_TYPE}`")
    subjects = document.children("subject")
    if len(subjects) != 1:
        raise document.error("subject", f"must hold exactly one subject, not {len(subjects)}")
    subject = subjects[0]
    subject.refuse_lookalikes(("name", "digest"))
    name, digest = subject.text("name"), _digest_set(subject)
    predicate_type = document.text("predicateType")
    return Statement(
        name=name,
        digest=digest,
        predicate_type=predicate_type,
        predicate=document.child("predicate").found,
        predicate_bytes=_verbatim(payload, document, _head(name, digest, predicate_type)),
    )


def _head(name: str, digest: Mapping[str, str], predicate_type: str) -> str:
    def text(value: object) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    subject = text([{"name": name, "digest": dict(digest)}])
    return f'{{"_type":{text(STATEMENT_TYPE)},"subject":{subject},"predicateType":{text(predicate_type)},"predicate":'


def _digest_set(subject: JSONObject) -> Mapping[str, str]:
    digest = subject.texts("digest")
    if not digest:
        raise subject.error("digest", "must name at least one digest")
    for algorithm, value in digest.items():
        length = _LENGTHS.get(algorithm)
        if length is not None and (len(value) != length or not _HEX.match(value)):
            raise subject.error("digest", f"has a malformed `{algorithm}`: {length} lower-case hex digits are expected")
    subject.child("digest").refuse_lookalikes(_LENGTHS)
    return digest


def _verbatim(payload: bytes, document: JSONObject, head: str) -> bytes | None:
    # With the four keys and no other, each once, what follows `"predicate":` is the predicate and the closing brace.
    start = head.encode()
    if set(document.found) != set(_FIELDS) or not payload.startswith(start) or not payload.endswith(b"}"):
        return None
    return payload[len(start) : -1]
