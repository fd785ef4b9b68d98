"""The build: one call of Nix for all packages of a system, and from each output the file or image that ships."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ...provenance.attest.resource import ResourceDescriptor
from ...provenance.errors import BuildError, StoreError, ToolError, quoted
from ...provenance.fs import copies
from ...provenance.source import time_of
from ..artifacts import Form
from ..builder import Built
from . import BUILDER
from .log import BuildLog, hint_for, message_of
from .materials import BUILD_TYPE, external, internal, materials
from .program import run_nix
from .store import NixFacts, Origin, closure_of, derivations_of, present, reachable, used_by, valid_paths
from .tree import read_lock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from ...provenance.sbom.nix.store import Meta
    from ..artifacts import Artifact
    from ..context import Context
    from ..freshness.snapshot import Snapshot
    from ..workspace import Workspace
    from .artifacts import NixArtifact
    from .evaluation import Evaluator, NixPackage
    from .program import NixProgram
    from .tree import LockedInput

_LIMIT = 64 << 20
_LOG = ("--print-build-logs", "--log-format", "internal-json")


@dataclass(frozen=True, slots=True, kw_only=True)
class NixBuild:
    """What is kept of a build until its artifact is described.

    Attributes:
        place: path of the file in the output.
        created: the time of the sources.
    """

    facts: NixFacts
    place: str
    created: datetime
    materials: tuple[ResourceDescriptor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _BuiltPackage:
    """A package that is in the store after the calls.

    Attributes:
        compared: it was built a second time, with an equal result.
        started, finished: UTC, of the call that built it; `None`: this run did not build it.
    """

    facts: NixFacts
    compared: bool
    started: datetime | None
    finished: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One call of Nix.

    Attributes:
        outputs: the store paths of all outputs, by derivation and name; none if it failed.
        failure: of some of its packages, or all.
    """

    log: BuildLog
    outputs: Mapping[str, Mapping[str, str]]
    started: datetime
    finished: datetime
    failure: BuildError | None = None


def build(
    context: Context,
    evaluator: Evaluator,
    artifacts: Mapping[Artifact, NixArtifact],
    meta: Mapping[str, Meta],
    snapshots: Mapping[Artifact, Snapshot],
) -> dict[Artifact, tuple[Built, NixBuild] | BuildError]:
    """Build artifacts; the result of each is an error if it could not be built.

    Args:
        context: of the run.
        evaluator: that has evaluated the packages.
        artifacts: what to build, each with its package.
        meta: metadata of packages, by the store paths of their outputs.
        snapshots: the inputs of each artifact.

    Raises:
        InputChangedError: the tree changed meanwhile.
        ProvenanceError: something can't be read or written.
    """
    sources = _Sources.read(context, evaluator)
    wanted = {artifact: each.package for artifact, each in artifacts.items()}
    packages = _build_packages(context, evaluator.nix, wanted, meta)
    outcomes: dict[Artifact, tuple[Built, NixBuild] | BuildError] = {}
    try:
        for artifact, package in packages.items():
            if isinstance(package, BuildError):
                outcomes[artifact] = package
                continue
            try:
                outcomes[artifact] = _result(context, sources, artifacts[artifact], package, snapshots[artifact])
            except BuildError as error:  # the output does not match provenance.toml
                outcomes[artifact] = error
                shutil.rmtree(context.scratch_dir(artifact), ignore_errors=True)
    except BaseException:
        for artifact in artifacts:
            shutil.rmtree(context.scratch_dir(artifact), ignore_errors=True)
        raise
    return outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sources:
    """What all packages of one call were built from.

    Attributes:
        files: of the workspace: path from the repository's root to sha256.
        inputs: locked inputs of the flake.
        tool: Nix itself.
        created: the time of the files.
    """

    files: Mapping[str, str]
    inputs: Sequence[LockedInput]
    tool: ResourceDescriptor
    created: datetime

    @classmethod
    def read(cls, context: Context, evaluator: Evaluator) -> _Sources:
        files, nix = evaluator.sources(), evaluator.nix
        digest = {"sha256": context.programs.digest(nix.path)}
        return cls(
            files=files,
            inputs=read_lock(evaluator.flake) if context.workspace.config.nix.packages else (),
            tool=ResourceDescriptor(name=BUILDER, digest=digest, annotations={"version": nix.version()}),
            created=time_of(context.workspace.source, sorted(files)),
        )


