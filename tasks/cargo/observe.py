"""What is really in one binary: the crates that rustc loaded for it, and the packages that follow from them.

After the build, rustc is run once more on the binary's own crate, up to name resolution and no further:
`--emit=dep-info -Zbinary-dep-depinfo`, into a scratch folder. It lists each crate file that it loaded, which is what it
gives to the linker, or under LTO takes in by itself. The shipped bytes are made by the user's own `cargo build`, which
is not affected (docs/decisions/0001-observe-after-the-build.md).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.errors import ToolError
from ...provenance.process import capture
from ...provenance.sbom.inventory import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .invoke import Compiled, Messages, ScriptRun
    from .toolchain import Toolchain
    from .units import Unit, UnitGraph, UnitKey


_WORD = re.compile(r"(?:\\[ #\\]|[^ ])+")
_ESCAPED = re.compile(r"\\([ #])")


_LIMIT = 120.0
"""Seconds that rustc may take to resolve one crate; a proc-macro in it may hang."""
_CRATE_FILE = re.compile(r"lib(?P<crate>[A-Za-z0-9_]+)-[0-9a-f]+\.(?:rlib|rmeta|so|dylib|dll)\Z")
_PROC_MACRO = "proc-macro"


def base(text: str, target: Path) -> Path:
    """Return the folder that names in the first rule start from, if they are no whole paths.

    Cargo may be told to leave out the beginning of every path (`build.dep-info-basedir`). What it left out of the
    rule's target is known where that is `target`, an absolute path.

    Raises:
        ToolError: it is not.
    """
    name = Path(_ESCAPED.sub(r"\1", text.partition("\n")[0].partition(": ")[0].removesuffix(":")))
    if name.is_absolute() or target.parts[-len(name.parts) :] != name.parts:
        raise ToolError(
            f"cargo's dependency file of `{target.name}` has paths that start nowhere",
            hint="unset `build.dep-info-basedir` in cargo's configuration, or let it hold the target folder too",
        )
    return target.parents[len(name.parts) - 1]


def prerequisites(text: str) -> Iterator[Path]:
    """Yield the prerequisites of the first rule of a dependency file (rustc escapes spaces by a backslash).

    The rule's target may have spaces and colons of its own; it ends at the first unescaped colon before a space.
    """
    rule = text.partition("\n")[0]
    _, _, rest = rule.partition(": ")
    for word in _WORD.findall(rest):
        yield Path(_ESCAPED.sub(r"\1", word))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The crate files that rustc loaded for one binary.

    Attributes:
        units: keys of cargo's units that they belong to.
        standard: names of the standard library's crates among them, sorted.
        shared: those of `units` that were loaded as shared libraries: they are not inside the binary.
    """

    units: frozenset[UnitKey]
    standard: tuple[str, ...]
    shared: frozenset[UnitKey]


def observe(
    toolchain: Toolchain,
    graph: UnitGraph,
    root: int,
    messages: Messages,
    package_environment: Mapping[str, str],
    scratch: Path,
) -> Loaded:
    """Return what rustc loads for the binary at `graph.units[root]`, which `messages` says was just built.

    `scratch` is a folder for this binary alone.

    Raises:
        ToolError: rustc can't resolve the crate that it has just compiled, or loads a file that cargo did not name.
    """
    unit = graph.units[root]
    files = _Files(messages.compiled)
    output = scratch / f"{os.getpid()}.d"
    links = package_environment.get("CARGO_MANIFEST_LINKS", "")
    cfgs, variables = toolchain.script_override(links, unit.platform or toolchain.host)
    argv = _rustc_call(toolchain, graph, unit, files, messages, output)
    argv += [word for cfg in cfgs for word in ("--cfg", cfg)]
    environment = toolchain.environment | toolchain.configured_environment() | dict(package_environment) | variables
    for script in messages.scripts.get(unit.key.package, []):
        environment |= {"OUT_DIR": str(script.out_dir), **script.environment}
    environment |= {"CARGO_BIN_NAME": unit.key.target, "CARGO_CRATE_NAME": _crate_name(unit.key.target)}
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        capture(argv, cwd=toolchain.cwd, env=environment, timeout=_LIMIT)
        text = output.read_text(encoding="utf-8", errors="surrogateescape")
        output.unlink()
    except ToolError as error:
        # The reason goes into the inventory, where this machine's paths, of which the command is full, have no place.
        raise ToolError("asked for the crates that it loads, rustc failed") from error
    except OSError as error:
        raise ToolError(f"rustc left no dependency information: {error.strerror}") from error
    return _loaded(text, toolchain.sysroot, files)


class _Files:
    """Crate files to the units that left them."""

    def __init__(self, compiled: Sequence[Compiled]) -> None:
        self._by_stem: dict[str, UnitKey] = {}
        self._by_key: dict[UnitKey, list[Compiled]] = {}
        self.folders: dict[Path, None] = {}
        for one in compiled:
            self._by_key.setdefault(one.key, []).append(one)
            for file in one.files:
                self._by_stem[_stem(file)] = one.key
                self.folders[file.parent] = None

    def owner(self, path: Path) -> UnitKey | None:
        return self._by_stem.get(_stem(path))

    def linkable(self, unit: Unit) -> Path | None:
        """Return the file that `--extern` names for a unit: its library, else its metadata.

        A crate that is built alike for the host and for a target has one key; cargo keeps what it builds for a target
        in a folder of the target's name.
        """
        every = [f for one in self._by_key.get(unit.key, []) for f in one.files]
        files = [f for f in every if unit.platform in f.parts] or every
        for suffix in (".rlib", ".so", ".dylib", ".dll", ".rmeta"):
            for file in files:
                if file.suffix == suffix:
                    return file
        return None


