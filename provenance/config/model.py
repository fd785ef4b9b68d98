"""The configuration as the rest of the program sees it: parsed and complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path, PurePosixPath

    from ..sbom.party import Party
    from .keys import CargoTool, SigningMode
    from .model_image import Docker, Oci
    from .model_nix import Nix


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """`[project]`. `None`: not configured, to be derived from the repository.

    Attributes:
        output: the folder that receives artifacts and evidence, from the workspace's root; never leads out of it.
        supplier: who answers for what is shipped and for its SBOMs.
    """

    name: str | None
    source: str | None
    output: PurePosixPath
    supplier: Party | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """`[cargo.feature-sets.NAME]`: binaries built once more, as `BINARY+NAME`, with these features alone.

    Attributes:
        include: globs over the names of the binaries that `[cargo]` selects.
    """

    name: str
    features: tuple[str, ...]
    all_features: bool
    no_default_features: bool
    include: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cargo:
    """`[cargo]`.

    Attributes:
        manifests: globs of workspace manifests, from the workspace's root; never lead out of it.
        include: globs over the names of binaries.
        exclude: likewise; wins over `include`.
        targets: target triples; empty: the host's.
        rename: `path/to/Cargo.toml#BINARY` or `PACKAGE/BINARY` to the artifact's name.
        feature_sets: in the order of the file.
    """

    manifests: tuple[str, ...]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    targets: tuple[str, ...]
    profile: str
    tool: CargoTool
    features: tuple[str, ...]
    all_features: bool
    no_default_features: bool
    rename: Mapping[str, str]
    feature_sets: tuple[FeatureSet, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`[command.NAME]`: artifacts that any other program makes.

    Attributes:
        run: the program and its arguments.
        inputs: patterns of files, from the workspace's root; never lead out of it.
        exclude: likewise; wins over `inputs`.
        outputs: likewise; one for each artifact.
        artifacts: ids of upstream artifacts, or `BUILDER:NAME` for all platforms.
        environment: names of variables.
        platform: `None`: the machine's own.
    """

    name: str
    run: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    platform: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """`[signing]`.

    Attributes:
        key: the private key's file, absolute and outside the workspace; `None`: the user's own, made at first use.
        public_keys: absolute paths of the public keys that `doit verify` trusts.
    """

    mode: SigningMode
    key: Path | None
    public_keys: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`[plan]`.

    Attributes:
        runners: a platform, or a glob over platforms, to the label of the CI runner that builds for it.
    """

    runners: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings of one workspace.

    Attributes:
        workspace: the absolute path of the user's repository.
        path: where `provenance.toml` is, or would be.
        commands, dockers, ocis: in the order of the file.
    """

    workspace: Path
    path: Path
    project: Project
    cargo: Cargo
    commands: tuple[Command, ...]
    dockers: tuple[Docker, ...]
    ocis: tuple[Oci, ...]
    nix: Nix
    signing: Signing
    plan: Plan

    @property
    def output(self) -> Path:
        """The absolute path of the output folder."""
        return self.workspace / self.project.output
