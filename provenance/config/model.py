"""The settings of `provenance.toml`: each key is declared here, and nowhere else, as a dataclass field.

A field has the type and the default that the program sees, the kind of value that the file may have, and the
documentation. The reader, the error messages, the JSON Schema, the reference page and the starter file follow from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..sbom.party import Party
from . import schema
from .schema import (
    Choice,
    Key,
    NamedTables,
    Repeats,
    Table,
    Text,
    Texts,
    array,
    flag,
    optional,
    required,
    setting,
    table,
    text_map,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "provenance.toml"


class CargoTool(StrEnum):
    """The program that is called as cargo is."""

    CARGO = "cargo"
    CARGO_ZIGBUILD = "cargo-zigbuild"
    CROSS = "cross"


class SigningMode(StrEnum):
    """How statements are signed."""

    AUTO = "auto"
    KEY = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Supplier:
    """`[project.supplier]`, which the program has as a `Party`."""

    name: str = field(metadata=required(Text(), "The name of the organisation or person.", example="Example GmbH"))
    email: str | None = optional(
        schema.EMAIL, "Where questions about the SBOMs go.", absent="none is named", example="security@example.com"
    )
    url: str | None = optional(
        schema.WEB_URL, "The supplier's page.", absent="none is named", example="https://example.com"
    )
    person: bool = flag("Whether the supplier is a person. SPDX tells persons from organisations.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """`[project]`. `None`: not configured, to be derived from the repository."""

    name: str | None = optional(
        Text(),
        "The project's name, as SBOMs give it.",
        absent="the last part of `project.source`, else the name of the workspace's folder",
        example="wasmcloud",
    )
    source: str | None = optional(
        schema.REPOSITORY_URL,
        "Where the source is published; provenance names the source commit by it.",
        absent="the git remote, without the credentials that it may hold",
        example="https://github.com/wasmCloud/wasmCloud",
    )
    output: PurePosixPath = setting(
        schema.OUTPUT_FOLDER,
        "The folder that receives artifacts and evidence, from the workspace's root. It keeps itself out of git.",
        default=PurePosixPath("dist"),
        example="out/dist",
    )
    supplier: Party | None = setting(
        Table(_Supplier, make=Party),
        "Who answers for what is shipped and for its SBOMs (NTIA supplier and author, BSI creator).",
        default=None,
        absent="SBOMs name the project alone",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """`[cargo.feature-sets.NAME]`: binaries built once more, as `BINARY+NAME`, with these features alone."""

    name: str
    features: tuple[str, ...] = array(schema.FEATURE, "As `cargo.features`, for this set.", example=("fips",))
    all_features: bool = flag("As `cargo.all-features`, for this set.")
    no_default_features: bool = flag("As `cargo.no-default-features`, for this set.")
    include: tuple[str, ...] = array(
        schema.BINARY_GLOB,
        "The binaries to build with this set, as globs over the names of those that `[cargo]` selects.",
        default=("*",),
        example=("wash",),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cargo:
    """`[cargo]`. Feature sets are in the order of the file; paths never lead out of the workspace."""

    manifests: tuple[str, ...] = array(
        schema.MANIFEST_GLOB,
        "The workspaces' manifests, as globs from the root; `**` stands for any number of folders. "
        "An empty array turns cargo off.",
        default=("Cargo.toml",),
        absent="the one at the root, if there is one",
        example=("rust/Cargo.toml", "tools/*/Cargo.toml"),
    )
    include: tuple[str, ...] = array(
        schema.BINARY_GLOB,
        "The binaries to ship, as globs over their names as cargo has them.",
        default=("*",),
        example=("wash", "*-provider"),
    )
    exclude: tuple[str, ...] = array(
        schema.BINARY_GLOB, "The binaries not to ship, likewise; wins over `cargo.include`.", example=("*-test-helper",)
    )
    targets: tuple[str, ...] = array(
        schema.TARGET,
        "The target triples to build for; with `cargo-zigbuild` a glibc version may follow, as in `….2.17`.",
        absent="the host's",
        example=("x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"),
    )
    profile: str = setting(schema.PROFILE, "The cargo profile to build with.", default="release", example="release-lto")
    tool: CargoTool = setting(
        Choice(CargoTool), "The program that builds.", default=CargoTool.CARGO, example="cargo-zigbuild"
    )
    features: tuple[str, ...] = array(
        schema.FEATURE,
        "Features to build with, as `cargo build --features` takes them (`FEATURE` or `PACKAGE/FEATURE`).",
        example=("tls", "wash/otel"),
    )
    all_features: bool = flag("Build with all features, as `cargo build --all-features`.")
    no_default_features: bool = flag("Build without the default features, as `cargo build --no-default-features`.")
    rename: Mapping[str, str] = text_map(
        schema.BINARY_SELECTOR,
        schema.ARTIFACT_NAME,
        "Another artifact name for a binary, which is named by `PACKAGE/BINARY` or, where two workspaces have the "
        "same package, by `path/to/Cargo.toml#BINARY`. Needed when two binaries have the same name.",
        absent="an artifact has its binary's name",
        example={"wash-cli/wash": "wash-next"},
    )
    feature_sets: tuple[FeatureSet, ...] = setting(
        NamedTables(of=FeatureSet, key="feature-sets", name=schema.FEATURE_SET_NAME, example="fips"),
        "Binaries to build once more with other features; the artifact is called `BINARY+NAME`. "
        "A set stands for itself: the features of `[cargo]` are not added to it.",
        absent="each binary is built once",
        default=(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`[command.NAME]`: artifacts that any other program makes. Patterns never lead out of the workspace."""

    name: str
    run: tuple[str, ...] = field(
        metadata=required(
            Texts(schema.ARGUMENT, least=1, repeats=Repeats.TAKEN),
            "The program and its arguments, each as it stands: no shell reads them. It is started in the workspace's "
            "root. `{BUILDER:NAME}` and `{BUILDER:NAME@PLATFORM}` stand for the file of an artifact that `artifacts` "
            "names.",
            example=("python", "-m", "build", "--wheel"),
        )
    )
    inputs: tuple[str, ...] = field(
        metadata=required(
            Texts(schema.INPUT_PATTERN),
            "All files that can change what it makes, as globs from the root; `**` stands for any number of folders. "
            "It runs again when one of them changes, is added or is removed. Its own outputs are never among them.",
            example=("pyproject.toml", "src/**"),
        )
    )
    exclude: tuple[str, ...] = array(
        schema.INPUT_PATTERN,
        "Files that are no inputs, likewise; wins over `inputs`. Name here what the command itself writes there.",
        example=("src/*.egg-info/**",),
    )
    outputs: tuple[str, ...] = field(
        metadata=required(
            Texts(schema.OUTPUT_PATTERN, least=1),
            "The files that it leaves, as globs likewise: one artifact for each. A glob has to match a single file; "
            "where it matches more, those count that the run has written. The folders before the first wildcard are "
            "made before it starts.",
            example=("dist/*.whl",),
        )
    )
    artifacts: tuple[str, ...] = array(
        schema.ARTIFACT_ID,
        "Artifacts of this workspace that go into what it makes, by their ids; without `@PLATFORM` on all their "
        "platforms. They are built before it, and it runs again when one of them has another digest.",
        example=("cargo:wash",),
    )
    environment: tuple[str, ...] = array(
        schema.VARIABLE,
        "Environment variables that can change what it makes: it runs again when one of them changes. It gets all "
        "others too, but for those of signing.",
        example=("SOURCE_DATE_EPOCH",),
    )
    platform: str | None = optional(
        schema.PLATFORM,
        "What its artifacts are for, in the words of OCI images; `any` for what runs everywhere.",
        absent="the machine's own, as `linux/amd64`",
        example="any",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker:
    """`[docker.NAME]`: an image from a Dockerfile. Platforms are as written; paths never lead out of the workspace."""

    name: str
    context: str = setting(
        schema.CONTEXT_FOLDER,
        "The folder whose files the Dockerfile can copy, from the workspace's root. What its `.dockerignore` "
        "excludes, the output folder, `.provenance` and cargo's target folders are never sent.",
        default=".",
        example="images/wash",
    )
    dockerfile: str | None = optional(
        schema.DOCKERFILE_PATH,
        "The Dockerfile, from the workspace's root.",
        absent="`Dockerfile` in the context",
        example="images/wash/Dockerfile",
    )
    platforms: tuple[str, ...] = array(
        schema.IMAGE_PLATFORM,
        "The platforms to build for.",
        absent="Linux on the machine's own processor, as `linux/amd64`",
        example=("linux/amd64", "linux/arm64"),
    )
    args: Mapping[str, str] = text_map(
        schema.BUILD_ARGUMENT,
        schema.BUILD_VALUE,
        "Build arguments, for `ARG` of the Dockerfile. They are published with the image's provenance.",
        absent="the Dockerfile's own defaults",
        example={"VERSION": "1.2"},
    )
    target: str | None = optional(schema.STAGE, "The stage to build.", absent="the last one", example="runtime")
    secrets: tuple[str, ...] = array(
        schema.SECRET,
        "Secrets for `RUN --mount=type=secret`, in the words of `docker buildx build --secret`: from a variable or "
        "from a file. Their ids are published, and nothing else of them; that one changed builds nothing anew.",
        example=("id=token,env=TOKEN", "id=npmrc,src=.npmrc"),
    )
    contexts: Mapping[str, str] = text_map(
        schema.CONTEXT_NAME,
        schema.CONTEXT_SOURCE,
        "More contexts, by the names that `FROM`, `COPY --from=` and `RUN --mount=from=` call them: folders from "
        "the workspace's root, or images as `docker-image://REFERENCE`.",
        absent="there are none",
        example={"assets": "web/assets"},
    )
    artifacts: tuple[str, ...] = array(
        schema.ARTIFACT_ID,
        "Artifacts of this workspace to put into the context, at its root under their files' names, so that "
        "`COPY FILE /` gets them. Of one that is named without a platform, each image gets what was built for its "
        "own; what is for `any` platform goes into all. They are built before it.",
        example=("cargo:wash",),
    )
    annotations: Mapping[str, str] = text_map(
        schema.ANNOTATION,
        Text(),
        "Annotations of the image's manifests and of its index, before those that follow from its labels and from git.",
        absent="those that follow from labels and git",
        example={"org.opencontainers.image.vendor": "Example GmbH"},
    )
    pull: bool = flag(
        "Look in every run whether a tag of a base image has moved. Else that is looked up only when something is "
        "built; until then the digests of the last build count."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Oci:
    """`[oci.NAME]`: an image that something else has made. Either `source` or `artifact` is set."""

    name: str
    source: str | None = optional(
        schema.IMAGE_SOURCE,
        "Where the image is: an archive (`docker-archive:PATH` or `oci-archive:PATH`, compressed or not), an image "
        "layout (`oci:PATH`), the docker engine (`docker-daemon:NAME`) or a registry (`docker://REFERENCE`). Paths "
        "are from the workspace's root; links are followed, as to what `nix build` leaves.",
        absent="`artifact` says it",
        example="docker-archive:result",
    )
    artifact: str | None = optional(
        schema.ARTIFACT_ID,
        "An artifact of this workspace that is such an archive, instead of `source`. It is built before.",
        absent="`source` says it",
        example="command:image",
    )
    platforms: tuple[str, ...] = array(
        schema.IMAGE_PLATFORM,
        "The platforms of the image. What the source holds beyond these, or not of them, is an error.",
        absent="Linux on the machine's own processor, as `linux/amd64`",
        example=("linux/amd64", "linux/arm64"),
    )
    annotations: Mapping[str, str] = text_map(
        schema.ANNOTATION,
        Text(),
        "Annotations of the image's manifests and of its index, where the source has none of that key; before "
        "those that follow from its labels and from git.",
        absent="those that follow from labels and git",
        example={"org.opencontainers.image.licenses": "Apache-2.0"},
    )
    pull: bool = flag(
        "Look in every run whether the engine or the registry has another image under that name. Else that is "
        "looked up only when something is built; until then the digest of the last build counts."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Nix:
    """`[nix]`. Without packages and without a file nothing ships; paths never lead out of the workspace."""

    packages: tuple[str, ...] = array(
        schema.PACKAGE_GLOB,
        "The packages of the flake that ship: globs over the names in its `packages.SYSTEM`.",
        absent="none",
        example=("wash", "wash-oci-*"),
    )
    exclude: tuple[str, ...] = array(
        schema.PACKAGE_GLOB, "Packages that do not ship, though `nix.packages` matches them.", example=("*-debug",)
    )
    flake: str = setting(
        schema.NIX_FOLDER,
        "The folder of `flake.nix`, from the workspace's root. It has to be in a git repository.",
        default=".",
        example="nix",
    )
    systems: tuple[str, ...] = array(
        schema.SYSTEM,
        "The systems to build for. For others than the machine's own, Nix needs a remote builder or an emulator.",
        absent="the machine's own",
        example=("x86_64-linux", "aarch64-linux"),
    )
    file: str | None = optional(
        schema.NIX_FILE,
        "An expression that is no flake, from the workspace's root; `nix.attributes` says what of it ships. It is "
        "evaluated in every run, as nobody knows what it reads.",
        absent="there is none",
        example="default.nix",
    )
    attributes: tuple[str, ...] = array(
        schema.ATTRIBUTE,
        "What ships of `nix.file`: paths of attributes, each of which is a derivation.",
        example=("wash",),
    )
    files: tuple[str, ...] = array(
        schema.PACKAGE_FILE,
        "Which files of an output ship, as `PACKAGE/PATH`. Both may have wildcards; each entry has to match one "
        "file of each package.",
        absent="the output itself if it is a file, else the one file in its `bin`",
        example=("wash/bin/wash", "wash/bin/wadm"),
    )
    images: tuple[str, ...] = array(
        schema.PACKAGE_GLOB,
        "The packages that are images: archives as `dockerTools.buildImage` makes them, OCI archives, or OCI "
        "image layouts. They become OCI images, as those of other builders.",
        example=("wash-oci-*",),
    )
    rebuild: bool = flag(
        "Take no package on trust: one that Nix would copy from a binary cache, or finds in its store, is built "
        "again here and has to come out equal, bit by bit. What packages are built from is taken as before."
    )
    build_inventory: bool = flag(
        "List in inventories what the build used, too: the closure of the derivation, as build tools."
    )
    experimental_features: bool = flag(
        "Pass `--extra-experimental-features 'nix-command flakes'` to Nix, where its own configuration does not "
        "enable them."
    )

    @property
    def is_on(self) -> bool:
        """Whether anything ships."""
        return bool(self.packages or self.file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """`[signing]`. Paths are absolute; the private key is outside the workspace."""

    mode: SigningMode = setting(
        Choice(SigningMode, later={"keyless": "keyless signing is not in this version"}),
        "`key` signs with a local key. `auto` chooses; in this version it chooses `key`.",
        default=SigningMode.AUTO,
        example="key",
    )
    key: Path | None = setting(
        schema.KEY_FILE,
        "The private key's file, outside the workspace; a leading `~` is the home folder.",
        default=None,
        absent="a key of the user's own, made at first use",
        example="~/keys/release.pem",
    )
    public_keys: tuple[Path, ...] = setting(
        Texts(schema.FILE_PATH),
        "Public keys that `doit verify` trusts besides the user's own: files, from the workspace's root.",
        default=(),
        example=("keys/team.pem",),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`[plan]`."""

    runners: Mapping[str, str] = text_map(
        schema.PLATFORM_GLOB,
        Text(),
        "The label of the runner that builds for a platform, as `doit plan --format github` gives it. Names are "
        "platforms, or globs over platforms; the first that matches counts.",
        absent="GitHub's own runners",
        example={"aarch64-*": "ubuntu-24.04-arm"},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings of one workspace; named tables are in the order of the file.

    Attributes:
        workspace: the absolute path of the user's repository.
        path: where `provenance.toml` is, or would be.
    """

    workspace: Path
    path: Path
    project: Project = table(Project, "What is shipped, by whom, and where it is put.")
    cargo: Cargo = table(Cargo, "The binaries that cargo builds; all of them, where nothing else is said.")
    commands: tuple[Command, ...] = setting(
        NamedTables(
            of=Command,
            key="command",
            name=schema.COMMAND_NAME,
            example="wheel",
            later={
                "inventory": (
                    "what is in an artifact of a command is not found out in this version, and its inventory says so"
                ),
            },
        ),
        "Artifacts that any other program makes. One with a single output is called `command:NAME`, one of several "
        "`command:NAME/PART`, where PART is the output's file name without wildcards.",
        absent="there are none",
        default=(),
    )
    dockers: tuple[Docker, ...] = setting(
        NamedTables(of=Docker, key="docker", name=schema.IMAGE_NAME, example="wash"),
        "Images that BuildKit builds from a Dockerfile. Each platform of one is an artifact, "
        "`docker:NAME@PLATFORM`; where there are several, the index over them is one more, `docker:NAME@index`.",
        absent="there are none",
        default=(),
    )
    ocis: tuple[Oci, ...] = setting(
        NamedTables(of=Oci, key="oci", name=schema.IMAGE_NAME, example="wash"),
        "Images that something else has made, taken over as OCI images. Each platform of one is an artifact, "
        "`oci:NAME@PLATFORM`; where there are several, the index over them is one more, `oci:NAME@index`.",
        absent="there are none",
        default=(),
    )
    nix: Nix = table(
        Nix,
        "Packages that Nix builds. Each is an artifact, `nix:PACKAGE@SYSTEM`; where several files of one ship, "
        "each file is one, `nix:PACKAGE/FILE@SYSTEM`.",
    )
    signing: Signing = table(Signing, "How evidence is signed, and whose signatures are trusted.")
    plan: Plan = table(Plan, "What `doit plan` says to CI.")

    @property
    def output(self) -> Path:
        """The absolute path of the output folder."""
        return self.workspace / self.project.output


@cache
def all_keys() -> dict[str, Key]:
    """Return every key by its path, tables included, in the order of the declarations."""
    return {key.path: key for key in walk(Config)}
