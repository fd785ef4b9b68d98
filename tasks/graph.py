"""Artifacts to doit tasks: the factory that a `dodo.py` calls.

from doit_provenance.tasks.graph import workspace
DOIT_CONFIG, task_artifacts = workspace()
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import inspect
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit.exceptions import InvalidDodoFile, TaskFailed

from ..provenance import config
from ..provenance.errors import ProvenanceError
from .context import Context
from .database import BACKEND, own
from .freshness.state import State
from .reporter import META, Reporter
from .session import Session
from .workspace import STATE, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from ..provenance.config import Config
    from .artifacts import Artifact
    from .builder import Builder


@dataclass(frozen=True, slots=True)
class _OnDemand:
    """A builder whose module is imported when the builder is made, and that is made only if it is configured."""

    module: str
    name: str
    is_configured: Callable[[Config], bool]

    def __call__(self, context: Context) -> Builder:
        """Return the builder."""
        made: Builder = getattr(importlib.import_module(self.module, __package__), self.name)(context)
        return made


BUILDERS: tuple[Callable[[Context], Builder], ...] = (
    _OnDemand(".cargo.builder", "CargoBuilder", lambda _config: True),
    _OnDemand(".nix.builder", "NixBuilder", lambda config: config.nix.is_on or bool(config.nix.attributes)),
    _OnDemand(".command.builder", "CommandBuilder", lambda config: bool(config.commands)),
    _OnDemand(".images.docker.builder", "DockerBuilder", lambda config: bool(config.dockers)),
    _OnDemand(".images.oci.builder", "OciBuilder", lambda config: bool(config.ocis)),
)
"""One line per build tool."""

Task = dict[str, Any]
_SOURCE = "workspace_source"
"""Attribute of our task creators, by which a run recognises them."""

_OBJECTS = 100_000
"""New objects after which Python looks for garbage."""


def workspace(root: str | Path = ".") -> tuple[dict[str, Any], Callable[[], Iterator[Task]]]:
    """Return `DOIT_CONFIG` and the task creator of the workspace at `root`, a path from the folder of the `dodo.py`.

    The creator yields a task for each artifact, named by its id, and the groups `BUILDER` and `BUILDER:NAME`. A builder
    whose discovery fails becomes one failing task with the reason. A wrong provenance.toml is an error of the whole.
    """
    source = Source(Path(root))

    def task_artifacts() -> Iterator[Task]:
        try:
            yield from tasks(source.take())
        except ProvenanceError as error:
            raise InvalidDodoFile(str(error)) from error

    setattr(task_artifacts, _SOURCE, source)
    return doit_config(Path(root)), task_artifacts


class Source:
    """Opens the workspace at `root`. What a run has opened to see whether there is anything to do serves its tasks."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._opened: Session | None = None

    def open(self) -> Session:
        """Return a session in which everything is discovered, and keep it for `take`.

        Raises:
            ConfigError: provenance.toml is wrong.
        """
        self._opened = open_session(self._root)
        discover(self._opened)
        return self._opened

    def take(self) -> Session:
        """Return the session that was opened before, once; else a new one.

        Raises:
            ConfigError: provenance.toml is wrong.
        """
        session, self._opened = self._opened, None
        return session or open_session(self._root)


def only_source(namespace: dict[str, Any], commands: Collection[str]) -> Source | None:
    """Return the workspace of the one task creator in a `dodo.py`; `None` if there are others, or doit refuses it.

    Args:
        namespace: of the `dodo.py`.
        commands: names that no task creator may have.
    """
    creators = {
        name: value
        for name, value in namespace.items()
        if (name.startswith(_CREATOR) and inspect.isroutine(value)) or hasattr(value, "create_doit_tasks")
    }
    if len(creators) != 1:
        return None
    ((name, creator),) = creators.items()
    source = getattr(creator, _SOURCE, None)
    is_plain = not any(hasattr(creator, each) for each in ("create_doit_tasks", "doit_create_after", _PARAMETERS))
    return source if isinstance(source, Source) and is_plain and name[len(_CREATOR) :] not in commands else None


_CREATOR = "task_"
_PARAMETERS = "_task_creator_params"


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
    state = State(absolute / STATE / "state.db", _secret_path)
    settings = config.load(absolute, state)
    context = Context(workspace=Workspace(root=absolute, config=settings), memory=state)
    return Session(context, state)


def _secret_path() -> Path:
    from ..provenance.sign.keyfile import default_key_path

    return default_key_path(os.environ).with_name("state.secret")


def tasks(session: Session) -> Iterator[Task]:
    """Yield the tasks of everything that the builders find."""
    if not session.discovered:
        discover(session)
    found = list(_tasks_of_all(session))
    own(task["basename"] for task in found)
    yield from found


def discover(session: Session) -> None:
    """Ask every configured builder what it builds; the session keeps what it says, and the errors."""
    config_ = session.workspace.config
    for make_builder in BUILDERS:
        if not isinstance(make_builder, _OnDemand) or make_builder.is_configured(config_):
            with contextlib.suppress(ProvenanceError):  # kept in `failures`
                session.add(make_builder(session.context))


def _tasks_of_all(session: Session) -> Iterator[Task]:
    for name, artifacts in session.discovered.items():
        if name in session.failures:
            yield _failing(name, session.failures[name], session)
        yield from _tasks_of(name, artifacts, session)


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
