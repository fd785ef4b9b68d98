"""One call of cargo during which no input changed, and what else is known of it."""

from __future__ import annotations

import contextlib
from concurrent.futures import wait
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ...provenance.errors import InputChangedError, ProvenanceError, ToolError
from ...provenance.sbom.cargo import read_lock
from .call import Call, build, likely_executable
from .inputs import Inputs, dependency_file, further_files, input_files, moment
from .observe import Loaded, observe
from .reads import Reads
from .resolve import lock_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from ...provenance.sbom.cargo import Locked, PackageId
    from ...provenance.sbom.manifest import Manifests
    from ..builder import Artifact, Declared
    from ..context import Context
    from .declare import Declarations
    from .discover import Binary, Group
    from .messages import Messages
    from .resolve import Basis
    from .units import UnitGraph

_ATTEMPTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What can be read while cargo builds. Should the lock file change meanwhile, the inputs say so."""

    lock: Mapping[PackageId, Locked]
    programs: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One finished call.

    Attributes:
        inputs: the files that provenance lists, by artifact id.
        declared: what was known of each binary's inputs without the call, by artifact id.
        ahead: what was read meanwhile.
        observed: the crates that rustc loads for each binary, by artifact id, once it has told.
    """

    group: Group
    call: Call
    inputs: Mapping[str, Inputs]
    declared: Mapping[str, Declared]
    ahead: Future[Ahead]
    observed: Mapping[str, Future[Loaded]]

    @property
    def messages(self) -> Messages:
        """What cargo said."""
        return self.call.messages

    @property
    def graph(self) -> UnitGraph:
        """The unit graph of the whole group."""
        return self.call.graph

    @property
    def lock(self) -> Mapping[PackageId, Locked]:
        """The packages of the lock file."""
        return self.ahead.result().lock

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
        return self.ahead.result().programs

    @cached_property
    def reads(self) -> Reads:
        """What its units read."""
        return Reads(group=self.group, messages=self.messages)

    def root(self, binary: Binary) -> int:
        """Return a binary's index in the graph."""
        return self.graph.binary(binary.package.id, binary.target)


class Runner:
    """Calls cargo for one workspace.

    Args:
        context: the run.
        declarations: tell what is known without a call.
        pool: does meanwhile what can be done meanwhile.
        tables: of manifests that will be described.
    """

    def __init__(self, context: Context, declarations: Declarations, pool: Executor, tables: Manifests) -> None:
        self._context = context
        self._workspace = context.workspace
        self._declarations = declarations
        self._pool = pool
        self._tables = tables

    def run(self, group: Group, binaries: Sequence[Binary]) -> Run:
        """Build until no input changed meanwhile; a file first met in this build may take one call more.

        Raises:
            BuildError: cargo failed.
            InputChangedError: an input changed.
            ToolError: an input can't be read, or is not known.
        """
        unsettled: tuple[Path, ...] = ()
        for _ in range(_ATTEMPTS):
            basis = self._declarations.basis(group)
            self._refuse(basis.ground.moved(group.asked.ground))
            known = self._inputs(group, {b.artifact: likely_executable(group, b) for b in binaries}, {})
            ahead = self._pool.submit(self._ahead, group)  # only now, so that a change of the lock file is seen
            since = moment(self._workspace.state / "cargo")
            declared: dict[str, Declared] = {}
            call = self._call(group, binaries, basis, ahead, declared)
            observed = {b.artifact.id: self._pool.submit(self._observe, group, call, b) for b in binaries}
            after = self._inputs(
                group,
                {b.artifact: call.executable(b) for b in binaries},
                {b.artifact: self._further(group, call, b) for b in binaries},
            )
            for name, inputs in after.items():
                inputs.refuse_changes_since(known[name])
            self._refuse(self._declarations.basis(group).moved(basis, lock_file(group)))
            unsettled = tuple(p for name, inputs in after.items() for p in inputs.unsettled(known[name], since))
            if not unsettled:
                return Run(group=group, call=call, inputs=after, declared=declared, ahead=ahead, observed=observed)
            wait(observed.values())
        self._refuse(str(unsettled[0]))
        raise AssertionError("unreachable: what is unsettled is refused")

    def _call(
        self,
        group: Group,
        binaries: Sequence[Binary],
        basis: Basis,
        ahead: Future[Ahead],
        declared: dict[str, Declared],
    ) -> Call:
        def graph() -> UnitGraph:
            found = self._declarations.graph(group, basis, self._workspace.state / "cargo" / "units")
            lock = ahead.result().lock
            declared.update({b.artifact.id: self._declarations.declare(group, b, basis, lock) for b in binaries})
            return found

        tool = self._workspace.config.cargo.tool
        return build(group, binaries, tool, progress=self._context.progress, pool=self._pool, graph=graph)

    def _observe(self, group: Group, call: Call, binary: Binary) -> Loaded:
        scratch = self._workspace.state / "cargo" / "observed" / binary.artifact.folder
        root = call.graph.binary(binary.package.id, binary.target)
        loaded = observe(group.toolchain, call.graph, root, call.messages, binary.package.environment, scratch)
        with contextlib.suppress(ProvenanceError):  # whoever describes meets it again
            for key in loaded.units:
                self._tables.package(call.manifests[key.package])
        return loaded

    def _ahead(self, group: Group) -> Ahead:
        return Ahead(lock=read_lock(lock_file(group)), programs=group.toolchain.programs(self._declarations.programs))

    def _inputs(
        self, group: Group, executables: Mapping[Artifact, Path], further: Mapping[Artifact, Iterable[Path]]
    ) -> dict[str, Inputs]:
        """Return the inputs of each binary as they are now, by its artifact's id; each file is digested once."""
        digests: dict[Path, str] = {}
        manifests = {b.artifact: b.package.manifest for b in group.binaries}
        found = {}
        for artifact, executable in executables.items():
            files = input_files(
                executable,
                (manifests[artifact], *further.get(artifact, ())),
                workspace=group.root,
                made=self._context.build_dirs,
                repository=self._workspace.source.root,
            )
            found[artifact.id] = Inputs.read((p for p in files if p.is_file()), digests)
        return found

    def _further(self, group: Group, call: Call, binary: Binary) -> Iterator[Path]:
        if not dependency_file(call.executable(binary)).is_file():
            raise ToolError(
                f"cargo left no dependency file beside `{binary.target}`, so its sources are not known",
                hint="if a wrapper of rustc's drops them (`--emit=dep-info`), build without it",
            )
        root = call.graph.binary(binary.package.id, binary.target)
        return further_files(call.graph, root, call.messages, workspace=group.root, made=self._context.build_dirs)

    @staticmethod
    def _refuse(path: str | None) -> None:
        if path is not None:
            raise InputChangedError(
                f"an input changed while it was being built: `{path}`", hint="run again when it holds still"
            )
