"""One call of Nix for all packages of a system, and what there is to know of each output afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ...provenance.errors import BuildError, quoted
from ...provenance.process import clean_environment, lines
from .facts import NixFacts, Origin
from .failures import hint_for, message_of
from .log import BuildLog
from .store import closure_of, derivations_of, part_of, present, used_by, within

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ..builder import Artifact, Workspace
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
        started, finished: UTC, of the call; `None`: it did not build this.
    """

    facts: NixFacts
    compared: bool
    started: datetime | None
    finished: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One call that ended well: what it said, and the store paths of all outputs, by derivation and name."""

    log: BuildLog
    outputs: Mapping[str, Mapping[str, str]]
    started: datetime
    finished: datetime


def build_packages(
    workspace: Workspace,
    nix: Nix,
    packages: Mapping[Artifact, Package],
    meta: Mapping[str, Meta],
) -> dict[Artifact, Outcome]:
    """Build packages; with `rebuild`, build again what that did not build, and compare.

    Raises:
        BuildError: Nix failed, or left nothing of a package.
        ToolError: it can't be asked afterwards.
    """
    wanted: dict[str, set[str]] = {}
    for one in packages.values():
        wanted.setdefault(one.derivation or "", set()).add(one.output)
    calls = [_call(workspace, nix, list(packages), wanted)]
    unbuilt = {derivation: outputs for derivation, outputs in wanted.items() if derivation not in calls[0].log.built}
    if workspace.config.nix.rebuild and unbuilt:
        asked = [artifact for artifact, one in packages.items() if one.derivation in unbuilt]
        calls.append(_call(workspace, nix, asked, unbuilt, "--rebuild"))
    paths = {artifact: _output(artifact, one, calls[0]) for artifact, one in packages.items()}
    closure = closure_of(workspace, nix, set(paths.values()))
    derivations = derivations_of(workspace, nix, wanted.keys())
    there = present(workspace, nix, derivations.values()) if workspace.config.nix.build_inventory else None
    found = {}
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
    workspace: Workspace, nix: Nix, artifacts: Sequence[Artifact], wanted: Mapping[str, Collection[str]], *options: str
) -> _Call:
    """Let Nix build outputs of derivations; the user's own configuration says how, and on which machines."""
    installables = [nix.installable(derivation, outputs) for derivation, outputs in wanted.items()]
    argv = nix.argv("build", "--json", "--no-link", *options, *_LOG, *installables)
    started = datetime.now(UTC)
    said: list[bytes] = []
    with workspace.progress.call(artifacts, argv) as sink:
        log = BuildLog(sink=sink)
        with lines(argv, cwd=workspace.root, env=clean_environment(), sink=log) as (output, process):
            for line in output:
                said.append(line)
                if sum(map(len, said)) > _LIMIT:
                    raise BuildError("nix answers with more than is read of an answer")
            code = process.wait()
        if code != 0:
            asked = ", ".join(f"`{artifact.id}`" for artifact in artifacts)
            text = "\n".join(log.errors)
            how = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
            raise BuildError(
                f"nix failed for {asked} ({how})" + (f":\n{message_of(text)}" if text else ""), hint=hint_for(text)
            )
        outputs = _outputs(b"".join(said))
    return _Call(log=log, outputs=outputs, started=started, finished=datetime.now(UTC))


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
