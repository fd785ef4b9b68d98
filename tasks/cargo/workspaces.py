"""The cargo workspaces of a repository, from `cargo metadata` or remembered while nothing that it read has changed."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...provenance.errors import ConfigError, ToolError
from ...provenance.json import JSONValue, read_json
from ...provenance.process import capture, clean_environment
from ..programs import find_program
from .fingerprint import MANIFEST, Fingerprint, Probe, measure, probe_key
from .toolchain import Toolchain, ToolQueries, is_understood

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ..memory import Memory
    from .manifest_scan import ManifestScan


_FILLED = {"target", "node_modules", "vendor", "dist"}
"""Folders with manifests that are not the repository's own."""


_KEY = "cargo.workspaces"
_STEERING = ("CARGO", "RUST", "__CARGO")
"""How the names of variables begin that cargo, rustc and rustup look at."""
_CARGO = "cargo"


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

    def to_json(self) -> JSONValue:
        """Return what is remembered."""
        return {
            "id": self.id,
            "name": self.name,
            "version": self.version,
            "manifest": str(self.manifest),
            "features": {name: list(enables) for name, enables in self.features.items()},
            "binaries": {name: list(required) for name, required in self.binaries.items()},
            "environment": dict(self.environment),
        }

    @classmethod
    def from_json(cls, found: Any) -> Package:
        """Read what `to_json` returned.

        Raises:
            KeyError, TypeError, AttributeError: it is something else.
        """
        return cls(
            id=found["id"],
            name=found["name"],
            version=found["version"],
            manifest=Path(found["manifest"]),
            features={name: tuple(enables) for name, enables in found["features"].items()},
            binaries={name: tuple(required) for name, required in found["binaries"].items()},
            environment=found["environment"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CargoWorkspace:
    """What `cargo metadata --no-deps` says of the workspace that a manifest belongs to.

    Attributes:
        target_directory: where cargo leaves what it was asked for.
        build_directory: where it keeps all else that it makes; by default the same folder.
    """

    root: Path
    target_directory: Path
    build_directory: Path
    members: tuple[Package, ...]

    def to_json(self) -> JSONValue:
        """Return what is remembered."""
        return {
            "root": str(self.root),
            "target": str(self.target_directory),
            "build": str(self.build_directory),
            "members": [package.to_json() for package in self.members],
        }

    @classmethod
    def from_json(cls, found: Any) -> CargoWorkspace:
        """Read what `to_json` returned.

        Raises:
            KeyError, TypeError, AttributeError: it is something else.
        """
        return cls(
            root=Path(found["root"]),
            target_directory=Path(found["target"]),
            build_directory=Path(found["build"]),
            members=tuple(Package.from_json(package) for package in found["members"]),
        )


def find_manifests(root: Path) -> tuple[str, ...]:
    """Return the manifest of each cargo workspace below `root`, as paths from there, the outermost first.

    Folders that builds fill or that are hidden are not looked into.

    Raises:
        ToolError: cargo is missing, or refuses a manifest.
    """
    found: list[str] = []
    known: set[Path] = set()
    for path in sorted(_walk(root), key=lambda p: (len(p.parts), p)):
        if path not in known:
            cargo_workspace = read_metadata(path)
            known |= {path, *(m.manifest for m in cargo_workspace.members)}
            if any(m.binaries for m in cargo_workspace.members):
                found.append(Path(os.path.relpath(cargo_workspace.root, root), MANIFEST).as_posix())
    return tuple(dict.fromkeys(found))


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith(".") and f not in _FILLED]
        if MANIFEST in names:
            yield Path(folder, MANIFEST)


def read_metadata(manifest: Path) -> CargoWorkspace:
    """Ask cargo about the workspace of `manifest`.

    Raises:
        ToolError: cargo is missing, refuses the manifest, or answers in a shape that is not known.
    """
    argv = ["cargo", "metadata", "--no-deps", "--format-version", "1", "--manifest-path", str(manifest)]
    output = capture(argv, cwd=manifest.parent, env=clean_environment())
    try:
        document = read_json(output)
        if not isinstance(document, dict) or not isinstance(document["packages"], list):
            raise TypeError("packages")
        target = str(document["target_directory"])
        return CargoWorkspace(
            root=Path(str(document["workspace_root"])),
            target_directory=Path(target),
            # Since cargo 1.91, and with the way round that the configuration may have taken.
            build_directory=Path(os.path.normpath(str(document.get("build_directory", target)))),
            members=tuple(_package(p) for p in document["packages"] if isinstance(p, dict)),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(f"`cargo metadata` answered in a shape that is not known: {error}") from error


def refuse_confusable(cargo_workspaces: Iterable[CargoWorkspace]) -> None:
    """Refuse workspaces in one build folder that cargo would take for one another there.

    It tells packages apart by name, version and place in their workspace, and whether to compile by times alone: of two
    that are alike, the second is found up to date, and the first's binary passes for it.

    Raises:
        ToolError: there are two.
    """
    first: dict[tuple[Path, Path, str, str], CargoWorkspace] = {}
    for one in cargo_workspaces:
        for package in one.members:
            place = Path(os.path.relpath(package.manifest, one.root))
            other = first.setdefault((one.build_directory, place, package.name, package.version), one)
            if other is not one:
                raise ToolError(
                    f"`{other.root.name}` and `{one.root.name}` build into one folder, and both have a package "
                    f"`{package.name}` {package.version}, which cargo can't tell apart there",
                    hint="let each have a target folder of its own: unset `CARGO_TARGET_DIR` or `build.target-dir`",
                )


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
    if isinstance(links := document.get("links"), str):
        found["CARGO_MANIFEST_LINKS"] = links
    return found


def _texts(value: JSONValue) -> tuple[str, ...]:
    return tuple(str(v) for v in value) if isinstance(value, list) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CargoInfo:
    """The cargo workspaces and toolchains of a repository.

    Attributes:
        toolchains: of each workspace, by its root.
        fingerprint: of everything that it depends on.
        certain: nothing else can change it, so that it may be remembered.
    """

    workspaces: tuple[CargoWorkspace, ...]
    toolchains: Mapping[Path, Toolchain]
    fingerprint: Fingerprint
    certain: bool

    def remeasure(self, root: Path, patterns: Sequence[str]) -> Fingerprint:
        """Measure the same probes again.

        Raises:
            ToolError: a file is there and can't be read.
        """
        return measure(self.fingerprint.values, facts(root, matches(root, patterns)), self.fingerprint.known)


def read_cargo_info(root: Path, patterns: Sequence[str], memory: Memory) -> CargoInfo:
    """Return what cargo says of the workspaces that `patterns` reach from `root`, each once.

    Raises:
        ToolError: cargo or rustc is missing, or refuses a manifest.
        ConfigError: a pattern matches nothing.
    """
    manifests = matches(root, patterns)
    if not manifests:
        return CargoInfo(workspaces=(), toolchains={}, fingerprint=Fingerprint(values={}, known={}), certain=False)
    known = facts(root, manifests)
    return _recall(known, memory) or _query(manifests, known, memory)


def matches(root: Path, patterns: Iterable[str]) -> tuple[Path, ...]:
    """Return the manifests that patterns name, each once, in their order.

    Raises:
        ConfigError: a pattern, other than that of the manifest at the root, matches nothing.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        matched = sorted(p for p in root.glob(pattern) if p.is_file())
        if not matched and pattern != MANIFEST:
            raise ConfigError(
                f"provenance.toml: cargo.manifests: `{pattern}` matches no file",
                hint="patterns are relative to the folder of provenance.toml; `**` stands for any folders",
            )
        found |= dict.fromkeys(matched)
    return tuple(found)


def facts(root: Path, manifests: Iterable[Path]) -> dict[str, str]:
    """Return what decides in this process which cargo answers, and how."""
    names = sorted(name for name in os.environ if name.startswith(_STEERING))
    steering = "\0".join(f"{name}={os.environ[name]}" for name in names)
    return {
        "environment": hashlib.sha256(os.fsencode(steering)).hexdigest(),
        "home": os.environ.get("HOME", ""),
        _CARGO: str(find_program(_CARGO, root)),
        "rustc": str(find_program("rustc", root)),
        "manifests": "\0".join(map(str, manifests)),
    }


def _recall(known: Mapping[str, str], memory: Memory) -> CargoInfo | None:
    entry = memory.get(_KEY)
    if not isinstance(entry, dict) or (fingerprint := Fingerprint.from_json(entry.get("ground"))) is None:
        return None
    now = measure(fingerprint.values, known, fingerprint.known)
    if now.values != fingerprint.values:
        return None
    try:
        documents = entry["workspaces"]
        workspaces = tuple(CargoWorkspace.from_json(w) for w in documents) if isinstance(documents, list) else ()
    except (KeyError, TypeError, ValueError, AttributeError):
        return None  # another version of this program wrote it
    if now.known != fingerprint.known:
        memory.put(_KEY, {**entry, "ground": now.to_json()})
    return _remembered(workspaces, {w.root: Toolchain(queries=ToolQueries(w.root)) for w in workspaces}, now, memory)


def _query(manifests: Sequence[Path], known: Mapping[str, str], memory: Memory) -> CargoInfo:
    from .manifest_scan import scan_manifests

    scan = scan_manifests(manifests)
    before = measure(scan.probes, known)
    workspaces = tuple(_workspaces(manifests))
    if any(w.root / MANIFEST not in scan.manifests for w in workspaces):  # a root that lies elsewhere
        scan = scan_manifests((*manifests, *(w.root / MANIFEST for w in workspaces)))
        before = measure(scan.probes, known)
        workspaces = tuple(_workspaces(manifests))
    toolchains = {w.root: Toolchain(queries=ToolQueries(w.root)) for w in workspaces}
    probes, certain = _programs(toolchains.values(), scan)
    certain = certain and all(m.manifest in scan.manifests for w in workspaces for m in w.members)
    between = measure(probes, known, before.known)
    for toolchain in toolchains.values():  # what every run asks
        _ = toolchain.version, toolchain.config
    after = measure(probes, known, between.known)
    stood = after.values == between.values and before.values.items() <= after.values.items()
    if not (certain and stood) or after.racy:
        return CargoInfo(workspaces=workspaces, toolchains=toolchains, fingerprint=after, certain=False)
    memory.put(_KEY, {"ground": after.to_json(), "workspaces": [w.to_json() for w in workspaces]})
    return _remembered(workspaces, toolchains, after, memory)


def _remembered(
    workspaces: tuple[CargoWorkspace, ...],
    toolchains: Mapping[Path, Toolchain],
    fingerprint: Fingerprint,
    memory: Memory,
) -> CargoInfo:
    for toolchain in toolchains.values():
        toolchain.queries.keep(memory, fingerprint.digest)
    return CargoInfo(workspaces=workspaces, toolchains=toolchains, fingerprint=fingerprint, certain=True)


def _workspaces(manifests: Iterable[Path]) -> Iterator[CargoWorkspace]:
    known: set[Path] = set()
    for path in manifests:
        if path in known:
            continue
        cargo_workspace = read_metadata(path)
        if cargo_workspace.root / MANIFEST not in known:
            yield cargo_workspace
        known |= {path, cargo_workspace.root / MANIFEST, *(m.manifest for m in cargo_workspace.members)}


def _programs(toolchains: Iterable[Toolchain], scan: ManifestScan) -> tuple[set[str], bool]:
    """Return what the answers rest on with the programs that give them, and whether that is all."""
    probes, certain = set(scan.probes), scan.certain
    for toolchain in toolchains:
        sysroot = toolchain.sysroot
        probes |= {probe_key(Probe.STATUS, sysroot / "bin" / name) for name in (_CARGO, "rustc")}
        probes |= {probe_key(Probe.STATUS, path) for path in (sysroot / "lib").glob("librustc_driver-*")}
        for name in (_CARGO, toolchain.rustc):
            program = find_program(name, toolchain.cwd)
            certain = certain and program is not None and is_understood(program, sysroot)
            if program is not None:
                probes |= {probe_key(Probe.LINK, program), probe_key(Probe.STATUS, program)}
    return probes, certain
