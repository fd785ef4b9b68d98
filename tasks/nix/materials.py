"""What provenance says of an output: what the user chose, what Nix found, and what it was built from, by digest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.attest.resource import ResourceDescriptor
from ...provenance.digest import sha256_file
from ...provenance.errors import ToolError, quoted
from ...provenance.source import public_url
from ..builder import Form
from . import BUILDER
from .facts import Origin
from .log import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ...provenance.json import JSONValue
    from ..freshness.snapshot import Upstream
    from ..workspace import Workspace
    from .facts import Derivation, NixFacts
    from .lock import LockedInput
    from .units import Unit

BUILD_TYPE = "https://github.com/doit-provenance/doit-provenance/blob/main/docs/build-types/nix.v1.md"
NAR = "nixNarSha256"
"""In DigestSets: sha256 of a NAR serialisation, by which Nix knows files and folders. It is not that of a file."""
_HEX = re.compile(r"[0-9a-f]{32,128}\Z")
_MIRROR = re.compile(r"https?://\S+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """The program: its version, and the sha256 of its file."""

    version: str
    sha256: str


def external(workspace: Workspace, unit: Unit) -> dict[str, JSONValue]:
    """Return what the user chose (SLSA v1, externalParameters); `docs/build-types/nix.v1.md` explains each."""
    config = workspace.config.nix
    is_attribute = unit.package.name in config.attributes
    return {
        "builder": BUILDER,
        "workspace": workspace.from_repository("."),
        "flake": None if is_attribute else config.flake,
        "file": config.file if is_attribute else None,
        "package": unit.package.name,
        "system": unit.package.system,
        "output": unit.package.output,
        "path": unit.pattern,
        "image": unit.artifact.form is Form.IMAGE,
        "rebuild": config.rebuild,
    }


def internal(facts: NixFacts, place: str, *, compared: bool) -> dict[str, JSONValue]:
    """Return what Nix found (SLSA v1, internalParameters).

    Args:
        facts: of the output.
        place: where in it the file is.
        compared: it was built again, and came out equal to what there was.
    """
    info = facts.closure[facts.output]
    found: dict[str, JSONValue] = {
        "derivation": facts.derivation,
        "output": facts.output,
        "narSha256": info.nar_hash,
        "file": place,
        "origin": facts.origin,
        "signatures": list(info.signatures),
    }
    if facts.origin is Origin.BUILT:
        found |= {"remoteBuilder": facts.builder or None, "compared": compared}
    if facts.origin is Origin.SUBSTITUTED:
        found |= {"substituter": facts.substituter}
    return found


def materials(
    facts: NixFacts, tool: Tool, locked: Sequence[LockedInput], upstream: Mapping[str, Upstream]
) -> list[ResourceDescriptor]:
    """Return what an output was built from, by digest: its derivation, the flake's inputs, what was fetched, and Nix.

    Raises:
        ToolError: the derivation can't be read.
    """
    return [
        _derivation(facts.derivation),
        *_inputs(locked),
        *_fetched(facts.derivations),
        *(one.material for one in upstream.values()),
        ResourceDescriptor(name=BUILDER, digest={"sha256": tool.sha256}, annotations={"version": tool.version}),
    ]


def _derivation(path: str) -> ResourceDescriptor:
    try:
        sha256 = sha256_file(Path(path))
    except OSError as error:
        raise ToolError(f"the derivation {quoted(path)} can't be read: {error.strerror}", hint="run again") from error
    return ResourceDescriptor(name="derivation", digest={"sha256": sha256}, annotations={"path": path})


def _inputs(locked: Sequence[LockedInput]) -> Iterator[ResourceDescriptor]:
    for one in locked:
        digest = {"gitCommit": one.revision} if one.revision else {}
        digest |= {NAR: one.nar_hash} if one.nar_hash else {}
        if digest or one.uri:
            yield ResourceDescriptor(name=f"flake-input:{one.name}", uri=one.uri, digest=digest)


def _fetched(derivations: Mapping[str, Derivation]) -> Iterator[ResourceDescriptor]:
    """Yield everything whose hash is fixed beforehand: what is fetched, each once."""
    seen: set[str] = set()
    for _, one in sorted(derivations.items(), key=lambda item: (name_of(item[0]), item[0])):
        for output in one.outputs.values():
            if output.path in seen or not output.hash_algorithm or not _HEX.match(output.hash):
                continue
            seen.add(output.path)
            algorithm = output.hash_algorithm.removeprefix("r:")
            recursive = algorithm != output.hash_algorithm or one.environment.get("outputHashMode") in _OF_NAR
            name = "nixNar" + algorithm.capitalize() if recursive else algorithm
            yield ResourceDescriptor(
                name=f"fetched:{name_of(one.path)}",
                uri=_address(one.environment),
                digest={name: output.hash},
                annotations={"path": output.path},
            )


_OF_NAR = frozenset({"recursive", "nar"})


def _address(environment: Mapping[str, str]) -> str:
    """Return where something is fetched from, without credentials; empty: not said, or by a name only nixpkgs knows."""
    for word in (environment.get("urls") or environment.get("url") or "").split():
        if _MIRROR.match(word) and (found := public_url(word)):
            # `public_url` is for repositories: what it took from the end is part of a file's name.
            return f"{found}.git" if word.endswith(".git") else found
    return ""
