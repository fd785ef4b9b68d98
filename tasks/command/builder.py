"""The command builder: `[command.NAME]` to artifacts, from declared inputs and outputs."""

from __future__ import annotations

import os
import re
import shutil
import threading
from json.encoder import encode_basestring
from typing import TYPE_CHECKING

from ...provenance.attest.resource import ResourceDescriptor
from ...provenance.errors import BuildError, quoted
from ...provenance.sbom.inventory import Completeness, Component, Inventory, Role
from ...provenance.sbom.inventory import Kind as ComponentKind
from ..artifacts import Ids, refuse
from ..freshness import patterns
from ..freshness.inputs import ABSENT, Declared, Kind, key, parts
from .artifacts import BUILDER, PLACEHOLDER, ids_of, mistakes, unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ...provenance.config import Command
    from ...provenance.digest import Digest
    from ...provenance.sbom.party import Party
    from ..artifacts import Artifact
    from ..builder import Built
    from ..context import Context
    from ..freshness.snapshot import Snapshot, Upstream
    from ..programs import Programs
    from .artifacts import Output, Unit

_NOTE = "What it holds is not known. Listed is what it was made from: the program that ran, and upstream artifacts."


class CommandBuilder:
    """Makes the artifacts of `[command.NAME]`."""

    name = BUILDER

    def __init__(self, context: Context) -> None:
        self.context = context
        self.workspace = context.workspace
        self._units: dict[str, Unit] = {}
        self._outputs: dict[str, Output] = {}
        self._snapshots: dict[str, Snapshot] = {}
        self._claims: dict[Path, str] = {}
        self._claiming = threading.Lock()

    def discover(self) -> Sequence[Artifact]:
        """Return the artifacts of every configured command; what goes into them must have been discovered before.

        Raises:
            ConfigError: names clash, or an artifact that goes into another is not there or goes into itself; the
                message has a line for each mistake.
        """
        commands = self.workspace.config.commands
        if not commands:
            return ()
        ids = Ids([*self.context.artifacts, *(id_ for command in commands for id_ in ids_of(command))])
        refuse(mistakes(commands, ids, self.context.failed_builders))
        units = [unit(command, ids) for command in commands]
        self._units = {unit.outputs[0].artifact.group: unit for unit in units}
        outputs = [output for unit in units for output in unit.outputs]
        self._outputs = {output.artifact.id: output for output in outputs}
        return [output.artifact for output in outputs]

    def declare(self, artifact: Artifact) -> Declared:
        """Return the settings and the program of a command, and which patterns and variables are its inputs."""
        return _declare(self._units[artifact.group].command, self.workspace.root, self.context.programs)

    def propose(self) -> Mapping[str, tuple[str, ...]]:
        """Propose nothing: which commands make what ships, nobody can see."""
        return {}

    def build(self, group: str, snapshots: Mapping[Artifact, Snapshot]) -> Mapping[Artifact, Built]:
        """Run a command, and take the files of the artifacts from what it left."""
        from .build import Outputs, built, run_command

        self._snapshots |= {artifact.id: snapshot for artifact, snapshot in snapshots.items()}
        for snapshot in snapshots.values():
            _refuse_missing(snapshot)
        outputs = Outputs.before(self.workspace, (self._outputs[artifact.id].pattern for artifact in snapshots))
        run = run_command(self.context, self._units[group], snapshots)
        found = {}
        for artifact in snapshots:
            output = self._outputs[artifact.id]
            path = self._claim(outputs.after(output.pattern), group)
            found[artifact] = built(self.workspace, run, output, path, self.context.scratch_dir(artifact))
        return found

    def release(self, artifact: Artifact) -> None:
        """Remove the copy of an artifact."""
        shutil.rmtree(self.context.scratch_dir(artifact), ignore_errors=True)

    def describe(
        self, artifact: Artifact, path: Path, digest: Digest
    ) -> tuple[Inventory, Sequence[ResourceDescriptor]]:
        """Return an inventory of what the artifact was made from; its contents are not known. And these, by digest."""
        from ...provenance.source import time_of

        snapshot, project = self._snapshots[artifact.id], self.workspace.project
        upstream = [each for _, each in sorted(snapshot.upstream.items())]
        tool = _tool(self._units[artifact.group].command.run[0], snapshot)
        components = list(_components(upstream, tool, project))
        inventory = Inventory.for_artifact(
            artifact.id,
            Component(
                ref=artifact.id,
                kind=ComponentKind.FILE,
                role=Role.SUBJECT,
                name=artifact.name,
                hashes=digest.as_digest_set(),
                supplier=project,
                filename=path.name,
            ),
            components,
            {artifact.id: [component.ref for component in components]},
            digest=digest,
            completeness=Completeness.UNKNOWN,
            note=_NOTE,
            created=time_of(self.workspace.source, list(snapshot.in_repository(self.workspace))),
            author=project,
        )
        materials = [each.material for each in upstream]
        if tool:
            materials.append(ResourceDescriptor(name=tool[0], digest={"sha256": tool[1]}))
        return inventory, materials

    def _claim(self, path: Path, group: str) -> Path:
        """Return a file that a run has left, unless another command of this process has left it too."""
        with self._claiming:
            other = self._claims.setdefault(path.resolve(), group)
        if other != group:
            raise BuildError(
                f"{quoted(path.name)}, an output of `{group}`, is one of `{other}` too",
                hint="let the commands write files of different names, and name them by narrower patterns",
            )
        if not path.name.isprintable():
            raise BuildError(f"an output of `{group}` has a name that can't be shown: {quoted(path.name)}")
        return path