def _result(
    context: Context, sources: _Sources, artifact: NixArtifact, package: _BuiltPackage, snapshot: Snapshot
) -> tuple[Built, NixBuild]:
    workspace = context.workspace
    place, path = _take(workspace, artifact, package.facts, context.scratch_dir(artifact.artifact))
    built = Built(
        path=path,
        build_type=BUILD_TYPE,
        external=external(workspace, artifact),
        internal=internal(package.facts, place, compared=package.compared),
        files=sources.files,
        started=package.started,
        finished=package.finished,
    )
    inputs = () if artifact.package.name in workspace.config.nix.attributes else sources.inputs
    resources = tuple(materials(package.facts, sources.tool, inputs, snapshot.upstream))
    return built, NixBuild(facts=package.facts, place=place, created=sources.created, materials=resources)


def _take(workspace: Workspace, artifact: NixArtifact, facts: NixFacts, folder: Path) -> tuple[str, Path]:
    """Copy what ships of an output into a folder; return its path in the output, and that of the copy.

    The original may be garbage-collected at any time.
    """
    from .output import file_name, path_of, place_of, take_image

    if artifact.artifact.form is Form.IMAGE:
        return "", take_image(workspace, artifact, facts.output, folder, closure=facts.closure)
    place = place_of(artifact, facts.output, facts.closure)
    shutil.rmtree(folder, ignore_errors=True)
    target = folder / file_name(facts.output, place)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"`{folder}` can't be made: {error.strerror}") from error
    copies.copy(path_of(facts.output, place), target)
    return place, target


def _build_packages(
    context: Context, nix: NixProgram, packages: Mapping[Artifact, NixPackage], meta: Mapping[str, Meta]
) -> dict[Artifact, _BuiltPackage | BuildError]:
    """Build packages; with `rebuild`, build those that were not built by this call a second time, and compare.

    A failed package does not keep others from being built: each is a task of its own.

    Raises:
        ToolError: Nix can't be queried afterwards.
    """
    wanted = _outputs_of(packages.values())
    first = _call(context, nix, packages, wanted, "--keep-going")
    if first.failure is not None:
        first = _with_valid_outputs(context, nix, wanted, first)
    calls = [first]
    failures = {derivation: first.failure for derivation in wanted if derivation not in first.outputs and first.failure}
    unbuilt = {drv: outputs for drv, outputs in wanted.items() if drv not in first.log.built and drv not in failures}
    if context.workspace.config.nix.rebuild and unbuilt:
        calls.append(_call(context, nix, packages, unbuilt, "--rebuild", "--keep-going"))
        if (failure := calls[-1].failure) is not None:  # only the message tells which of them differ
            failures |= dict.fromkeys(unbuilt, failure)
    good = {artifact: package for artifact, package in packages.items() if package.derivation not in failures}
    failed = {
        artifact: failures[package.derivation or ""] for artifact, package in packages.items() if artifact not in good
    }
    return {**failed, **(_built_packages(context, nix, good, calls, meta) if good else {})}


def _with_valid_outputs(
    context: Context, nix: NixProgram, wanted: Mapping[str, Collection[str]], failed: _Call
) -> _Call:
    """Return a failed call with the outputs that it could build nevertheless, or that were in the store before."""
    try:
        known = derivations_of(context, nix, wanted.keys())
        outputs = {
            derivation: {name: output.path for name, output in known[derivation].outputs.items()}
            for derivation in wanted.keys() & known
        }
        valid = valid_paths(context, nix, {path for paths in outputs.values() for path in paths.values() if path})
    except ToolError:  # the run was interrupted, or nothing works any more: the reason has been reported
        return failed
    good: dict[str, Mapping[str, str]] = {}
    for derivation, paths in outputs.items():
        # A build that was started and lacks an output failed: an output that was there before is not from this build.
        needed = paths.keys() if derivation in failed.log.built else wanted[derivation]
        if all(paths.get(name) in valid for name in needed):
            good[derivation] = paths
    return replace(failed, outputs=good)


def _outputs_of(packages: Iterable[NixPackage]) -> dict[str, set[str]]:
    """Return the names of the outputs that ship, by derivation."""
    wanted: dict[str, set[str]] = {}
    for package in packages:
        wanted.setdefault(package.derivation or "", set()).add(package.output)
    return wanted


