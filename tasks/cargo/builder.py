"""The cargo builder: one cargo call for a group, then what each binary is made of."""

from __future__ import annotations

import contextlib
import os
import threading
from functools import cached_property
from typing import TYPE_CHECKING

from ...provenance.errors import ToolError
from ...provenance.fs import copies
from ..builder import Built
from ..freshness.inputs import Declared, InputHasher, LazyInputs
from .discover import Binary, Group, discover
from .workspaces import find_manifests

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from ...provenance.attest.resource import ResourceDescriptor
    from ...provenance.digest import Digest
    from ...provenance.sbom.inventory import Inventory
    from ...provenance.sbom.manifest import Manifests
    from ..artifacts import Artifact
    from ..context import Context
    from ..freshness.snapshot import Snapshot
    from .declare import Declarations
    from .observe import Loaded
    from .run import BuildRunner, CargoBuild


class CargoBuilder:
    """Builds the binaries of every cargo workspace of one repository.

    What only a build needs is imported by a build: listing what there is, and finding it fresh, must be quick.
    """

    name = "cargo"

    def __init__(self, context: Context) -> None:
        self.context = context
        self.workspace = context.workspace
        self._groups: dict[str, Group] = {}
        self._binaries: dict[Artifact, Binary] = {}
        self._runs: dict[Artifact, CargoBuild] = {}
        self._building: dict[Path, threading.Lock] = {}
        self._describing = threading.Lock()

    def discover(self) -> Sequence[Artifact]:
        """Return every binary target of the repository's cargo workspaces."""
        for group in discover(self.context):
            self._groups[group.id] = group
            self._building.setdefault(group.target_directory, threading.Lock())
            self._binaries.update({b.artifact: b for b in group.binaries})
            self.context.build_dirs.update((group.target_directory, group.build_directory))
        return tuple(self._binaries)

    def declare(self, artifact: Artifact) -> Declared:
        """Return what is known of a binary without cargo's build."""
        return self._declarations.of(self._groups[artifact.group], self._binaries[artifact])

    def propose(self) -> Mapping[str, tuple[str, ...]]:
        """Name the manifests of the repository's workspaces, where they are not just the one at its root."""
        found = find_manifests(self.workspace.root)
        return {"cargo.manifests": found} if found not in ((), ("Cargo.toml",)) else {}

    def build(self, group: str, snapshots: Mapping[Artifact, Snapshot]) -> Mapping[Artifact, Built]:
        """Build artifacts of one group in one cargo call."""
        found = self._groups[group]
        binaries = [self._binaries[artifact] for artifact in snapshots]
        # Groups may leave binaries under one name: what another call of cargo replaces is held under a name of ours.
        with self._building[found.target_directory]:
            run = self._runner.run(found, binaries)
            held = {b.artifact: self._hold(run, b) for b in binaries}
        for binary in binaries:
            self._runs[binary.artifact] = run
        return {binary.artifact: self._built(run, binary, held[binary.artifact]) for binary in binaries}

    def release(self, artifact: Artifact) -> None:
        """Remove the second name of a binary: the file then goes when cargo's own does, and at cargo's expense."""
        with contextlib.suppress(OSError):  # the next build takes its place
            self._held(artifact).unlink(missing_ok=True)

    def describe(
        self, artifact: Artifact, path: Path, digest: Digest
    ) -> tuple[Inventory, Sequence[ResourceDescriptor]]:
        """Return the inventory of a binary that `build` made, and its packages and tools as SLSA materials."""
        from ...provenance.source import time_of
        from .describe import Facts, describe, materials
        from .observe import read_contents

        binary = self._binaries[artifact]
        run = self._runs[artifact]
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
                contents=read_contents(run.graph, run.root(binary), loaded),
                standard=loaded.standard if loaded else (),
                unobserved=unobserved,
                facts=facts,
                created=time_of(source, files),
            )
        return inventory, materials(inventory)

    @cached_property
    def _declarations(self) -> Declarations:
        from .declare import Declarations

        return Declarations(self.context)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="cargo")

    @cached_property
    def _runner(self) -> BuildRunner:
        from .run import BuildRunner

        return BuildRunner(self.context, self._declarations, self._pool, self._tables)

    @cached_property
    def _tables(self) -> Manifests:
        from ...provenance.sbom.manifest import Manifests

        return Manifests()

    @property
    def _scratch(self) -> Path:
        return self.workspace.state / "cargo"

    def _await(self, artifact: Artifact) -> tuple[Loaded | None, str | None]:
        try:
            return self._runs[artifact].observed[artifact.id].result(), None
        except ToolError as error:
            return None, error.message.partition("\n")[0]

    def _held(self, artifact: Artifact) -> Path:
        return self._scratch / "built" / artifact.folder / artifact.file

    def _hold(self, run: CargoBuild, binary: Binary) -> Path:
        executable = run.call.executable(binary)
        held = self._held(binary.artifact)
        copies.hold(executable, held)
        return held

    def _built(self, run: CargoBuild, binary: Binary, path: Path) -> Built:
        from .describe import BUILD_TYPE, external, internal
        from .run import recorded

        root = self.workspace.source.root
        meter = InputHasher(self.workspace.root, self.context.build_dirs)
        return Built(
            path=path,
            build_type=BUILD_TYPE,
            external=external(binary, run.group, tool=self.workspace.config.cargo.tool, repository=root),
            internal=internal(run.group, run.messages),
            files=run.inputs[binary.artifact.id].relative_to(root),
            resolved=run.declared[binary.artifact.id].values,
            inputs=LazyInputs(lambda: recorded(run, binary, lambda: self._await(binary.artifact)[0], meter)),
            started=run.call.started,
            finished=run.call.finished,
        )
