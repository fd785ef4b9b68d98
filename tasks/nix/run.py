"""One call of Nix for all packages of a system, and what there is to know of each output afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ...provenance.errors import BuildError, ToolError, quoted
from ...provenance.process import clean_environment, lines
from .facts import NixFacts, Origin
from .failures import hint_for, message_of
from .log import BuildLog
from .store import closure_of, derivations_of, part_of, present, used_by, valid_paths, within

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ..builder import Artifact
    from ..context import Context
    from ..workspace import Workspace
    from .facts import Meta
    from .packages import Package
    from .tool import Nix

_LIMIT = 64 << 20
_LOG = ("--print-build-logs", "--log-format", "internal-json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one call left of one package.

    Attributes:
        compared: it was built again, and came out equal to what there was.
        started, finished: UTC, of the call; `None`: no call of this run has built it.
    """

    facts: NixFacts
    compared: bool
    started: datetime | None
    finished: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One call.

    Attributes:
        log: what it said.
        outputs: the store paths of all outputs, by derivation and name; none where it failed.
        failure: of a part of it, or of all.
    """

    log: BuildLog
    outputs: Mapping[str, Mapping[str, str]]
    started: datetime
    finished: datetime
    failure: BuildError | None = None


def build_packages(
    context: Context,
    nix: Nix,
    packages: Mapping[Artifact, Package],
    meta: Mapping[str, Meta],
) -> dict[Artifact, Outcome | BuildError]:
    """Build packages; with `rebuild`, build again what that did not build, and compare.

    A package that fails keeps no other one from being built: each is a task of its own.

    Raises:
        ToolError: Nix can't be asked afterwards.
    """
    wanted = _outputs_of(packages.values())
    first = _call(context, nix, packages, wanted, "--keep-going")
    if first.failure is not None:
        first = _with_what_is_there(context, nix, packages, first)
    calls = [first]
    failures = {derivation: first.failure for derivation in wanted if derivation not in first.outputs and first.failure}
    unbuilt = {one: outputs for one, outputs in wanted.items() if one not in first.log.built and one not in failures}
    if context.workspace.config.nix.rebuild and unbuilt:
        calls.append(_call(context, nix, packages, unbuilt, "--rebuild", "--keep-going"))
        if (failure := calls[-1].failure) is not None:  # which of them came out different, only the message tells
            failures |= dict.fromkeys(unbuilt, failure)
    good = {artifact: one for artifact, one in packages.items() if one.derivation not in failures}
    failed = {artifact: failures[one.derivation or ""] for artifact, one in packages.items() if artifact not in good}
    return {**failed, **(_facts(context, nix, good, calls, meta) if good else {})}


def _with_what_is_there(context: Context, nix: Nix, packages: Mapping[Artifact, Package], failed: _Call) -> _Call:
    """Return a call that failed, with the outputs of what it could build all the same, or of what was there before."""
    wanted = _outputs_of(packages.values())
    try:
        known = derivations_of(context, nix, wanted.keys())
        outputs = {
            one: {name: found.path for name, found in known[one].outputs.items()} for one in wanted.keys() & known
        }
        valid = valid_paths(context, nix, {path for paths in outputs.values() for path in paths.values() if path})
    except ToolError:  # the run was interrupted, or nothing works any more: why is said already
        return failed
    good: dict[str, Mapping[str, str]] = {}
    for derivation, paths in outputs.items():
        # What was begun, and lacks an output, failed: one that was there before is not of this build.
        needed = paths.keys() if derivation in failed.log.built else wanted[derivation]
        if all(paths.get(name) in valid for name in needed):
            good[derivation] = paths
    return replace(failed, outputs=good)


def _outputs_of(packages: Iterable[Package]) -> dict[str, set[str]]:
    wanted: dict[str, set[str]] = {}
    for one in packages:
        wanted.setdefault(one.derivation or "", set()).add(one.output)
    return wanted


def _facts(
    context: Context,
    nix: Nix,
    packages: Mapping[Artifact, Package],
    calls: Sequence[_Call],
    meta: Mapping[str, Meta],
) -> dict[Artifact, Outcome | BuildError]:
    """Ask the store for what there is to know of packages that are in it."""
    paths = {artifact: _output(artifact, one, calls[0]) for artifact, one in packages.items()}
    closure = closure_of(context, nix, set(paths.values()))
    derivations = derivations_of(context, nix, _outputs_of(packages.values()).keys())
    there = present(context, nix, derivations.values()) if context.workspace.config.nix.build_inventory else None
    found: dict[Artifact, Outcome | BuildError] = {}
    for artifact, package in packages.items():
        own = within(derivations, package.derivation or "")
        facts = NixFacts(
            output=paths[artifact],
            derivation=package.derivation or "",
            system=package.system,
            origin=Origin.PRESENT,
            closure=part_of(closure, paths[artifact]),
            derivations=own,
            build_closure=None if there is None else used_by(own.values(), there),
            meta=meta,
        )
        found[artifact] = _outcome(facts, calls)
    return found


def _outcome(facts: NixFacts, calls: Sequence[_Call]) -> Outcome:
    """Return the facts of an output with how it came into the store: by one of the calls, or before them."""
    by = next((call for call in calls if facts.derivation in call.log.built), None)
    if by is not None:
        built = replace(facts, origin=Origin.BUILT, builder=by.log.built[facts.derivation])
        return Outcome(facts=built, compared=by is not calls[0], started=by.started, finished=by.finished)
    substituter = calls[0].log.substituted.get(facts.output)
    if substituter is not None:
        facts = replace(facts, origin=Origin.SUBSTITUTED, substituter=substituter)
    return Outcome(facts=facts, compared=False, started=None, finished=None)


def _output(artifact: Artifact, package: Package, call: _Call) -> str:
    path = call.outputs.get(package.derivation or "", {}).get(package.output)
    if not path:
        raise BuildError(f"nix built `{artifact.id}`, but does not say where its output {quoted(package.output)} is")
    return path


def _call(
    context: Context,
    nix: Nix,
    packages: Mapping[Artifact, Package],
    wanted: Mapping[str, Collection[str]],
    *options: str,
) -> _Call:
    """Let Nix build outputs of derivations; the user's own configuration says how, and on which machines."""
    artifacts = [artifact for artifact, one in packages.items() if one.derivation in wanted]
    installables = [nix.installable(derivation, outputs) for derivation, outputs in wanted.items()]
    argv = nix.argv("build", "--json", "--no-link", *options, *_LOG, *installables)
    started = datetime.now(UTC)
    outputs: Mapping[str, Mapping[str, str]] = {}
    log = BuildLog(sink=_nowhere)
    failure = None
    try:
        with context.progress.call(artifacts, argv) as sink:
            log.sink = sink
            outputs = _outputs(_said(argv, context.workspace, artifacts, log))
    except BuildError as error:
        failure = error
    return _Call(log=log, outputs=outputs, started=started, finished=datetime.now(UTC), failure=failure)