def _built_packages(
    context: Context,
    nix: NixProgram,
    packages: Mapping[Artifact, NixPackage],
    calls: Sequence[_Call],
    meta: Mapping[str, Meta],
) -> dict[Artifact, _BuiltPackage | BuildError]:
    """Query the store for the facts about packages that are in it."""
    paths = {artifact: _output_path(artifact, package, calls[0]) for artifact, package in packages.items()}
    closure = closure_of(context, nix, set(paths.values()))
    derivations = derivations_of(context, nix, _outputs_of(packages.values()).keys())
    there = present(context, nix, derivations.values()) if context.workspace.config.nix.build_inventory else None
    built: dict[Artifact, _BuiltPackage | BuildError] = {}
    for artifact, package in packages.items():
        requisites = reachable(derivations, package.derivation or "")
        facts = NixFacts(
            output=paths[artifact],
            derivation=package.derivation or "",
            system=package.system,
            origin=Origin.PRESENT,
            closure=reachable(closure, paths[artifact]),
            derivations=requisites,
            build_closure=None if there is None else used_by(requisites.values(), there),
            meta=meta,
        )
        built[artifact] = _with_origin(facts, calls)
    return built


def _with_origin(facts: NixFacts, calls: Sequence[_Call]) -> _BuiltPackage:
    """Add to facts how the output came into the store: built or copied by a call, or present before."""
    for call in calls:
        if facts.derivation in call.log.built:
            facts = replace(facts, origin=Origin.BUILT, builder=call.log.built[facts.derivation])
            compared = call is not calls[0]
            return _BuiltPackage(facts=facts, compared=compared, started=call.started, finished=call.finished)
    substituter = calls[0].log.substituted.get(facts.output)
    if substituter is not None:
        facts = replace(facts, origin=Origin.SUBSTITUTED, substituter=substituter)
    return _BuiltPackage(facts=facts, compared=False, started=None, finished=None)


def _output_path(artifact: Artifact, package: NixPackage, call: _Call) -> str:
    path = call.outputs.get(package.derivation or "", {}).get(package.output)
    if not path:
        raise BuildError(f"nix built `{artifact.id}`, but does not say where its output {quoted(package.output)} is")
    return path


def _call(
    context: Context,
    nix: NixProgram,
    packages: Mapping[Artifact, NixPackage],
    wanted: Mapping[str, Collection[str]],
    *options: str,
) -> _Call:
    """Let Nix build outputs of derivations, how and on which machines by the user's own configuration."""
    artifacts = [artifact for artifact, package in packages.items() if package.derivation in wanted]
    installables = [nix.installable(derivation, outputs) for derivation, outputs in wanted.items()]
    argv = nix.argv("build", "--json", "--no-link", *options, *_LOG, *installables)
    started = datetime.now(UTC)
    outputs: Mapping[str, Mapping[str, str]] = {}
    log = BuildLog(sink=_discard)
    failure = None
    try:
        with context.progress.call(artifacts, argv) as sink:
            log.sink = sink
            outputs = _parse_outputs(_run(argv, context.workspace, artifacts, log))
    except BuildError as error:
        failure = error
    return _Call(log=log, outputs=outputs, started=started, finished=datetime.now(UTC), failure=failure)


def _discard(piece: bytes) -> None:
    """Ignore output before the progress has a place for it."""


def _run(argv: Sequence[str], workspace: Workspace, artifacts: Sequence[Artifact], log: BuildLog) -> bytes:
    too_large = BuildError("nix answers with more than is read of an answer")
    output, code = run_nix(argv, cwd=workspace.root, sink=log, limit=_LIMIT, too_large=too_large)
    if code == 0:
        return output
    names = ", ".join(f"`{artifact.id}`" for artifact in artifacts)
    text = "\n".join(log.errors)
    how = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
    raise BuildError(
        f"nix failed for {names} ({how})" + (f":\n{message_of(text)}" if text else ""), hint=hint_for(text)
    )


def _parse_outputs(answer: bytes) -> dict[str, dict[str, str]]:
    try:
        entries = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise BuildError(f"nix answers something else than it was asked for: {error}") from error
    outputs: dict[str, dict[str, str]] = {}
    for entry in entries if isinstance(entries, list) else []:
        match entry:
            case {"drvPath": str(derivation), "outputs": dict(paths)}:
                texts = {name: path for name, path in paths.items() if isinstance(path, str)}
                outputs.setdefault(derivation, {}).update(texts)
    return outputs
