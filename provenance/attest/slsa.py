"""SLSA provenance v1 predicate: writing it deterministically, reading it strictly (slsa.dev/spec/v1.1/provenance)."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from ..errors import UnreadableError
from ..json import JSONObject
from .resource import ResourceDescriptor, non_empty, read_descriptors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..json import JSONValue

_DOCS = "https://github.com/doit-provenance/doit-provenance/blob/main/docs/builders"
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})\Z", re.ASCII)
_WHAT = "the provenance"


class BuilderId(StrEnum):
    """Builder ids, one for each trust level (SLSA v1, builder.id). Each id is its documentation page."""

    LOCAL = f"{_DOCS}/local.md"
    """A developer's machine."""
    CI = f"{_DOCS}/ci.md"
    """A CI job that also ran code of the workspace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildDefinition:
    """SLSA buildDefinition.

    Attributes:
        build_type: URI of the page that documents the parameters.
        external_parameters: all parameters under the user's control.
        internal_parameters: parameters from the environment.
        resolved_dependencies: the inputs, by digest.
    """

    build_type: str
    external_parameters: Mapping[str, JSONValue]
    internal_parameters: Mapping[str, JSONValue] = field(default_factory=dict)
    resolved_dependencies: tuple[ResourceDescriptor, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetails:
    """SLSA runDetails.

    Attributes:
        builder_id: URI; a `BuilderId` in what this program writes.
        builder_version: component to version.
        invocation_id: globally unique; empty: unknown.
        started, finished: aware; written in UTC to the second.
        byproducts: other outputs of the run.
    """

    builder_id: str
    builder_version: Mapping[str, str] = field(default_factory=dict)
    builder_dependencies: tuple[ResourceDescriptor, ...] = ()
    invocation_id: str = ""
    started: datetime | None = None
    finished: datetime | None = None
    byproducts: tuple[ResourceDescriptor, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """SLSA provenance of an artifact."""

    build_definition: BuildDefinition
    run_details: RunDetails

    def to_json(self) -> bytes:
        """Return the predicate's bytes, deterministically.

        Raises:
            UnreadableError: it contains text that is not Unicode (a file name in another encoding).
        """
        definition, run = self.build_definition, self.run_details
        document: JSONValue = {
            "buildDefinition": {
                "buildType": definition.build_type,
                "externalParameters": dict(definition.external_parameters),
                **non_empty(
                    internalParameters=dict(definition.internal_parameters),
                    resolvedDependencies=[d.to_document() for d in definition.resolved_dependencies],
                ),
            },
            "runDetails": {
                "builder": {
                    "id": str(run.builder_id),
                    **non_empty(
                        version=dict(run.builder_version),
                        builderDependencies=[d.to_document() for d in run.builder_dependencies],
                    ),
                },
                **non_empty(
                    metadata=non_empty(
                        invocationId=run.invocation_id, startedOn=_time(run.started), finishedOn=_time(run.finished)
                    ),
                    byproducts=[d.to_document() for d in run.byproducts],
                ),
            },
        }
        text = json.dumps(document, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        try:
            return text.encode()
        except UnicodeEncodeError as error:
            raise UnreadableError(f"{_WHAT} would hold text that is not Unicode") from error


def parse_provenance(predicate: Mapping[str, JSONValue]) -> Provenance:
    """Read a predicate of type `https://slsa.dev/provenance/v1`.

    Required fields must be present and known fields have the right type. Unknown fields are ignored, as SLSA's parsing
    rules require, except lookalikes of known ones.

    Raises:
        UnreadableError: it is malformed; the message has the path of the field.
    """
    root = JSONObject(what=_WHAT, path="", found=predicate)
    root.refuse_lookalikes(("buildDefinition", "runDetails"))
    return Provenance(
        build_definition=_build_definition(root.child("buildDefinition")),
        run_details=_run_details(root.child("runDetails")),
    )


def inputs_digest(files: Iterable[tuple[str, str]]) -> str:
    """Return the sha256, in hex, of the list of input files.

    The list is what `sha256sum` prints for the files in the order of their paths' bytes (`LC_ALL=C sort`), so anyone
    can compute it again: a line `HEX  PATH` each; a path with a backslash, line feed or carriage return is escaped and
    its line begins with a backslash (GNU coreutils manual, "cksum output modes").

    Args:
        files: path from the workspace root, with `/`, and sha256 in hex.

    Raises:
        ValueError: a path is listed twice, or a digest is malformed.
    """
    lines: dict[bytes, bytes] = {}
    for path, sha256 in files:
        raw = os.fsencode(path)
        if raw in lines or not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise ValueError(f"not a list of inputs: {path!r}, {sha256!r}")
        escaped = raw.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
        lines[raw] = b"%b%b  %b\n" % (b"\\" if escaped != raw else b"", sha256.encode(), escaped)
    return hashlib.sha256(b"".join(lines[raw] for raw in sorted(lines))).hexdigest()


def _time(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("a time without its zone is no moment")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _build_definition(found: JSONObject) -> BuildDefinition:
    found.refuse_lookalikes(("buildType", "externalParameters", "internalParameters", "resolvedDependencies"))
    return BuildDefinition(
        build_type=_uri(found, "buildType"),
        external_parameters=found.child("externalParameters").found,
        internal_parameters=found.optional_child("internalParameters").found,
        resolved_dependencies=read_descriptors(found, "resolvedDependencies"),
    )


def _run_details(found: JSONObject) -> RunDetails:
    found.refuse_lookalikes(("builder", "metadata", "byproducts"))
    builder = found.child("builder")
    builder.refuse_lookalikes(("id", "version", "builderDependencies"))
    metadata = found.optional_child("metadata")
    metadata.refuse_lookalikes(("invocationId", "startedOn", "finishedOn"))
    return RunDetails(
        builder_id=_uri(builder, "id"),
        builder_version=builder.texts("version") if "version" in builder.found else {},
        builder_dependencies=read_descriptors(builder, "builderDependencies"),
        invocation_id=metadata.optional_text("invocationId") or "",
        started=_moment(metadata, "startedOn"),
        finished=_moment(metadata, "finishedOn"),
        byproducts=read_descriptors(found, "byproducts"),
    )


def _uri(found: JSONObject, key: str) -> str:
    value = found.text(key)
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:.", value):
        raise found.error(key, "must be a URI")
    return value


def _moment(found: JSONObject, key: str) -> datetime | None:
    if key not in found.found:
        return None
    try:
        text = found.text(key)
        if not _TIME.match(text):
            raise ValueError(text)
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise found.error(key, "must be an RFC 3339 time") from error
