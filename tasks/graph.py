"""Artifacts to doit tasks: the factory that a `dodo.py` calls.

from doit_provenance.tasks.graph import workspace
DOIT_CONFIG, task_artifacts = workspace()
"""

from __future__ import annotations

import gc
import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit.exceptions import InvalidDodoFile, TaskFailed

from ..provenance import config
from ..provenance.errors import ProvenanceError
from ..provenance.sign.keyfile import default_key_path
from .cargo.builder import CargoBuilder
from .command.builder import CommandBuilder
from .context import Context
from .database import BACKEND, own
from .freshness.state import State
from .images.docker.builder import DockerBuilder
from .images.oci.builder import OciBuilder
from .nix.builder import NixBuilder
from .reporter import META, Reporter
from .session import Session
from .workspace import STATE, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .builder import Artifact, Builder

BUILDERS: tuple[Callable[[Context], Builder], ...] = (
    CargoBuilder,
    NixBuilder,
    CommandBuilder,
    DockerBuilder,
    OciBuilder,
)
"""One line per build tool."""

Task = dict[str, Any]

_OBJECTS = 100_000
"""New objects after which Python looks for garbage."""


def workspace(root: str | Path = ".") -> tuple[dict[str, Any], Callable[[], Iterator[Task]]]:
    """Return `DOIT_CONFIG` and the task creator of the workspace at `root`, a path from the folder of the `dodo.py`.

    The creator yields a task for each artifact, named by its id, and the groups `BUILDER` and `BUILDER:NAME`. A builder
    whose discovery fails becomes one failing task with the reason. A wrong provenance.toml is an error of the whole.
    """

    def task_artifacts() -> Iterator[Task]:
        try:
            yield from tasks(open_session(Path(root)))
        except ProvenanceError as error:
            raise InvalidDodoFile(str(error)) from error

    return doit_config(Path(root)), task_artifacts


def doit_config(root: Path) -> dict[str, Any]:
    """Return what doit needs to know: threads, as builders share a session, and where it keeps what it knows."""
    return {
        "reporter": Reporter,
        "par_type": "thread",
        "verbosity": 2,
        "dep_file": str(root.resolve() / STATE / "doit.db"),
        "backend": BACKEND,
    }


def open_session(root: Path) -> Session:
    """Read the configuration of the workspace at `root`.

    Raises:
        ConfigError: provenance.toml is wrong.
    """
    # Thousands of artifacts are many objects that live to the end; looking for garbage among them costs a fifth of all.
    gc.set_threshold(_OBJECTS)
    absolute = root.resolve()
    state = State(absolute / STATE / "state.db", lambda: default_key_path(os.environ).with_name("state.secret"))
    settings = config.load(absolute, state)
    context = Context(workspace=Workspace(root=absolute, config=settings), memory=state)
    return Session(context, state, context.signer)


def tasks(session: Session) -> Iterator[Task]:
    """Yield the tasks of everything that the builders find."""
    found = list(_tasks_of_all(session))
    own(task["basename"] for task in found)
    yield from found


def _tasks_of_all(session: Session) -> Iterator[Task]:
    for make_builder in BUILDERS:
        builder = make_builder(session.context)
        try:
            artifacts = session.add(builder)
        except ProvenanceError as error:
            yield _failing(builder.name, error, session)
            continue
        yield from _tasks_of(builder.name, artifacts, session)


def _tasks_of(builder: str, artifacts: tuple[Artifact, ...], session: Session) -> Iterator[Task]:
    names: dict[str, list[str]] = {}
    for artifact in artifacts:
        names.setdefault(artifact.name, []).append(artifact.id)
        yield {
            "basename": artifact.id,
            "actions": [(_act, (session, artifact))],
            "uptodate": [(_is_fresh, (session, artifact))],
            "task_dep": list(artifact.upstream),
            "doc": f"{artifact.name} for {artifact.platform}, with its evidence",
            "meta": {META: session},
        }
    for name, ids in names.items():
        yield _group(f"{builder}:{name}", ids, f"{name} on all its platforms", session)
    if artifacts:
        yield _group(builder, [a.id for a in artifacts], f"everything that {builder} builds", session)


def _group(name: str, ids: list[str], text: str, session: Session) -> Task:
    return {"basename": name, "actions": None, "task_dep": ids, "doc": text, "meta": {META: session}}


def _failing(builder: str, error: ProvenanceError, session: Session) -> Task:
    return {
        "basename": builder,
        "actions": [lambda: TaskFailed(str(error))],
        "uptodate": [False],
        "doc": f"can't tell what {builder} builds: {error.message}".partition("\n")[0],
        "meta": {META: session},
    }


def _is_fresh(session: Session, artifact: Artifact) -> bool:
    return session.is_fresh(artifact)


# doit asks each time what a function takes, and asking this is quicker than looking.
_is_fresh.__signature__ = inspect.Signature()  # type: ignore[attr-defined] # a function may have attributes


def _act(session: Session, artifact: Artifact) -> TaskFailed | None:
    """Do one artifact's task. A failure is a value for doit, so that it prints no traceback."""
    try:
        session.make(artifact)
    except ProvenanceError as error:
        return TaskFailed(str(error))
    return None
