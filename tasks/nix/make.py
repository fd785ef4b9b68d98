"""From derivations to artifacts: they are built, and what ships of each output is put where the flow takes it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...provenance.errors import BuildError, StoreError
from ...provenance.fs import copies
from ...provenance.source import time_of
from ..builder import Built, Form
from .lock import read_lock
from .materials import BUILD_TYPE, Tool, external, internal, materials
from .run import build_packages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from ...provenance.attest.resource import ResourceDescriptor
    from ..builder import Artifact
    from ..context import Context
    from ..freshness.snapshot import Snapshot
    from ..workspace import Workspace
    from .evaluation import Evaluator
    from .facts import Meta, NixFacts
    from .run import Outcome
    from .units import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What is kept of a build until its artifact is described.

    Attributes:
        place: where in the output the file is.
        created: the time of the sources.
        materials: what it was built from, by digest.
    """

    facts: NixFacts
    place: str
    created: datetime
    materials: tuple[ResourceDescriptor, ...]


def make(
    context: Context,
    evaluator: Evaluator,
    units: Mapping[Artifact, Unit],
    meta: Mapping[str, Meta],
    snapshots: Mapping[Artifact, Snapshot],
) -> dict[Artifact, tuple[Built, Made] | BuildError]:
    """Build artifacts; those that could not be built have an error instead.

    Args:
        context: of the packages.
        evaluator: that has evaluated them.
        units: each artifact, with its package.
        meta: what the evaluation says of packages, by the store paths of their outputs.
        snapshots: the inputs of each artifact.

    Raises:
        InputChangedError: the tree changed meanwhile.
        ProvenanceError: something can't be read or written.
    """
    files = evaluator.sources()
    locked = read_lock(evaluator.flake) if context.workspace.config.nix.packages else ()
    nix = evaluator.nix
    outcomes = build_packages(context, nix, {artifact: unit.package for artifact, unit in units.items()}, meta)
    tool = Tool(version=nix.version(), sha256=context.programs.digest(nix.path))
    created = time_of(context.workspace.source, sorted(files))
    folders = {artifact: context.scratch_dir(artifact) for artifact in units}
    found: dict[Artifact, tuple[Built, Made] | BuildError] = {}
    try:
        for artifact, unit in units.items():
            outcome = outcomes[artifact]
            if isinstance(outcome, BuildError):
                found[artifact] = outcome
                continue
            try:
                place, path = _taken(context.workspace, unit, outcome, folders[artifact])
            except BuildError as error:  # it holds something else than provenance.toml says
                found[artifact] = error
                shutil.rmtree(folders[artifact], ignore_errors=True)
                continue
            built = _built(context, unit, outcome, path=path, place=place, files=files)
            of_flake = unit.package.name not in context.workspace.config.nix.attributes
            made_from = materials(outcome.facts, tool, locked if of_flake else (), snapshots[artifact].upstream)
            made = Made(facts=outcome.facts, place=place, created=created, materials=tuple(made_from))
            found[artifact] = (built, made)
    except BaseException:
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return found


def _taken(workspace: Workspace, unit: Unit, outcome: Outcome, folder: Path) -> tuple[str, Path]:
    """Put what ships of an output into a folder; return where it was in the output, and where it is now.

    From now on the store may collect the output as garbage, and its file would be lost under our hands.
    """
    output = outcome.facts.output
    if unit.artifact.form is Form.IMAGE:
        from .image import take_image

        return "", take_image(workspace, unit, output, folder, closure=outcome.facts.closure)
    from .outputs import file_name, path_of, place_of

    place = place_of(unit, output, outcome.facts.closure)
    shutil.rmtree(folder, ignore_errors=True)
    target = folder / file_name(output, place)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"`{folder}` can't be made: {error.strerror}") from error
    copies.copy(path_of(output, place), target)
    return place, target


def _built(
    context: Context,
    unit: Unit,
    outcome: Outcome,
    *,
    path: Path,
    place: str,
    files: Mapping[str, str],
) -> Built:
    return Built(
        path=path,
        build_type=BUILD_TYPE,
        external=external(context.workspace, unit),
        internal=internal(outcome.facts, place, compared=outcome.compared),
        files=files,
        started=outcome.started,
        finished=outcome.finished,
    )
