"""The digests that stand for images in one run: each is looked up once, and BuildKit takes these and no others."""

from __future__ import annotations

import json
import os
import re
import threading
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from ....provenance.digest import read_limited
from ....provenance.errors import ConfigError, ToolError, quoted
from ....provenance.json import read_json
from ....provenance.oci.reference import Reference
from ....provenance.process import capture
from ...freshness.inputs import Kind, key
from .tool import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ....provenance.json import JSONValue
    from ...context import Context
    from .tool import Tool

POLICY = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"
"""Names the file of a source policy (BuildKit, sourcepolicy)."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_PATIENCE = 120.0
"""Seconds for a registry to answer."""
_POLICY_LIMIT = 1 << 20
_EXACT = 1
"""`MatchType.EXACT` (BuildKit, sourcepolicy/pb/policy.proto)."""


def resolution(reference: str) -> str:
    """Return the key of the input that the digest of an image is."""
    return key(Kind.RESOLUTION, f"image {reference}")


class Asking(StrEnum):
    """When an image is looked up."""

    ALWAYS = "always"
    """In every run, once."""
    WHERE_NEVER_ASKED = "where-never-asked"
    """Else what was found the last time counts."""


class Pins:
    """The digests of one run."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._workspace = context.workspace
        self._lock = threading.Lock()
        self._found: dict[str, str] = {}

    def of(self, references: Iterable[str], find: Callable[[], Tool], asking: Asking) -> dict[str, str]:
        """Return the digests of images, by reference.

        Args:
            references: in full.
            find: tells what looks them up.
            asking: whether they are looked up.

        Raises:
            ToolError: one can't be looked up.
        """
        found = {}
        for reference in references:
            if digest := Reference.parse(reference).digest:
                found[reference] = digest
                continue
            known = self._context.memory.get(_memory(reference)) if asking is Asking.WHERE_NEVER_ASKED else None
            found[reference] = known if isinstance(known, str) else self._look_up(reference, find)
        return found

    def _look_up(self, reference: str, find: Callable[[], Tool]) -> str:
        with self._lock:
            if reference not in self._found:
                found = _ask(reference, find(), self._workspace.root)
                self._found[reference] = found
                self._context.memory.put(_memory(reference), found)
            return self._found[reference]


def policy(pins: Mapping[str, str]) -> bytes:
    """Return a source policy by which BuildKit takes each image by its digest, after the rules of the user's own.

    Raises:
        ConfigError: the user's own can't be read.
    """
    rules: list[JSONValue] = [*_own_rules()]
    for reference, digest in sorted(pins.items()):
        if "@" not in reference:
            rules.append(
                {
                    "action": "CONVERT",
                    "selector": {"identifier": f"docker-image://{reference}", "match_type": _EXACT},
                    "updates": {"identifier": f"docker-image://{reference}@{digest}"},
                }
            )
    return json.dumps({"version": 1, "rules": rules}).encode()


def _own_rules() -> list[JSONValue]:
    path = os.environ.get(POLICY)
    if not path:
        return []
    try:
        document = read_json(read_limited(Path(path), _POLICY_LIMIT))
    except ValueError as error:
        raise ConfigError(f"the source policy {quoted(path)} is no JSON: {error}", hint=f"see {POLICY}") from error
    rules = document.get("rules", []) if isinstance(document, dict) else None
    if not isinstance(rules, list):
        raise ConfigError(f"the source policy {quoted(path)} has no list of `rules`", hint=f"see {POLICY}")
    return rules


def _memory(reference: str) -> str:
    return f"docker pin {reference}"


def _ask(reference: str, tool: Tool, root: Path) -> str:
    """Ask a registry which digest a reference stands for, with the user's credentials and mirrors."""
    if not tool.argv:
        from .engine import look_up

        return look_up(reference)
    builder = ["--builder", tool.builder] if tool.builder else []
    argv = [*tool.argv, "imagetools", "inspect", *builder, reference, "--format", "{{.Manifest.Digest}}"]
    try:
        found = capture(argv, cwd=root, env=environment(), timeout=_PATIENCE).decode(errors="replace").strip()
    except ToolError as error:
        raise ToolError(
            f"the image {quoted(reference)}, which a Dockerfile names, can't be looked up: {error.message}",
            hint="see that it is there, log in with `docker login`, or name it by its digest",
        ) from error
    if not _DIGEST.match(found):
        raise ToolError(f"`docker buildx` did not tell the digest of {quoted(reference)}, but {quoted(found)}")
    return found
