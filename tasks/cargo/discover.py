"""Which binaries a repository ships: every binary target of every cargo workspace, without building any."""

from __future__ import annotations

import dataclasses
import fnmatch
import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.errors import ConfigError, did_you_mean
from ..artifacts import Artifact
from .fingerprint import MANIFEST
from .workspaces import CargoInfo, CargoWorkspace, Package, read_cargo_info, refuse_confusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ...provenance.config import Cargo
    from ..context import Context
    from ..workspace import Workspace
    from .toolchain import Toolchain


_HOST_TUPLE = "host-tuple"
"""Cargo's own word for the host as a target (The Cargo Book, `cargo build --target`)."""
_GLIBC = re.compile(r"(?P<triple>.*-gnu[a-z0-9]*)\.[0-9.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureChoice:
    """One choice of features for a cargo call.

    Attributes:
        name: of the feature set; empty for the one without a name.
        include: globs over binary names that the set is built for.
    """

    name: str = ""
    include: tuple[str, ...] = ("*",)
    features: tuple[str, ...] = ()
    all_features: bool = False
    no_default_features: bool = False

    @property
    def suffix(self) -> str:
        """What the set adds to an artifact's name."""
        return f"+{self.name}" if self.name else ""

    def arguments(self) -> list[str]:
        """Return cargo's arguments."""
        found = ["--features", ",".join(self.features)] if self.features else []
        found += ["--all-features"] if self.all_features else []
        return found + (["--no-default-features"] if self.no_default_features else [])


def enabled(choice: FeatureChoice, package: str, features: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """Return which of `package`'s own features the choice enables (The Cargo Book, Features).

    `features` is what each feature of the package enables: other features, `dep:NAME`, `NAME/FEATURE`, `NAME?/FEATURE`.
    """
    if choice.all_features:
        return frozenset(features)
    pending = [] if choice.no_default_features else ["default"]
    for feature in choice.features:
        owner, slash, name = feature.partition("/")
        if not slash or owner == package:
            pending.append(name if slash else feature)
    found: set[str] = set()
    while pending:
        feature = pending.pop()
        if feature in features and feature not in found:
            found.add(feature)
            # `NAME/FEATURE` also enables the feature NAME of an optional dependency; `NAME?/FEATURE` does not.
            pending += [one.partition("/")[0] for one in features[feature]]
    return frozenset(found)


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
        asked: what was asked to find this group, and what the answers rest on.
    """

    id: str
    toolchain: Toolchain
    info: CargoInfo
    target_directory: Path
    build_directory: Path
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
        arguments = ["--manifest-path", str(self.root / MANIFEST), "--locked", "--profile", self.profile]
        for package in self.packages:
            arguments += ["--package", package.id]
        return arguments + self.features.arguments()


def discover(context: Context) -> tuple[Group, ...]:
    """Return every group of binaries, in a stable order.

    Raises:
        ToolError: cargo or rustc is missing, or refuses a manifest; or it would confuse two workspaces.
        ConfigError: a pattern matches nothing, or two binaries would have one name.
    """
    config = context.workspace.config.cargo
    choices = _feature_choices(config)
    groups: list[Group] = []
    known: list[Package] = []
    info = read_cargo_info(context.workspace.root, config.manifests, context.memory)
    refuse_confusable(info.workspaces)
    for cargo_workspace in info.workspaces:
        known += cargo_workspace.members
        toolchain = info.toolchains[cargo_workspace.root]
        for choice in choices:
            shipped = list(_shipped(cargo_workspace, config, choice, choices))
            for triple in _triples(config, toolchain):
                groups += _groups(context.workspace, cargo_workspace, info, choice, triple, shipped)
    _refuse_unmatched(context.workspace, known)
    _refuse_doubles(groups)
    return tuple(groups)


def _triples(config: Cargo, toolchain: Toolchain) -> Sequence[str | None]:
    targets: Sequence[str | None] = config.targets or toolchain.default_targets
    return tuple(dict.fromkeys(toolchain.host if target == _HOST_TUPLE else target for target in targets))


def _feature_choices(config: Cargo) -> tuple[FeatureChoice, ...]:
    plain = FeatureChoice(
        features=config.features,
        all_features=config.all_features,
        no_default_features=config.no_default_features,
    )
    return (plain, *(FeatureChoice(**dataclasses.asdict(chosen)) for chosen in config.feature_sets))


def _shipped(
    cargo_workspace: CargoWorkspace, config: Cargo, choice: FeatureChoice, choices: Sequence[FeatureChoice]
) -> Iterator[tuple[Package, str]]:
    """Yield the binaries that are asked for and that the chosen features allow to be built.

    A binary that is asked for by name must be built by one of the `choices`, and by each that names it.
    """
    for package in sorted(cargo_workspace.members, key=lambda p: (p.name, p.version)):
        for target in sorted(package.binaries):
            if not _any(target, config.include) or not _any(target, choice.include) or _any(target, config.exclude):
                continue
            missing = _missing(choice, package, target)
            if not missing:
                yield package, target
            elif target in choice.include or (
                target in config.include
                and all(_missing(c, package, target) for c in choices if _any(target, c.include))
            ):
                raise ConfigError(
                    f"`{target}` of package `{package.name}` requires features that are off: {', '.join(missing)}",
                    hint="add them to `cargo.features`, or give it a feature set of its own under [cargo.feature-sets]",
                )


def _missing(choice: FeatureChoice, package: Package, target: str) -> list[str]:
    available = enabled(choice, package.name, package.features)
    return [feature for feature in package.binaries[target] if feature not in available]


def _groups(
    workspace: Workspace,
    cargo_workspace: CargoWorkspace,
    info: CargoInfo,
    choice: FeatureChoice,
    triple: str | None,
    shipped: Sequence[tuple[Package, str]],
) -> Iterator[Group]:
    config = workspace.config.cargo
    toolchain = info.toolchains[cargo_workspace.root]
    glibc = _GLIBC.fullmatch(triple or "")
    platform = glibc["triple"] if glibc else triple or toolchain.host
    place = "" if cargo_workspace.root == workspace.root else f"/{_relative(cargo_workspace.root, workspace.root)}"
    for index, layer in enumerate(_layers(shipped)):
        group = f"cargo{place}@{platform}/{config.profile}{choice.suffix}" + (f"#{index}" if index else "")
        binaries = [
            Binary(
                artifact=Artifact(
                    builder="cargo",
                    name=_name(workspace, config, package, target) + choice.suffix,
                    platform=platform,
                    group=group,
                    file=f"{target}.exe" if "windows" in platform else target,
                ),
                package=package,
                target=target,
            )
            for package, target in layer
        ]
        yield Group(
            id=group,
            toolchain=toolchain,
            info=info,
            target_directory=cargo_workspace.target_directory,
            build_directory=cargo_workspace.build_directory,
            triple=triple,
            platform=platform,
            profile=config.profile,
            features=choice,
            binaries=tuple(binaries),
        )


def _layers(shipped: Sequence[tuple[Package, str]]) -> list[list[tuple[Package, str]]]:
    """Part packages that have a binary of one name: in one call `--bin NAME` would build both, to the same file."""
    names: list[set[str]] = []
    layers: list[list[tuple[Package, str]]] = []
    for _, pairs in itertools.groupby(shipped, key=lambda pair: pair[0].id):
        found = list(pairs)
        binaries = found[0][0].binaries.keys()
        index = next((i for i, taken in enumerate(names) if taken.isdisjoint(binaries)), len(layers))
        if index == len(layers):
            names.append(set())
            layers.append([])
        names[index].update(binaries)
        layers[index] += found
    return layers


def _name(workspace: Workspace, config: Cargo, package: Package, target: str) -> str:
    keys = _rename_keys(workspace, package, target)
    return next((config.rename[key] for key in keys if key in config.rename), target)


def _rename_keys(workspace: Workspace, package: Package, target: str) -> tuple[str, str]:
    return f"{_relative(package.manifest, workspace.root)}#{target}", f"{package.name}/{target}"


def _refuse_unmatched(workspace: Workspace, packages: Sequence[Package]) -> None:
    """Each pattern must match by itself: a binary that was renamed must not vanish from what ships."""
    config = workspace.config.cargo
    names = sorted({target for package in packages for target in package.binaries})
    patterns = [("cargo.include", p) for p in config.include] + [("cargo.exclude", p) for p in config.exclude]
    patterns += [(f"cargo.feature-sets.{one.name}.include", p) for one in config.feature_sets for p in one.include]
    for key, pattern in patterns:
        if pattern != "*" and not any(fnmatch.fnmatchcase(n, pattern) for n in names):
            guess = did_you_mean(pattern, names)
            raise ConfigError(f"provenance.toml: {key}: `{pattern}` matches no binary{guess}")
    keys = {key for p in packages for target in p.binaries for key in _rename_keys(workspace, p, target)}
    for key in config.rename:
        if key not in keys:
            raise ConfigError(
                f"provenance.toml: cargo.rename: `{key}` is no binary{did_you_mean(key, sorted(keys))}",
                hint="a key is `PACKAGE/BINARY` or `path/to/Cargo.toml#BINARY`",
            )


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