_RUN, _INPUTS, _EXCLUDE, _OUTPUTS = (key(Kind.SETTING, name) for name in ("run", "inputs", "exclude", "outputs"))
_WILDCARD = re.compile(r"[*?\[]")


def _declare(command: Command, root: Path, programs: Programs) -> Declared:
    """Return the inputs of a command that are known without running it; no folder is read for it.

    Raises:
        ToolError: the program can't be read.
    """
    values = {
        _RUN: _rendered(command.run),
        _INPUTS: _rendered(command.inputs),
        _OUTPUTS: _rendered(command.outputs),
    }
    if command.exclude:
        values[_EXCLUDE] = _rendered(command.exclude)
    measured = list(_patterns(command))
    measured += [key(Kind.VARIABLE, name) for name in command.environment]
    word = command.run[0]
    if not PLACEHOLDER.match(word):  # an upstream artifact is an input already
        program = programs.find(word, root)
        inside = f"{root}/"
        if program is not None and str(program).startswith(inside):  # an input as any other file of the workspace
            measured.append(key(Kind.FILE, str(program).removeprefix(inside)))
        else:
            sha256 = programs.digest(program) if program else ""
            values[key(Kind.TOOL, word)] = f"sha256:{sha256}" if sha256 else ABSENT
    return Declared(values=values, measured=list(dict.fromkeys(measured)), hint=_WRITES)


def _rendered(texts: tuple[str, ...]) -> str:
    """Return texts as JSON; for very many short lists this is faster than an encoder."""
    return f"[{','.join(map(encode_basestring, texts))}]"


def _patterns(command: Command) -> Iterator[str]:
    """Yield the keys of a command's patterns, from which its outputs and exclusions are taken away."""
    away = [(one, _fixed(one)) for one in (*command.exclude, *command.outputs)]
    for pattern in command.inputs:
        fixed = _fixed(pattern)
        # Only those count whose beginnings let them stand for the same file.
        near = [one for one, start in away if start.startswith(fixed) or fixed.startswith(start)]
        if fixed != pattern:
            yield key(Kind.GLOB, patterns.WITHOUT.join((pattern, *near)))
        elif not any(patterns.matches(one, pattern) for one in near):
            yield key(Kind.FILE, pattern)


def _fixed(pattern: str) -> str:
    """Return what stands before a pattern's first wildcard."""
    found = _WILDCARD.search(pattern)
    return pattern[: found.start()] if found else pattern


def _refuse_missing(snapshot: Snapshot) -> None:
    """Require every input file: with a misspelt pattern a command would never run again.

    Raises:
        BuildError: a pattern matches no file, or a file is missing.
    """
    for input_ in snapshot.missing:
        kind, name = parts(input_)
        what = (
            f"no file matches the input {quoted(name)}" if kind is Kind.GLOB else f"the input {quoted(name)} is no file"
        )
        raise BuildError(what, hint=_HINT)


_HINT = "correct `inputs` in provenance.toml; `FOLDER/**` stands for all files of a folder"
_WRITES = "if the command itself writes it, name it in `exclude` in provenance.toml; else run again when it holds still"


def _tool(word: str, snapshot: Snapshot) -> tuple[str, str] | None:
    """Return the program that ran, as the command names it, and its sha256; `None` if it was an upstream artifact."""
    value = snapshot.values.get(key(Kind.TOOL, word), ABSENT)
    sha256 = snapshot.files.get(os.path.normpath(word), ABSENT) if value == ABSENT else value.partition(":")[2]
    return None if sha256 == ABSENT else (word, sha256)


def _components(upstream: Iterable[Upstream], tool: tuple[str, str] | None, project: Party) -> Iterator[Component]:
    for artifact in upstream:
        yield Component(
            ref=artifact.id,
            kind=ComponentKind.FILE,
            role=Role.INPUT,
            name=artifact.name,
            hashes=artifact.digest.as_digest_set(),
            supplier=project,
            filename=artifact.file,
        )
    if tool:
        name = tool[0].rpartition("/")[2]
        yield Component(
            ref=f"tool:{name}",
            kind=ComponentKind.APPLICATION,
            role=Role.BUILD,
            name=name,
            hashes={"sha256": tool[1]},
            filename=name,
        )
