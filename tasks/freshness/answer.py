"""What freshness says of one artifact: a value that `doit plan` prints and that the task obeys."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ...provenance.digest import Digest


class Action(StrEnum):
    """What would happen to an artifact, in the words of `doit plan`."""

    BUILD = "build"
    """Its tool is called, and all evidence that does not hold any more is made."""
    ATTEST = "attest"
    """Its bytes and its provenance stay; other evidence is made again from the stored inventory."""
    MAYBE = "maybe"
    """It is built if an upstream artifact gets another digest."""
    FRESH = "fresh"
    """Nothing."""


class Code(StrEnum):
    """Why an artifact is not fresh."""

    NEVER_BUILT = "never-built"
    FORCED = "forced"
    INPUT_CHANGED = "input-changed"
    INPUT_ADDED = "input-added"
    INPUT_REMOVED = "input-removed"
    VARIABLE_CHANGED = "variable-changed"
    TOOL_CHANGED = "tool-changed"
    SETTING_CHANGED = "setting-changed"
    RESOLUTION_CHANGED = "resolution-changed"
    UPSTREAM_CHANGED = "upstream-changed"
    INPUTS_UNKNOWN = "inputs-unknown"
    ARTIFACT_MISSING = "artifact-missing"
    ARTIFACT_CHANGED = "artifact-changed"
    RECORD_MISSING = "record-missing"
    RECORD_INVALID = "record-invalid"
    INVENTORY_MISSING = "inventory-missing"
    INVENTORY_CHANGED = "inventory-changed"
    PROVENANCE_MISSING = "provenance-missing"
    PROVENANCE_INVALID = "provenance-invalid"
    EVIDENCE_MISSING = "evidence-missing"
    EVIDENCE_CHANGED = "evidence-changed"
    FILE_UNACCOUNTED = "file-unaccounted"
    GENERATOR_CHANGED = "generator-changed"
    SIGNER_CHANGED = "signer-changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason why an artifact is not fresh; `detail` names what it is about, as a path or a variable."""

    code: Code
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """Nothing is to be done; `digest` is the artifact's."""

    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """`action` is `BUILD` or `ATTEST`; `digest` is that of the artifact's bytes now, where `ATTEST` keeps them."""

    action: Action
    reasons: tuple[Reason, ...]
    digest: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Depends:
    """Built if an artifact of `upstream` (ids) gets another digest, else fresh; `digest` is that of its bytes now."""

    upstream: tuple[str, ...]
    digest: Digest


Answer: TypeAlias = Fresh | Stale | Depends


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalid:
    """Why the artifact has to be built: what stands in its folder does not prove itself."""

    reasons: tuple[Reason, ...]
