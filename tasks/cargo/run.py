"""One call of cargo during which no input changed, and the inputs to record for each binary."""

from __future__ import annotations

import contextlib
from concurrent.futures import wait
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ...provenance.errors import ProvenanceError, ToolError
from ...provenance.sbom.cargo import local_folder, read_lock
from ..freshness.inputs import ABSENT, InputHasher, Kind, key, variable
from .declare import lock_file
from .invoke import Invocation, build, expected_executable
from .manifest_scan import SCRIPT
from .observe import Loaded, observe
from .unit_inputs import (
    CHECKSUMS,
    FileDigests,
    UnitReads,
    contributing_units,
    declares_no_inputs,
    dependency_file,
    files_of,
    filesystem_time,
    further_files,
    input_files,
    named,
    outside_build_dirs,
    package_files,
    refuse_change,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from ...provenance.sbom.cargo import Locked, PackageId
    from ...provenance.sbom.manifest import Manifests
    from ..artifacts import Artifact
    from ..context import Context
    from ..freshness.inputs import Declared
    from .declare import Basis, Declarations
    from .discover import Binary, Group
    from .invoke import Messages
    from .units import UnitGraph


_ATTEMPTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefetched:
    """What is read while cargo builds; the comparison of inputs notices a change of the lock file meanwhile."""

    lock: Mapping[PackageId, Locked]
    programs: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class CargoBuild:
    """One finished call.

    Attributes:
        inputs: the files that provenance lists, by artifact id.
        declared: what was known of each binary's inputs without the call, by artifact id.
        ahead: what was read meanwhile.
        observed: the crates that rustc loads for each binary, by artifact id, once it has told.
    """

    group: Group
    call: Invocation
    inputs: Mapping[str, FileDigests]
    declared: Mapping[str, Declared]
    prefetched: Future[Prefetched]
    observed: Mapping[str, Future[Loaded]]

    @property
    def messages(self) -> Messages:
        """Cargo's messages."""
        return self.call.messages

    @property
    def graph(self) -> UnitGraph:
        """The unit graph of the whole group."""
        return self.call.graph

    @property
    def lock(self) -> Mapping[PackageId, Locked]:
        """The packages of the lock file."""
        return self.prefetched.result().lock

    @property
    def manifests(self) -> Mapping[str, Path]:
        """The manifest of each package."""
        return self.call.manifests

    @cached_property
    def archives(self) -> Mapping[str, tuple[str, ...]]:
        """The static libraries of the machine that each package's build scripts found."""
        scripts = self.messages.scripts.items()
        return {package: tuple(a for run in runs for a in run.found_archives()) for package, runs in scripts}

    @property
    def programs(self) -> Mapping[str, tuple[str, str]]:
        """The compiler and cargo, with version and digest."""
        return self.prefetched.result().programs

    @cached_property
    def reads(self) -> UnitReads:
        """What its units read."""
        return UnitReads(group=self.group, messages=self.messages)

    def root(self, binary: Binary) -> int:
        """Return a binary's index in the graph."""
        return self.graph.binary(binary.package.id, binary.target)


class BuildRunner:
    """Calls cargo for one workspace.

    Args:
        context: the run.
        declarations: the inputs that are known without a call.
        pool: runs what can be done while cargo builds.
        tables: the manifests that will be described.
    """

    def __init__(self, context: Context, declarations: Declarations, pool: Executor, tables: Manifests) -> None:
        self._context = context
        self._workspace = context.workspace
        self._declarations = declarations
        self._pool = pool
        self._tables = tables

    def run(self, group: Group, binaries: Sequence[Binary]) -> CargoBuild:
        """Build until no input changed meanwhile; a file first met in this build may take one call more.

        Raises:
            BuildError: cargo failed.
            InputChangedError: an input changed.
            ToolError: an input can't be read, or is not known.
        """
        unsettled: tuple[Path, ...] = ()
        for _ in range(_ATTEMPTS):
            basis = self._declarations.basis(group)
            refuse_change(basis.fingerprint.changed_since(group.info.fingerprint))
            known = self._inputs(group, {b.artifact: expected_executable(group, b) for b in binaries}, {})
            prefetched = self._pool.submit(self._prefetch, group)  # only now, so that a change of the lock file is seen
            since = filesystem_time(self._workspace.state / "cargo")
            declared: dict[str, Declared] = {}
            call = self._call(group, binaries, basis, prefetched, declared)
            observed = {b.artifact.id: self._pool.submit(self._observe, group, call, b) for b in binaries}
            after = self._inputs(
                group,
                {b.artifact: call.executable(b) for b in binaries},
                {b.artifact: self._further(group, call, b) for b in binaries},
            )
            for name, inputs in after.items():
                inputs.refuse_changes_since(known[name])
            refuse_change(self._declarations.basis(group).changed_since(basis, lock_file(group)))
            unsettled = tuple(p for name, inputs in after.items() for p in inputs.unsettled(known[name], since))
            if not unsettled:
                return CargoBuild(
                    group=group, call=call, inputs=after, declared=declared, prefetched=prefetched, observed=observed
                )
            wait(observed.values())
        refuse_change(unsettled[0])
        raise AssertionError("unreachable: what is unsettled is refused")

    def _call(
        self,
        group: Group,
        binaries: Sequence[Binary],
        basis: Basis,
        prefetched: Future[Prefetched],
        declared: dict[str, Declared],
    ) -> Invocation:
        def graph() -> UnitGraph:
            found = self._declarations.graph(group, basis, self._workspace.state / "cargo" / "units")
            lock = prefetched.result().lock
            declared.update({b.artifact.id: self._declarations.declare(group, b, basis, lock) for b in binaries})
            return found

        tool = self._workspace.config.cargo.tool
        return build(group, binaries, tool, progress=self._context.progress, pool=self._pool, graph=graph)

    def _observe(self, group: Group, call: Invocation, binary: Binary) -> Loaded:
        scratch = self._workspace.state / "cargo" / "observed" / binary.artifact.folder
        root = call.graph.binary(binary.package.id, binary.target)
        loaded = observe(group.toolchain, call.graph, root, call.messages, binary.package.environment, scratch)
        with contextlib.suppress(ProvenanceError):  # whoever describes meets it again
            for key in loaded.units:
                self._tables.package(call.manifests[key.package])
        return loaded

    def _prefetch(self, group: Group) -> Prefetched:
        return Prefetched(
            lock=read_lock(lock_file(group)), programs=group.toolchain.programs(self._declarations.programs)
        )

    def _inputs(
        self, group: Group, executables: Mapping[Artifact, Path], further: Mapping[Artifact, Iterable[Path]]
    ) -> dict[str, FileDigests]:
        """Return the inputs of each binary as they are now, by its artifact's id; each file is digested once."""
        digests: dict[Path, str] = {}
        manifests = {b.artifact: b.package.manifest for b in group.binaries}
        found = {}
        for artifact, executable in executables.items():
            files = input_files(
                executable,
                (manifests[artifact], *further.get(artifact, ())),
                workspace=group.root,
                build_dirs=self._context.build_dirs,
                repository=self._workspace.source.root,
            )
            found[artifact.id] = FileDigests.read((p for p in files if p.is_file()), digests)
        return found

    def _further(self, group: Group, call: Invocation, binary: Binary) -> Iterator[Path]:
        if not dependency_file(call.executable(binary)).is_file():
            raise ToolError(
                f"cargo left no dependency file beside `{binary.target}`, so its sources are not known",
                hint="if a wrapper of rustc's drops them (`--emit=dep-info`), build without it",
            )
        root = call.graph.binary(binary.package.id, binary.target)
        return further_files(call.graph, root, call.messages, workspace=group.root, build_dirs=self._context.build_dirs)


def recorded(
    run: CargoBuild, binary: Binary, loaded: Callable[[], Loaded | None], meter: InputHasher
) -> dict[str, str]:
    """Return a binary's inputs: declared ones and those that the build told of.

    Files have the digests that they had before and after cargo ran. The lock file and manifests are not among them
    unless something reads them: what they come to for this binary is declared.

    Args:
        run: what built it.
        binary: whose inputs.
        loaded: waits for the crates that rustc loaded; `None`: unknown, so that every declared one counts.
        meter: measures what cargo looks at besides; it must not remember the time before the build.

    Raises:
        ToolError: an input can't be read.
        InputChangedError: the binary's own source changed before rustc had told what it loads for it.
    """
    parts = _Parts(run, binary, loaded, meter)
    digests = run.inputs[binary.artifact.id].digests
    declared = run.declared[binary.artifact.id]
    found = dict(declared.values)
    found |= {name: meter.measure(name) for name in declared.measured}
    found |= {key(Kind.VARIABLE, name): variable(name) for name in parts.own.variables}
    found |= {(name := key(Kind.FOLDER, meter.name(path))): meter.measure(name) for path in parts.folders()}
    for path in parts.files():
        found[key(Kind.FILE, meter.name(path))] = digests.get(path) or meter.measure(key(Kind.FILE, meter.name(path)))
    found |= {key(Kind.FILE, meter.name(path)): ABSENT for path in parts.scripts_that_could_be()}
    return dict(sorted(found.items()))


def _refuse_changes(run: CargoBuild, binary: Binary, sources: Iterable[Path]) -> None:
    """Hold that what rustc looked at after the build is what was built."""
    built = run.inputs[binary.artifact.id]
    FileDigests.read(path for path in sources if path in built.digests).refuse_changes_since(built)


class _Parts:
    """The files and folders of one binary."""

    def __init__(
        self, run: CargoBuild, binary: Binary, loaded: Callable[[], Loaded | None], meter: InputHasher
    ) -> None:
        graph = run.graph
        root = run.root(binary)
        reached = graph.reached(root)
        run.reads.of(frozenset(graph.units[i].key for i in reached))  # while rustc is still busy
        counted = contributing_units(graph, root, loaded())
        _refuse_changes(run, binary, run.reads.of(frozenset({graph.units[root].key})).sources)
        self._run = run
        self._build_dirs = meter.made
        self._named = named(run.call.executable(binary))
        self._counted = graph.packages(counted)
        self._scripts = {graph.units[i].key.package for i in reached if graph.units[i].is_script}
        self._reached = graph.packages(reached)
        self.own = run.reads.of(frozenset(graph.units[i].key for i in counted))
        others = frozenset(graph.units[i].key for i in reached) - {graph.units[i].key for i in counted}
        self._foreign = run.reads.of(others).sources - self.own.sources

    def files(self) -> Iterator[Path]:
        """Yield the files that count, whether they are there or not."""
        yield from self._kept(self.own.sources)
        for path in self._kept((*self._named, *self.own.watched)):
            if path not in self._foreign or path in self.own.watched:
                yield from self._kept(files_of(path, self._build_dirs))
        for folder in self._silent():
            yield from self._kept(package_files(folder, self._build_dirs))
        for one in self._run.messages.compiled:
            if one.key.package in self._counted and (digests := one.manifest.with_name(CHECKSUMS)).is_file():
                yield digests

    def folders(self) -> Iterator[Path]:
        """Yield the folders of which each new file counts: those that build scripts watch."""
        yield from (path for path in self._kept({*self._named, *self.own.watched}) if path.is_dir())
        yield from self._silent()

    def scripts_that_could_be(self) -> Iterator[Path]:
        """Yield the paths at which a file would be the build script of a package that has none."""
        for package in self._reached - self._scripts:
            folder = local_folder(package)
            if folder is not None and not (script := folder / SCRIPT).exists():
                yield script

    def _silent(self) -> Iterator[Path]:
        for package in self._scripts:
            folder = local_folder(package)
            if folder is not None and declares_no_inputs(self._run.messages, package):
                yield folder

    def _kept(self, paths: Iterable[Path]) -> Iterator[Path]:
        return outside_build_dirs(paths, self._build_dirs)