def _rustc_call(
    toolchain: Toolchain, graph: UnitGraph, unit: Unit, files: _Files, messages: Messages, output: Path
) -> list[str]:
    argv = [
        toolchain.rustc,
        "--crate-name",
        _crate_name(unit.key.target),
        f"--edition={unit.edition}",
        str(unit.source),
    ]
    argv += ["--crate-type", "bin", f"--emit=dep-info={output}", "-Zbinary-dep-depinfo", "--cap-lints", "allow"]
    argv += ["-C", f"panic={unit.panic}", "-C", f"debug-assertions={'on' if unit.debug_assertions else 'off'}"]
    argv += ["-C", f"overflow-checks={'on' if unit.overflow_checks else 'off'}"]
    if unit.platform is not None:
        argv += ["--target", unit.platform]
    for feature in unit.key.features:
        argv += ["--cfg", f'feature="{feature}"']
    scripts: Sequence[ScriptRun] = messages.scripts.get(unit.key.package, [])
    for script in scripts:
        argv += [word for cfg in script.cfgs for word in ("--cfg", cfg)]
    for folder in files.folders:
        argv += ["-L", f"dependency={folder}"]
    for name, index in unit.uses:
        used = graph.units[index]
        if used.mode == "build" and (path := files.linkable(used)) is not None:
            argv += ["--extern", f"{name}={path}"]
    return argv + list(toolchain.rustflags(unit.platform or toolchain.host))


def _loaded(text: str, sysroot: Path, files: _Files) -> Loaded:
    units: set[UnitKey] = set()
    shared: set[UnitKey] = set()
    standard: set[str] = set()
    for path in prerequisites(text):
        match = _CRATE_FILE.match(path.name) or (path.suffix in {".rlib", ".rmeta"})
        owner = files.owner(path)
        if owner is not None:
            units.add(owner)
            if path.suffix not in {".rlib", ".rmeta"}:
                shared.add(owner)
        elif match and path.is_relative_to(sysroot):
            found = _CRATE_FILE.match(path.name)
            standard.add(found["crate"] if found else path.stem)
        elif match:
            raise ToolError(f"rustc loaded `{path.name}`, which cargo did not name")
    return Loaded(units=frozenset(units), standard=tuple(sorted(standard)), shared=frozenset(shared))


def _stem(path: Path) -> str:
    """Return what a crate's `.rlib` and `.rmeta` share."""
    return str(path.parent / path.stem) if "-" not in path.stem else path.stem


def _crate_name(target: str) -> str:
    return target.replace("-", "_")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Node:
    """A package in one role; the same package may be linked and, built for the host, also be a build tool."""

    package: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The packages of one binary.

    Attributes:
        features: each node to the features that it was compiled with.
        edges: each node to those that it uses; the binary itself is the node of role `subject`.
    """

    features: Mapping[Node, tuple[str, ...]]
    edges: Mapping[Node, frozenset[Node]]
    subject: Node


def read_contents(graph: UnitGraph, root: int, loaded: Loaded | None) -> Contents:
    """Walk the graph from the binary at `root`.

    Of the libraries that a unit declares, only those that rustc loaded are followed; `loaded` is `None` where that
    could not be observed, and then all are. Proc-macros, build scripts and what they use become nodes of role `build`.
    """
    walk = _Walk(graph, loaded)
    subject = Node(package=graph.units[root].key.package, role=Role.SUBJECT)
    walk.visit(root, subject)
    return Contents(
        features=walk.features, edges={node: frozenset(used) for node, used in walk.edges.items()}, subject=subject
    )


class _Walk:
    def __init__(self, graph: UnitGraph, loaded: Loaded | None) -> None:
        self.graph = graph
        self.loaded = loaded
        self.features: dict[Node, tuple[str, ...]] = {}
        self.edges: dict[Node, set[Node]] = {}
        self._seen: set[tuple[int, Node]] = set()

    def visit(self, start: int, subject: Node) -> None:
        """Follow every unit once in each role; without recursion, as graphs can be deep."""
        pending = [(start, subject)]
        self.edges[subject] = set()
        while pending:
            index, node = pending.pop()
            if (index, node) in self._seen:
                continue
            self._seen.add((index, node))
            unit = self.graph.units[index]
            for _, used_index in unit.uses:
                used = self.graph.units[used_index]
                target = self._target(unit, node, used)
                if target is None:
                    continue
                if target != node:
                    self.edges[node].add(target)
                    self.edges.setdefault(target, set())
                    self._note_features(target, used)
                pending.append((used_index, target))

    def _target(self, unit: Unit, node: Node, used: Unit) -> Node | None:
        """Return the node that an edge leads to, or `None` for one that does not end in this binary."""
        if used.is_script:
            # Its own build script is a part of the package; another package's has its own edges.
            return node if used.key.package == unit.key.package else None
        if unit.is_script or node.role is Role.BUILD or used.key.kind == _PROC_MACRO:
            return Node(package=used.key.package, role=Role.BUILD)
        if self.loaded is not None and used.key not in self.loaded.units:
            return None
        shared = self.loaded is not None and used.key in self.loaded.shared
        return Node(package=used.key.package, role=Role.DYNAMIC if shared else Role.LINKED)

    def _note_features(self, node: Node, unit: Unit) -> None:
        known = set(self.features.get(node, ()))
        self.features[node] = tuple(sorted(known | set(unit.key.features)))