def _nowhere(piece: bytes) -> None:
    """Take what nobody has asked for."""


def _said(argv: Sequence[str], workspace: Workspace, artifacts: Sequence[Artifact], log: BuildLog) -> bytes:
    said: list[bytes] = []
    size = 0
    with lines(argv, cwd=workspace.root, env=clean_environment(), sink=log) as (output, process):
        for line in output:
            said.append(line)
            size += len(line)
            if size > _LIMIT:
                raise BuildError("nix answers with more than is read of an answer")
        code = process.wait()
    if code == 0:
        return b"".join(said)
    asked = ", ".join(f"`{artifact.id}`" for artifact in artifacts)
    text = "\n".join(log.errors)
    how = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
    raise BuildError(
        f"nix failed for {asked} ({how})" + (f":\n{message_of(text)}" if text else ""), hint=hint_for(text)
    )


def _outputs(said: bytes) -> dict[str, dict[str, str]]:
    try:
        entries = json.loads(said)
    except (ValueError, RecursionError) as error:
        raise BuildError(f"nix answers something else than it was asked for: {error}") from error
    found: dict[str, dict[str, str]] = {}
    for entry in entries if isinstance(entries, list) else []:
        match entry:
            case {"drvPath": str(derivation), "outputs": dict(outputs)}:
                paths = {name: path for name, path in outputs.items() if isinstance(path, str)}
                found.setdefault(derivation, {}).update(paths)
    return found
