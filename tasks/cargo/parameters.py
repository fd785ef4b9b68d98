"""What provenance says of a cargo build. `docs/build-types/cargo.v1.md` explains each field to those who verify."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.attest.resource import ResourceDescriptor

if TYPE_CHECKING:
    from ...provenance.config import CargoTool
    from ...provenance.json import JSONValue
    from ...provenance.sbom.inventory import Inventory
    from .discover import Binary, Group
    from .messages import Messages

BUILD_TYPE = "https://github.com/doit-provenance/doit-provenance/blob/main/docs/build-types/cargo.v1.md"

_TELLING = (
    "CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "CARGO_INCREMENTAL", "CARGO_ENCODED_RUSTFLAGS",
    "RUSTFLAGS", "RUSTC", "RUSTUP_TOOLCHAIN", "SOURCE_DATE_EPOCH",
)  # fmt: skip
"""Variables, by how their names begin, that the user sets to change what cargo builds. No credential is among them."""


def external(binary: Binary, group: Group, *, tool: CargoTool, repository: Path) -> dict[str, JSONValue]:
    """Return what the user chose (SLSA v1, externalParameters); paths are from the repository's root."""
    choice = group.features
    return {
        "builder": "cargo",
        "tool": tool,
        "workspace": Path(os.path.relpath(group.root, repository)).as_posix(),
        "package": binary.package.name,
        "binary": binary.target,
        "target": group.triple,
        "profile": group.profile,
        "features": list(choice.features),
        "allFeatures": choice.all_features,
        "noDefaultFeatures": choice.no_default_features,
        "groupPackages": [p.name for p in group.packages],
    }


def internal(group: Group, messages: Messages) -> dict[str, JSONValue]:
    """Return what the environment gave (SLSA v1, internalParameters)."""
    toolchain = group.toolchain
    fresh = sum(1 for one in messages.compiled if one.fresh)
    environment: dict[str, JSONValue] = {
        name: value for name, value in sorted(os.environ.items()) if name.startswith(_TELLING)
    }
    return {
        "platform": group.platform,
        "host": toolchain.host,
        "rustc": toolchain.version["release"],
        "rustflags": list(toolchain.rustflags(group.platform)),
        "environment": environment,
        "unitsCompiled": len(messages.compiled) - fresh,
        "unitsReused": fresh,
    }


def materials(inventory: Inventory) -> list[ResourceDescriptor]:
    """Return the components that came from elsewhere and whose bytes are known, once each."""
    found: dict[str, ResourceDescriptor] = {}
    for component in inventory.components:
        commit = component.properties.get("cargo:commit")
        digest = dict(component.hashes) or ({"gitCommit": commit} if commit else {})
        if digest and component.purl:
            found[component.purl] = ResourceDescriptor(uri=component.purl, digest=digest)
    return [found[uri] for uri in sorted(found)]
