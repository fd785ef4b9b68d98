"""The provenance of an output: its external and internal parameters, and its materials by digest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.attest.resource import ResourceDescriptor
from ...provenance.digest import sha256_file
from ...provenance.errors import ToolError, quoted
from ...provenance.source import public_url
from ..artifacts import Form
from . import BUILDER
from .log import name_of
from .store import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ...provenance.json import JSONValue
    from ...provenance.sbom.nix.store import Derivation
    from ..freshness.snapshot import Upstream
    from ..workspace import Workspace
    from .artifacts import NixArtifact
    from .store import NixFacts
    from .tree import LockedInput

BUILD_TYPE = "https://github.com/doit-provenance/doit-provenance/blob/main/docs/build-types/nix.v1.md"
NAR = "nixNarSha256"
"""In DigestSets: sha256 of a NAR serialisation, Nix's hash of files and folders; not that of a file's bytes."""
_HEX = re.compile(r"[0-9a-f]{32,128}\Z")
_NAR_MODES = frozenset({"recursive", "nar"})
_URL = re.compile(r"https?://\S+\Z")


def external(workspace: Workspace, artifact: NixArtifact) -> dict[str, JSONValue]:
    """Return the user's choices (SLSA v1, externalParameters); `docs/build-types/nix.v1.md` explains each."""
    config = workspace.config.nix
    is_attribute = artifact.package.name in config.attributes
    return {
        "builder": BUILDER,
        "workspace": workspace.from_repository("."),
        "flake": None if is_attribute else config.flake,
        "file": config.file if is_attribute else None,
        "package": artifact.package.name,
        "system": artifact.package.system,
        "output": artifact.package.output,
        "path": artifact.pattern,
        "image": artifact.artifact.form is Form.IMAGE,
        "rebuild": config.rebuild,
    }


def internal(facts: NixFacts, place: str, *, compared: bool) -> dict[str, JSONValue]:
    """Return what Nix decided (SLSA v1, internalParameters).

    Args:
        facts: of the output.
        place: path of the file in it.
        compared: it was built a second time, with an equal result.
    """
    info = facts.closure[facts.output]
    parameters: dict[str, JSONValue] = {
        "derivation": facts.derivation,
        "output": facts.output,
        "narSha256": info.nar_hash,
        "file": place,
        "origin": facts.origin,
        "signatures": list(info.signatures),
    }
    if facts.origin is Origin.BUILT:
        parameters |= {"remoteBuilder": facts.builder or None, "compared": compared}
    if facts.origin is Origin.SUBSTITUTED:
        parameters |= {"substituter": facts.substituter}
    return parameters


def materials(
    facts: NixFacts, tool: ResourceDescriptor, locked: Sequence[LockedInput], upstream: Mapping[str, Upstream]
) -> list[ResourceDescriptor]:
    """Return the materials of an output: its derivation, the flake's inputs, fetched files, upstream artifacts, Nix.

    Raises:
        ToolError: the derivation can't be read.
    """
    return [
        _derivation(facts.derivation),
        *_inputs(locked),
        *_fetched(facts.derivations),
        *(artifact.material for artifact in upstream.values()),
        tool,
    ]


def _derivation(path: str) -> ResourceDescriptor:
    try:
        sha256 = sha256_file(Path(path))
    except OSError as error:
        raise ToolError(f"the derivation {quoted(path)} can't be read: {error.strerror}", hint="run again") from error
    return ResourceDescriptor(name="derivation", digest={"sha256": sha256}, annotations={"path": path})


def _inputs(locked: Sequence[LockedInput]) -> Iterator[ResourceDescriptor]:
    for entry in locked:
        digest = {"gitCommit": entry.revision} if entry.revision else {}
        digest |= {NAR: entry.nar_hash} if entry.nar_hash else {}
        if digest or entry.uri:
            yield ResourceDescriptor(name=f"flake-input:{entry.name}", uri=entry.uri, digest=digest)


def _fetched(derivations: Mapping[str, Derivation]) -> Iterator[ResourceDescriptor]:
    """Yield the outputs of fixed-output derivations, each once: the fetched files."""
    seen: set[str] = set()
    for _, derivation in sorted(derivations.items(), key=lambda item: (name_of(item[0]), item[0])):
        for output in derivation.outputs.values():
            if output.path in seen or not output.hash_algorithm or not _HEX.match(output.hash):
                continue
            seen.add(output.path)
            algorithm = output.hash_algorithm.removeprefix("r:")
            recursive = algorithm != output.hash_algorithm or derivation.environment.get("outputHashMode") in _NAR_MODES
            name = "nixNar" + algorithm.capitalize() if recursive else algorithm
            yield ResourceDescriptor(
                name=f"fetched:{name_of(derivation.path)}",
                uri=_address(derivation.environment),
                digest={name: output.hash},
                annotations={"path": output.path},
            )


def _address(environment: Mapping[str, str]) -> str:
    """Return the URL of a fetched file, without credentials; empty: it has none, or a mirror name of nixpkgs."""
    for word in (environment.get("urls") or environment.get("url") or "").split():
        if _URL.match(word) and (url := public_url(word)):
            # `public_url` is for repositories: the suffix that it removes is part of a file's name.
            return f"{url}.git" if word.endswith(".git") else url
    return ""
