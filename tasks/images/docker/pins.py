"""Digests in and digests out: the images that a build is given by digest, and the materials that it reports."""

from __future__ import annotations

import json
import os
import re
import threading
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from ....provenance.attest.resource import ResourceDescriptor
from ....provenance.digest import read_limited
from ....provenance.errors import BuildError, ConfigError, ToolError, quoted
from ....provenance.json import read_json
from ....provenance.oci.reference import Reference
from ...freshness.inputs import Kind, key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from ....provenance.json import JSONValue
    from ...context import Context

POLICY = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"
"""Names the file of a source policy (BuildKit, sourcepolicy)."""
_POLICY_LIMIT = 1 << 20
_EXACT = 1
"""`MatchType.EXACT` (BuildKit, sourcepolicy/pb/policy.proto)."""


def resolution(reference: str) -> str:
    """Return the key under which the digest of an image is an input."""
    return key(Kind.RESOLUTION, f"image {reference}")


class Asking(StrEnum):
    """When an image is looked up."""

    ALWAYS = "always"
    """In every run, once."""
    WHERE_UNKNOWN = "where-unknown"
    """Only if no earlier run has looked it up."""


class Pins:
    """The digests of one run: each image is looked up at most once.

    Args:
        context: the run, whose memory keeps the digests for runs to come.
        look_up: returns the digest that a reference has in its registry now.
    """

    def __init__(self, context: Context, look_up: Callable[[str], str]) -> None:
        self._memory = context.memory
        self._look_up = look_up
        self._lock = threading.Lock()
        self._digests: dict[str, str] = {}

    def resolve(self, references: Iterable[str], asking: Asking) -> dict[str, str]:
        """Return the digests of images, by reference; references are given in full.

        Raises:
            ToolError: an image can't be looked up.
        """
        return {
            reference: Reference.parse(reference).digest or self._digest(reference, asking) for reference in references
        }

    def _digest(self, reference: str, asking: Asking) -> str:
        remembered = f"docker pin {reference}"
        if asking is Asking.WHERE_UNKNOWN and isinstance(known := self._memory.get(remembered), str):
            return known
        with self._lock:
            if reference not in self._digests:
                self._digests[reference] = self._look_up(reference)
                self._memory.put(remembered, self._digests[reference])
            return self._digests[reference]


def policy(pins: Mapping[str, str]) -> bytes:
    """Return a source policy that pins each image to its digest; the rules of the user's own policy come first.

    Raises:
        ConfigError: the user's policy can't be read.
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


_HEX = re.compile(r"[0-9a-f]{32,128}\Z")
_IMAGE = "pkg:docker/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """One source of a build.

    Attributes:
        uri: as BuildKit reports it; for an image, its package URL.
        digest: algorithm to hex.
    """

    uri: str
    digest: Mapping[str, str]

    @property
    def is_image(self) -> bool:
        """Whether it is an image."""
        return self.uri.startswith(_IMAGE)

    @property
    def name(self) -> str:
        """Its name as in a Dockerfile."""
        if not self.is_image:
            return self.uri
        path, _, _ = self.uri.removeprefix(_IMAGE).partition("?")
        name, _, tag = path.partition("@")
        return unquote(f"{name}:{tag}" if tag and not tag.startswith("sha256") else name)

    def resource(self) -> ResourceDescriptor:
        """Return it as in-toto has it."""
        return ResourceDescriptor(name=self.name, uri=self.uri, digest=dict(self.digest))


def read_materials(provenance: Mapping[str, JSONValue]) -> list[Material]:
    """Read the materials of BuildKit's provenance (SLSA v0.2, `materials`; v1, `resolvedDependencies`).

    Raises:
        ToolError: the list or an entry is malformed.
    """
    definition = provenance.get("buildDefinition")
    listed = definition.get("resolvedDependencies") if isinstance(definition, dict) else provenance.get("materials")
    if listed is None:
        return []  # only the context was used
    if not isinstance(listed, list):
        raise ToolError("BuildKit reports what it has used in a form that is not known")
    return sorted((_material(entry) for entry in listed), key=lambda material: (material.uri, sorted(material.digest)))


def _material(entry: JSONValue) -> Material:
    match entry:
        case {"uri": str(uri), "digest": dict(digest)} if digest:
            pairs = {name: value for name, value in digest.items() if isinstance(value, str) and _HEX.match(value)}
            if len(pairs) == len(digest):
                return Material(uri=uri, digest=pairs)
    raise ToolError(f"BuildKit reports what it has used without a digest: {quoted(str(entry))}")


def refuse_unpinned(materials: Sequence[Material], digests: Collection[str], texts: Collection[str], name: str) -> None:
    """Require that each source was pinned by a digest before the build.

    Args:
        materials: what was used.
        digests: of the images that were looked up, `sha256:…`.
        texts: where the user may have named a digest: the Dockerfile, build arguments, named contexts.
        name: of the Dockerfile.

    Raises:
        BuildError: a source was not pinned.
    """
    pinned = {digest.partition(":")[2] for digest in digests}
    for material in materials:
        hexes = {*material.digest.values(), *_requested(material)}
        if not hexes & pinned and not any(each in text for each in hexes for text in texts):
            raise _unpinned(material, name)


def _requested(material: Material) -> list[str]:
    """Return the digests by which an image was requested; BuildKit may report the digests of its parts instead."""
    query = parse_qs(material.uri.partition("?")[2]) if material.is_image else {}
    return [digest.partition(":")[2] for digest in query.get("digest", [])]


def _unpinned(material: Material, name: str) -> BuildError:
    algorithm, digest = next(iter(sorted(material.digest.items(), reverse=True)))
    if material.is_image:
        hint = f"name it by its digest, as `{material.name}@{algorithm}:{digest}`"
    elif algorithm == "sha256":
        hint = f"write `ADD --checksum=sha256:{digest}`, or another digest if that is not what it has to be"
    else:
        hint = f"name the commit, as `#{digest}`"
    return BuildError(
        f"the build used {quoted(material.name)}, and {quoted(name)} does not say by a digest what that is", hint=hint
    )
