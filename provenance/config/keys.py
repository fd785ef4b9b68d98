"""Every key of `provenance.toml`.

The reader, the JSON Schema, the reference and the starter file all come from here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from . import clauses
from .command import COMMAND
from .docker import DOCKER
from .entry import ANY, Key, Presence
from .kinds import Choice, Flag, NamedTables, Table, Text, TextMap, Texts
from .nix import NIX
from .oci import OCI

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


KEYS = (
    Key(path="project", kind=Table(), doc="What is shipped, by whom, and where it is put."),
    Key(
        path="project.name",
        kind=Text(),
        doc="The project's name, as SBOMs give it.",
        absent="the last part of `project.source`, else the name of the workspace's folder",
        example="wasmcloud",
    ),
    Key(
        path="project.source",
        kind=clauses.REPOSITORY_URL,
        doc="Where the source is published; provenance names the source commit by it.",
        absent="the git remote, without the credentials that it may hold",
        example="https://github.com/wasmCloud/wasmCloud",
    ),
    Key(
        path="project.output",
        kind=clauses.OUTPUT_FOLDER,
        doc="The folder that receives artifacts and evidence, from the workspace's root. It keeps itself out of git.",
        default="dist",
        example="out/dist",
    ),
    Key(
        path="project.supplier",
        kind=Table(),
        doc="Who answers for what is shipped and for its SBOMs (NTIA supplier and author, BSI creator).",
        absent="SBOMs name the project alone",
    ),
    Key(
        path="project.supplier.name",
        kind=Text(),
        doc="The name of the organisation or person.",
        absent="an error, once `project.supplier` is there",
        example="Example GmbH",
        presence=Presence.REQUIRED,
    ),
    Key(
        path="project.supplier.email",
        kind=clauses.EMAIL,
        doc="Where questions about the SBOMs go.",
        absent="none is named",
        example="security@example.com",
    ),
    Key(
        path="project.supplier.url",
        kind=clauses.WEB_URL,
        doc="The supplier's page.",
        absent="none is named",
        example="https://example.com",
    ),
    Key(
        path="project.supplier.person",
        kind=Flag(),
        doc="Whether the supplier is a person. SPDX tells persons from organisations.",
        default=False,
        example=True,
    ),
    Key(path="cargo", kind=Table(), doc="The binaries that cargo builds; all of them, where nothing else is said."),
    Key(
        path="cargo.manifests",
        kind=Texts(item=clauses.MANIFEST_GLOB),
        doc=(
            "The workspaces' manifests, as globs from the root; `**` stands for any number of folders. "
            "An empty array turns cargo off."
        ),
        default=("Cargo.toml",),
        absent="the one at the root, if there is one",
        example=("rust/Cargo.toml", "tools/*/Cargo.toml"),
    ),
    Key(
        path="cargo.include",
        kind=Texts(item=clauses.BINARY_GLOB),
        doc="The binaries to ship, as globs over their names as cargo has them.",
        default=("*",),
        example=("wash", "*-provider"),
    ),
    Key(
        path="cargo.exclude",
        kind=Texts(item=clauses.BINARY_GLOB),
        doc="The binaries not to ship, likewise; wins over `cargo.include`.",
        default=(),
        example=("*-test-helper",),
    ),
    Key(
        path="cargo.targets",
        kind=Texts(item=clauses.TARGET),
        doc="The target triples to build for; with `cargo-zigbuild` a glibc version may follow, as in `….2.17`.",
        default=(),
        absent="the host's",
        example=("x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"),
    ),
    Key(
        path="cargo.profile",
        kind=clauses.PROFILE,
        doc="The cargo profile to build with.",
        default="release",
        example="release-lto",
    ),
    Key(
        path="cargo.tool",
        kind=Choice(options=CargoTool),
        doc="The program that builds.",
        default="cargo",
        example="cargo-zigbuild",
    ),
    Key(
        path="cargo.features",
        kind=Texts(item=clauses.FEATURE),
        doc="Features to build with, as `cargo build --features` takes them (`FEATURE` or `PACKAGE/FEATURE`).",
        default=(),
        example=("tls", "wash/otel"),
    ),
    Key(
        path="cargo.all-features",
        kind=Flag(),
        doc="Build with all features, as `cargo build --all-features`.",
        default=False,
        example=True,
    ),
    Key(
        path="cargo.no-default-features",
        kind=Flag(),
        doc="Build without the default features, as `cargo build --no-default-features`.",
        default=False,
        example=True,
    ),
    Key(
        path="cargo.rename",
        kind=TextMap(name=clauses.BINARY_SELECTOR, value=clauses.ARTIFACT_NAME),
        doc=(
            "Another artifact name for a binary, which is named by `PACKAGE/BINARY` or, where two workspaces have the "
            "same package, by `path/to/Cargo.toml#BINARY`. Needed when two binaries have the same name."
        ),
        absent="an artifact has its binary's name",
        example={"wash-cli/wash": "wash-next"},
    ),
    Key(
        path="cargo.feature-sets",
        kind=NamedTables(name=clauses.FEATURE_SET_NAME, example="fips"),
        doc=(
            "Binaries to build once more with other features; the artifact is called `BINARY+NAME`. "
            "A set stands for itself: the features of `[cargo]` are not added to it."
        ),
        absent="each binary is built once",
    ),
    Key(
        path="cargo.feature-sets.NAME.features",
        kind=Texts(item=clauses.FEATURE),
        doc="As `cargo.features`, for this set.",
        default=(),
        example=("fips",),
    ),
    Key(
        path="cargo.feature-sets.NAME.all-features",
        kind=Flag(),
        doc="As `cargo.all-features`, for this set.",
        default=False,
        example=True,
    ),
    Key(
        path="cargo.feature-sets.NAME.no-default-features",
        kind=Flag(),
        doc="As `cargo.no-default-features`, for this set.",
        default=False,
        example=True,
    ),
    Key(
        path="cargo.feature-sets.NAME.include",
        kind=Texts(item=clauses.BINARY_GLOB),
        doc="The binaries to build with this set, as globs over the names of those that `[cargo]` selects.",
        default=("*",),
        example=("wash",),
    ),
    *COMMAND,
    *DOCKER,
    *OCI,
    *NIX,
    Key(path="signing", kind=Table(), doc="How evidence is signed, and whose signatures are trusted."),
    Key(
        path="signing.mode",
        kind=Choice(
            options=SigningMode,
            later={"keyless": "keyless signing is not in this version"},
        ),
        doc="`key` signs with a local key. `auto` chooses; in this version it chooses `key`.",
        default="auto",
        example="key",
    ),
    Key(
        path="signing.key",
        kind=clauses.KEY_FILE,
        doc="The private key's file, outside the workspace; a leading `~` is the home folder.",
        absent="a key of the user's own, made at first use",
        example="~/keys/release.pem",
    ),
    Key(
        path="signing.public-keys",
        kind=Texts(item=clauses.FILE_PATH),
        doc="Public keys that `doit verify` trusts besides the user's own: files, from the workspace's root.",
        default=(),
        example=("keys/team.pem",),
    ),
    Key(path="plan", kind=Table(), doc="What `doit plan` says to CI."),
    Key(
        path="plan.runners",
        kind=TextMap(name=clauses.PLATFORM_GLOB, value=Text()),
        doc=(
            "The label of the runner that builds for a platform, as `doit plan --format github` gives it. Names are "
            "platforms, or globs over platforms; the first that matches counts."
        ),
        absent="GitHub's own runners",
        example={"aarch64-*": "ubuntu-24.04-arm"},
    ),
)


def _by_parent() -> Mapping[str, Mapping[str, Key]]:
    tables: dict[str, dict[str, Key]] = {}
    for key in KEYS:
        tables.setdefault(key.parent, {})[key.name] = key
    return tables


_CHILDREN = _by_parent()
_BY_PATH = {key.path: key for key in KEYS}


def children(path: str) -> Mapping[str, Key]:
    """Return the keys of the table at `path` (empty: the root), by name, in the order of `KEYS`."""
    return _CHILDREN[path]


def definition(setting: str) -> Key:
    """Return the key that defines `setting`, in whose path names that the user gave may stand.

    Raises:
        KeyError: there is no such setting.
    """
    parts: list[str] = []
    for part in setting.split("."):
        inside = _CHILDREN.get(".".join(parts), {})
        parts.append(part if part in inside else ANY)
    path = ".".join(parts)
    if path not in _BY_PATH:
        raise KeyError(setting)
    return _BY_PATH[path]
