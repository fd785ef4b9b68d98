"""All that can change the bytes of one binary, as it was when it was built (`tasks/freshness/inputs.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...provenance.sbom.cargo import local_folder
from ..freshness.inputs import ABSENT, Kind, Meter, key, variable
from .inputs import CHECKSUMS, Inputs, files_of, is_silent, named, package_files, without_made
from .reads import counting
from .survey import SCRIPT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from .discover import Binary
    from .observe import Loaded
    from .run import Run


def recorded(run: Run, binary: Binary, loaded: Callable[[], Loaded | None], meter: Meter) -> dict[str, str]:
    """Return a binary's inputs: declared ones and those that the build told of.

    Files have the digests that they had before and after cargo ran. The lock file and manifests are not among them
    unless something reads them: what they come to for this binary is declared.

    Args:
        run: what built it.
        binary: the one.
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
    found |= {of: meter.measure(of) for of in declared.measured}
    found |= {key(Kind.VARIABLE, name): variable(name) for name in parts.own.variables}
    found |= {(of := key(Kind.FOLDER, meter.name(path))): meter.measure(of) for path in parts.folders()}
    for path in parts.files():
        found[key(Kind.FILE, meter.name(path))] = digests.get(path) or meter.measure(key(Kind.FILE, meter.name(path)))
    found |= {key(Kind.FILE, meter.name(path)): ABSENT for path in parts.scripts_that_could_be()}
    return dict(sorted(found.items()))


def _refuse_changes(run: Run, binary: Binary, sources: Iterable[Path]) -> None:
    """Hold that what rustc looked at after the build is what was built."""
    built = run.inputs[binary.artifact.id]
    Inputs.read(path for path in sources if path in built.digests).refuse_changes_since(built)


class _Parts:
    """The files and folders of one binary."""

    def __init__(self, run: Run, binary: Binary, loaded: Callable[[], Loaded | None], meter: Meter) -> None:
        graph = run.graph
        root = run.root(binary)
        reached = graph.reached(root)
        run.reads.of(frozenset(graph.units[i].key for i in reached))  # while rustc is still busy
        counted = counting(graph, root, loaded())
        _refuse_changes(run, binary, run.reads.of(frozenset({graph.units[root].key})).sources)
        self._run = run
        self._made = meter.made
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
                yield from self._kept(files_of(path, self._made))
        for folder in self._silent():
            yield from self._kept(package_files(folder, self._made))
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
            if folder is not None and is_silent(self._run.messages, package):
                yield folder

    def _kept(self, paths: Iterable[Path]) -> Iterator[Path]:
        return without_made(paths, self._made)
