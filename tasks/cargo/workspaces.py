"""The cargo workspaces of a repository: as cargo says, or as it said while nothing of what it looked at has changed."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...provenance.errors import ConfigError
from .ground import MANIFEST, Ground, Subject, look, subject
from .metadata import CargoWorkspace, read_metadata
from .programs import is_understood, which
from .said import Said
from .toolchain import Toolchain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ..context import Memory
    from .survey import Survey

_KEY = "cargo.workspaces"
_STEERING = ("CARGO", "RUST", "__CARGO")
"""How the names of variables begin that cargo, rustc and rustup look at."""
_CARGO = "cargo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What cargo said of a repository.

    Attributes:
        toolchains: of each workspace, by its root.
        ground: what all of it rests on.
        certain: nothing else can change it, so that it may be remembered.
    """

    workspaces: tuple[CargoWorkspace, ...]
    toolchains: Mapping[Path, Toolchain]
    ground: Ground
    certain: bool

    def look_again(self, root: Path, patterns: Sequence[str]) -> Ground:
        """Return the same ground as it is now.

        Raises:
            ToolError: a file is there and can't be read.
        """
        return look(self.ground.values, facts(root, matches(root, patterns)), self.ground.known)


def ask(root: Path, patterns: Sequence[str], memory: Memory) -> Asked:
    """Return what cargo says of the workspaces that `patterns` reach from `root`, each once.

    Raises:
        ToolError: cargo or rustc is missing, or refuses a manifest.
        ConfigError: a pattern matches nothing.
    """
    manifests = matches(root, patterns)
    if not manifests:
        return Asked(workspaces=(), toolchains={}, ground=Ground(values={}, known={}), certain=False)
    known = facts(root, manifests)
    return _recall(known, memory) or _ask(manifests, known, memory)


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
        _CARGO: str(which(_CARGO, root)),
        "rustc": str(which("rustc", root)),
        "manifests": "\0".join(map(str, manifests)),
    }


def _recall(known: Mapping[str, str], memory: Memory) -> Asked | None:
    entry = memory.get(_KEY)
    if not isinstance(entry, dict) or (ground := Ground.from_json(entry.get("ground"))) is None:
        return None
    now = look(ground.values, known, ground.known)
    if now.values != ground.values:
        return None
    try:
        documents = entry["workspaces"]
        workspaces = tuple(CargoWorkspace.from_json(w) for w in documents) if isinstance(documents, list) else ()
    except (KeyError, TypeError, ValueError, AttributeError):
        return None  # another version of this program wrote it
    if now.known != ground.known:
        memory.put(_KEY, {**entry, "ground": now.to_json()})
    return _asked(workspaces, {w.root: Toolchain(said=Said(w.root)) for w in workspaces}, now, memory)


def _ask(manifests: Sequence[Path], known: Mapping[str, str], memory: Memory) -> Asked:
    from .survey import survey  # where cargo need not be asked, this isn't either

    surveyed = survey(manifests)
    before = look(surveyed.subjects, known)
    workspaces = tuple(_workspaces(manifests))
    if any(w.root / MANIFEST not in surveyed.manifests for w in workspaces):  # a root that lies elsewhere
        surveyed = survey((*manifests, *(w.root / MANIFEST for w in workspaces)))
        before = look(surveyed.subjects, known)
        workspaces = tuple(_workspaces(manifests))
    toolchains = {w.root: Toolchain(said=Said(w.root)) for w in workspaces}
    subjects, certain = _programs(toolchains.values(), surveyed)
    certain = certain and all(m.manifest in surveyed.manifests for w in workspaces for m in w.members)
    between = look(subjects, known, before.known)
    for toolchain in toolchains.values():  # what every run asks
        _ = toolchain.version, toolchain.config
    after = look(subjects, known, between.known)
    stood = after.values == between.values and before.values.items() <= after.values.items()
    if not (certain and stood) or after.racy:
        return Asked(workspaces=workspaces, toolchains=toolchains, ground=after, certain=False)
    memory.put(_KEY, {"ground": after.to_json(), "workspaces": [w.to_json() for w in workspaces]})
    return _asked(workspaces, toolchains, after, memory)


def _asked(
    workspaces: tuple[CargoWorkspace, ...], toolchains: Mapping[Path, Toolchain], ground: Ground, memory: Memory
) -> Asked:
    for toolchain in toolchains.values():
        toolchain.said.keep(memory, ground.digest)
    return Asked(workspaces=workspaces, toolchains=toolchains, ground=ground, certain=True)


def _workspaces(manifests: Iterable[Path]) -> Iterator[CargoWorkspace]:
    known: set[Path] = set()
    for path in manifests:
        if path in known:
            continue
        cargo_workspace = read_metadata(path)
        if cargo_workspace.root / MANIFEST not in known:
            yield cargo_workspace
        known |= {path, cargo_workspace.root / MANIFEST, *(m.manifest for m in cargo_workspace.members)}


def _programs(toolchains: Iterable[Toolchain], surveyed: Survey) -> tuple[set[str], bool]:
    """Return what the answers rest on with the programs that give them, and whether that is all."""
    subjects, certain = set(surveyed.subjects), surveyed.certain
    for toolchain in toolchains:
        sysroot = toolchain.sysroot
        subjects |= {subject(Subject.STATUS, sysroot / "bin" / name) for name in (_CARGO, "rustc")}
        subjects |= {subject(Subject.STATUS, path) for path in (sysroot / "lib").glob("librustc_driver-*")}
        for name in (_CARGO, toolchain.rustc):
            program = which(name, toolchain.cwd)
            certain = certain and program is not None and is_understood(program, sysroot)
            if program is not None:
                subjects |= {subject(Subject.LINK, program), subject(Subject.STATUS, program)}
    return subjects, certain
