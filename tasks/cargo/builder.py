"""The cargo builder: one cargo call for a group, then what each binary is made of."""

from __future__ import annotations

import contextlib
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ...provenance import store
from ...provenance.errors import InputChangedError, ProvenanceError, ToolError
from ...provenance.sbom.cargo import Locked, PackageId, read_lock
from ...provenance.sbom.manifest import Manifests
from ...provenance.source import time_of
from ..builder import Artifact, Built, Declared, Workspace
from .call import Call, build, likely_executable
from .contents import read_contents
from .describe import Facts, describe
from .discover import Binary, Group, discover
from .inputs import Inputs, dependency_file, further_files, input_files, moment
from .metadata import find_manifests
from .observe import Loaded, observe
from .parameters import BUILD_TYPE, external, internal, materials

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ...provenance.attest.resource import ResourceDescriptor
    from ...provenance.digest import Digest
    from ...provenance.sbom.inventory import Inventory
    from .messages import Messages
    from .units import UnitGraph

_ATTEMPTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ahead:
    """What can be read while cargo builds. Should the lock file change meanwhile, the inputs say so."""

    lock: Mapping[PackageId, Locked]
    programs: Mapping[str, tuple[str, str]]

    @classmethod
    def read(cls, group: Group) -> _Ahead:
        return cls(lock=read_lock(group.root / "Cargo.lock"), programs=group.toolchain.programs())


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One finished cargo call."""

    group: Group
    call: Call
    inputs: Mapping[str, Inputs]
    ahead: Future[_Ahead]

    @property
    def messages(self) -> Messages:
        return self.call.messages

    @property
    def graph(self) -> UnitGraph:
        return self.call.graph

    @property
    def lock(self) -> Mapping[PackageId, Locked]:
        return self.ahead.result().lock

    @cached_property
    def manifests(self) -> Mapping[str, Path]:
        return {one.key.package: one.manifest for one in self.messages.compiled}

    @cached_property
    def archives(self) -> Mapping[str, tuple[str, ...]]:
        scripts = self.messages.scripts.items()
        return {package: tuple(a for run in runs for a in run.found_archives()) for package, runs in scripts}

    @property
    def programs(self) -> Mapping[str, tuple[str, str]]:
        return self.ahead.result().programs


class CargoBuilder:
    """Builds the binaries of every cargo workspace of one repository."""

    name = "cargo"

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._groups: dict[str, Group] = {}
        self._binaries: dict[Artifact, Binary] = {}
        self._runs: dict[Artifact, _Run] = {}
        self._observed: dict[Artifact, Future[Loaded]] = {}
        self._tables = Manifests()
        self._pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="cargo")
        self._building: dict[Path, threading.Lock] = {}
        self._describing = threading.Lock()

    def discover(self) -> Sequence[Artifact]:
        """Return every binary target of the repository's cargo workspaces."""
        for group in discover(self.workspace):
            self._groups[group.id] = group
            self._building.setdefault(group.target_directory, threading.Lock())
            self._binaries.update({b.artifact: b for b in group.binaries})
        return tuple(self._binaries)

    def declare(self, artifact: Artifact) -> Declared:
        """Return what can be told without cargo's build."""
        return Declared(values={"setting:cargo": artifact.group})

    def propose(self) -> Mapping[str, tuple[str, ...]]:
        """Name the manifests of the repository's workspaces, where they are not just the one at its root."""
        found = find_manifests(self.workspace.root)
        return {"cargo.manifests": found} if found not in ((), ("Cargo.toml",)) else {}

    def build(self, group: str, artifacts: Sequence[Artifact]) -> Mapping[Artifact, Built]:
        """Build `artifacts`, all of `group`, in one cargo call, and begin to observe what is in them."""
        found = self._groups[group]
        binaries = [self._binaries[a] for a in artifacts]
        # Groups may leave binaries under one name: what another call of cargo replaces is held under a name of ours.
        with self._building[found.target_directory]:
            run = self._settled_run(found, binaries)
            held = {b.artifact: self._hold(run, b) for b in binaries}
        for binary in binaries:
            self._runs[binary.artifact] = run
            self._observed[binary.artifact] = self._pool.submit(self._observe, run, binary)
        return {binary.artifact: self._built(run, binary, held[binary.artifact]) for binary in binaries}

    def release(self, artifact: Artifact) -> None:
        """Remove the second name of a binary: the file then goes when cargo's own does, and at cargo's expense."""
        with contextlib.suppress(OSError):  # the next build takes its place
            self._held(artifact).unlink(missing_ok=True)

    def describe(
        self, artifact: Artifact, path: Path, digest: Digest
    ) -> tuple[Inventory, Sequence[ResourceDescriptor]]:
        """Return the inventory of a binary that `build` made, and its packages and tools as SLSA materials."""
        binary = self._binaries[artifact]
        run = self._runs[artifact]
        root = run.graph.binary(binary.package.id, binary.target)
        loaded, unobserved = self._await(artifact)
        source = self.workspace.source
        files = list(run.inputs[artifact.id].relative_to(source.root))
        with self._describing:  # manifests are read once for all binaries
            facts = Facts(
                manifests=run.manifests,
                archives=run.archives,
                lock=run.lock,
                tables=self._tables,
                programs=run.programs,
                project=self.workspace.project,
                project_source=self.workspace.source_url,
            )
            inventory = describe(
                binary,
                run.group,
                path=path,
                digest=digest,
                contents=read_contents(run.graph, root, loaded),
                standard=loaded.standard if loaded else (),
                unobserved=unobserved,
                facts=facts,
                created=time_of(source, files),
            )
        return inventory, materials(inventory)

    def _settled_run(self, group: Group, binaries: Sequence[Binary]) -> _Run:
        """Build until no input changed meanwhile; a file first met in this build may take one call more."""
        unsettled: tuple[Path, ...] = ()
        for _ in range(_ATTEMPTS):
            known = self._inputs(group, {b.artifact: likely_executable(group, b) for b in binaries}, {})
            ahead = self._pool.submit(_Ahead.read, group)  # only now, so that a change of the lock file is seen
            since = moment(self._scratch)
            call = build(
                group,
                binaries,
                self.workspace.config.cargo.tool,
                progress=self.workspace.progress,
                pool=self._pool,
                scratch=self._scratch / "units",
            )
            after = self._inputs(
                group,
                {b.artifact: call.executable(b) for b in binaries},
                {b.artifact: self._further(group, call, b) for b in binaries},
            )
            for name, inputs in after.items():
                inputs.refuse_changes_since(known[name])
            unsettled = tuple(p for name, inputs in after.items() for p in inputs.unsettled(known[name], since))
            if not unsettled:
                return _Run(group=group, call=call, inputs=after, ahead=ahead)
        raise InputChangedError(
            f"an input changed while it was being built: `{unsettled[0]}`", hint="run again when it holds still"
        )

    def _inputs(
        self, group: Group, executables: Mapping[Artifact, Path], further: Mapping[Artifact, Iterable[Path]]
    ) -> dict[str, Inputs]:
        """Return the inputs of each binary as they are now, by its artifact's id; each file is digested once."""
        digests: dict[Path, str] = {}
        found = {}
        for artifact, executable in executables.items():
            files = input_files(
                executable,
                (self._binaries[artifact].package.manifest, *further.get(artifact, ())),
                workspace=group.root,
                made=self._made(group),
                repository=self.workspace.source.root,
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
        return further_files(call.graph, root, call.messages, workspace=group.root, made=self._made(group))

    def _made(self, group: Group) -> tuple[Path, ...]:
        return (group.target_directory, group.build_directory, self.workspace.output, self.workspace.state)

    @property
    def _scratch(self) -> Path:
        return self.workspace.state / "cargo"

    def _observe(self, run: _Run, binary: Binary) -> Loaded:
        root = run.graph.binary(binary.package.id, binary.target)
        scratch = self._scratch / "observed" / binary.artifact.folder
        loaded = observe(run.group.toolchain, run.graph, root, run.messages, binary.package.environment, scratch)
        with contextlib.suppress(ProvenanceError):  # whoever describes meets it again
            for key in loaded.units:
                self._tables.package(run.manifests[key.package])
        return loaded

    def _await(self, artifact: Artifact) -> tuple[Loaded | None, str | None]:
        try:
            return self._observed[artifact].result(), None
        except ToolError as error:
            return None, error.message.partition("\n")[0]

    def _held(self, artifact: Artifact) -> Path:
        return self._scratch / "built" / artifact.folder / artifact.file

    def _hold(self, run: _Run, binary: Binary) -> Path:
        executable = run.call.executable(binary)
        held = self._held(binary.artifact)
        store.hold(executable, held)
        return held

    def _built(self, run: _Run, binary: Binary, path: Path) -> Built:
        root = self.workspace.source.root
        return Built(
            path=path,
            build_type=BUILD_TYPE,
            external=external(binary, run.group, tool=self.workspace.config.cargo.tool, repository=root),
            internal=internal(run.group, run.messages),
            files=run.inputs[binary.artifact.id].relative_to(root),
            inputs={},
            started=run.call.started,
            finished=run.call.finished,
        )
