"""Which binaries a repository ships: every binary target of every cargo workspace, without building any."""

from __future__ import annotations

import fnmatch
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.errors import ConfigError, ToolError, did_you_mean
from ...provenance.json import JSONValue, read_json
from ...provenance.process import capture, clean_environment
from ..builder import Artifact, Workspace
from .features import FeatureChoice, enabled
from .toolchain import Toolchain, read_toolchain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ...provenance.config import Cargo

_DEFAULT_MANIFEST = "Cargo.toml"
_GLIBC = re.compile(r"(?<=-gnu)\.[0-9.]+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One member of a cargo workspace, as `cargo metadata --no-deps` says.

    Attributes:
        id: cargo's own, which names it without doubt on a command line.
        features: feature name to what it enables.
        binaries: target name to the features that it requires.
        environment: the `CARGO_PKG_*` and `CARGO_MANIFEST_*` variables that cargo sets for its code.
    """

    id: str
    name: str
    version: str
    manifest: Path
    features: Mapping[str, tuple[str, ...]]
    binaries: Mapping[str, tuple[str, ...]]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """One artifact: a binary target of a package."""

    artifact: Artifact
    package: Package
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One cargo call.

    Its packages and features come from the configuration alone, so a binary's bytes do not depend on what else is
    stale.

    Attributes:
        triple: the target that was chosen; `None`: the host, without `--target`, as a plain `cargo build` has it.
            For cargo-zigbuild it may end in a glibc version (`x86_64-unknown-linux-gnu.2.17`).
        platform: the target triple proper.
        packages: of all binaries, stale or not.
    """

    id: str
    toolchain: Toolchain
    target_directory: Path
    triple: str | None
    platform: str
    profile: str
    features: FeatureChoice
    binaries: tuple[Binary, ...]

    @property
    def root(self) -> Path:
        """The cargo workspace's folder."""
        return self.toolchain.cwd

    @property
    def packages(self) -> tuple[Package, ...]:
        """The packages of the call, each once, by name."""
        found = {b.package.id: b.package for b in self.binaries}
        return tuple(sorted(found.values(), key=lambda p: (p.name, p.version)))

    def selection(self) -> list[str]:
        """Return the arguments that decide which units there are, but for `--bin`."""
        arguments = ["--manifest-path", str(self.root / _DEFAULT_MANIFEST), "--locked", "--profile", self.profile]
        for package in self.packages:
            arguments += ["--package", package.id]
        return arguments + self.features.arguments()


@dataclass(frozen=True, slots=True, kw_only=True)
class _CargoWorkspace:
    root: Path
    target_directory: Path
    members: tuple[Package, ...]


def discover(workspace: Workspace) -> tuple[Group, ...]:
    """Return every group of binaries, in a stable order.

    Raises:
        ToolError: cargo or rustc is missing, or refuses a manifest.
        ConfigError: a pattern matches nothing, or two binaries would have one name.
    """
    config = workspace.config.cargo
    choices = _feature_choices(config)
    groups: list[Group] = []
    matched: set[str] = set()
    for cargo_workspace in _workspaces(workspace.root, config):
        toolchain = read_toolchain(cargo_workspace.root)
        for choice in choices:
            shipped = list(_shipped(cargo_workspace, config, choice))
            matched.update(target for _, target in shipped)
            for triple in config.targets or (toolchain.default_target,):
                groups += _groups(workspace, cargo_workspace, toolchain, choice, triple, shipped)
    _refuse_unmatched(config, matched)
    _refuse_doubles(groups)
    return tuple(groups)


def _workspaces(root: Path, config: Cargo) -> Iterator[_CargoWorkspace]:
    """Yield each cargo workspace that the patterns reach, once."""
    known: set[Path] = set()
    for pattern in config.manifests:
        found = sorted(p for p in root.glob(pattern) if p.is_file())
        if not found and pattern != _DEFAULT_MANIFEST:
            raise ConfigError(
                f"provenance.toml: cargo.manifests: `{pattern}` matches no file",
                hint="patterns are relative to the folder of provenance.toml; `**` stands for any folders",
            )
        for path in found:
            if path in known:
                continue
            cargo_workspace = _metadata(path)
            if cargo_workspace.root / _DEFAULT_MANIFEST not in known:
                yield cargo_workspace
            known |= {path, cargo_workspace.root / _DEFAULT_MANIFEST, *(m.manifest for m in cargo_workspace.members)}


def _metadata(manifest: Path) -> _CargoWorkspace:
    argv = ["cargo", "metadata", "--no-deps", "--format-version", "1", "--manifest-path", str(manifest)]
    output = capture(argv, cwd=manifest.parent, env=clean_environment())
    try:
        document = read_json(output)
        if not isinstance(document, dict) or not isinstance(document["packages"], list):
            raise TypeError("packages")
        return _CargoWorkspace(
            root=Path(str(document["workspace_root"])),
            target_directory=Path(str(document["target_directory"])),
            members=tuple(_package(p) for p in document["packages"] if isinstance(p, dict)),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(f"`cargo metadata` answered in a shape that is not known: {error}") from error


def _package(document: Mapping[str, JSONValue]) -> Package:
    features, targets = document["features"], document["targets"]
    if not (isinstance(features, dict) and isinstance(targets, list)):
        raise TypeError("features or targets")
    binaries = {
        str(t["name"]): _texts(t.get("required-features", []))
        for t in targets
        if isinstance(t, dict) and t["kind"] == ["bin"]
    }
    return Package(
        id=str(document["id"]),
        name=str(document["name"]),
        version=str(document["version"]),
        manifest=Path(str(document["manifest_path"])),
        features={name: _texts(value) for name, value in features.items()},
        binaries=binaries,
        environment=_environment(document),
    )


def _environment(document: Mapping[str, JSONValue]) -> Mapping[str, str]:
    """Return the variables that cargo sets for a package's code (The Cargo Book, Environment Variables)."""
    version = str(document["version"])
    numbers, _, pre = version.partition("+")[0].partition("-")
    major, minor, patch = ([*numbers.split("."), "", "", ""])[:3]
    manifest = Path(str(document["manifest_path"]))
    found = {
        "CARGO_MANIFEST_DIR": str(manifest.parent),
        "CARGO_MANIFEST_PATH": str(manifest),
        "CARGO_PKG_NAME": str(document["name"]),
        "CARGO_PKG_VERSION": version,
        "CARGO_PKG_VERSION_MAJOR": major,
        "CARGO_PKG_VERSION_MINOR": minor,
        "CARGO_PKG_VERSION_PATCH": patch,
        "CARGO_PKG_VERSION_PRE": pre,
        "CARGO_PKG_AUTHORS": ":".join(_texts(document.get("authors", []))),
        "CARGO_PRIMARY_PACKAGE": "1",
    }
    for name in ("description", "homepage", "repository", "license", "license_file", "rust_version", "readme"):
        value = document.get(name)
        found[f"CARGO_PKG_{name.upper()}"] = value if isinstance(value, str) else ""
    return found


def _feature_choices(config: Cargo) -> tuple[FeatureChoice, ...]:
    plain = FeatureChoice(
        features=config.features,
        all_features=config.all_features,
        no_default_features=config.no_default_features,
    )
    return (
        plain,
        *(
            FeatureChoice(
                name=one.name,
                include=one.include,
                features=one.features,
                all_features=one.all_features,
                no_default_features=one.no_default_features,
            )
            for one in config.feature_sets
        ),
    )


def _shipped(cargo_workspace: _CargoWorkspace, config: Cargo, choice: FeatureChoice) -> Iterator[tuple[Package, str]]:
    """Yield the binaries that are asked for and that the chosen features allow to be built."""
    for package in sorted(cargo_workspace.members, key=lambda p: (p.name, p.version)):
        available = enabled(choice, package.name, package.features)
        for target, required in sorted(package.binaries.items()):
            if not (_any(target, config.include) and _any(target, choice.include)) or _any(target, config.exclude):
                continue
            missing = [f for f in required if f not in available]
            if not missing:
                yield package, target
            elif target in config.include or target in choice.include:
                raise ConfigError(
                    f"`{target}` of package `{package.name}` requires features that are off: {', '.join(missing)}",
                    hint="add them to `cargo.features`, or give it a feature set of its own under [cargo.feature-sets]",
                )


def _groups(
    workspace: Workspace,
    cargo_workspace: _CargoWorkspace,
    toolchain: Toolchain,
    choice: FeatureChoice,
    triple: str | None,
    shipped: Sequence[tuple[Package, str]],
) -> Iterator[Group]:
    config = workspace.config.cargo
    platform = _GLIBC.sub("", triple) if triple else toolchain.host
    place = "" if cargo_workspace.root == workspace.root else f"/{_relative(cargo_workspace.root, workspace.root)}"
    layers: list[list[Binary]] = []
    for package, target in shipped:
        # Two packages may each have a binary of one name, and one call would write both to one file.
        index = next((i for i, binaries in enumerate(layers) if all(b.target != target for b in binaries)), len(layers))
        if index == len(layers):
            layers.append([])
        artifact = Artifact(
            builder="cargo",
            name=_name(workspace, config, package, target) + choice.suffix,
            platform=platform,
            group=_group_id(place, platform, config.profile, choice, index),
            file=f"{target}.exe" if "windows" in platform else target,
        )
        layers[index].append(Binary(artifact=artifact, package=package, target=target))
    for index, binaries in enumerate(layers):
        yield Group(
            id=_group_id(place, platform, config.profile, choice, index),
            toolchain=toolchain,
            target_directory=cargo_workspace.target_directory,
            triple=triple,
            platform=platform,
            profile=config.profile,
            features=choice,
            binaries=tuple(binaries),
        )


def _name(workspace: Workspace, config: Cargo, package: Package, target: str) -> str:
    by_path = f"{_relative(package.manifest, workspace.root)}#{target}"
    return config.rename.get(by_path) or config.rename.get(f"{package.name}/{target}") or target


def _group_id(place: str, platform: str, profile: str, choice: FeatureChoice, layer: int) -> str:
    return f"cargo{place}@{platform}/{profile}{choice.suffix}" + (f"#{layer}" if layer else "")


def _refuse_unmatched(config: Cargo, matched: Iterable[str]) -> None:
    """Each pattern must match by itself: a binary that was renamed must not vanish from what ships."""
    names = sorted(set(matched))
    for pattern in config.include:
        if pattern != "*" and not any(fnmatch.fnmatchcase(n, pattern) for n in names):
            guess = did_you_mean(pattern, names)
            raise ConfigError(f"provenance.toml: cargo.include: `{pattern}` matches no binary{guess}")


def _refuse_doubles(groups: Iterable[Group]) -> None:
    first: dict[str, Binary] = {}
    for binary in (b for g in groups for b in g.binaries):
        other = first.setdefault(binary.artifact.id, binary)
        if other is not binary:
            raise ConfigError(
                f"two binaries would be `{binary.artifact.id}`: `{other.package.name}/{other.target}` and "
                f"`{binary.package.name}/{binary.target}`",
                hint=f'rename one in provenance.toml: [cargo.rename] "{binary.package.name}/{binary.target}" = "…"',
            )


def _any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, p) for p in patterns)


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _texts(value: JSONValue) -> tuple[str, ...]:
    return tuple(str(v) for v in value) if isinstance(value, list) else ()
