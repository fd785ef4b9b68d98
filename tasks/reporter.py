"""What a run says: one line per artifact when its way has ended, and for a failure what happened and what to do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from doit.exceptions import UnmetDependency
from doit.reporter import ConsoleReporter

from ..provenance.sbom.inventory import Completeness, Role
from .session import Session

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .flow import Outcome

META = "doit-provenance"
"""Key in a task's `meta`, by which reporter and commands find its session."""


class Reporter(ConsoleReporter):  # type: ignore[misc] # doit has no types
    """doit's reporter for our tasks; tasks of the user's own in the same `dodo.py` look as they always do."""

    desc = "artifacts with digest, packages and folder"

    def __init__(self, outstream: Any, options: Any) -> None:
        super().__init__(outstream, options)
        self._told: set[str] = set()
        self._width = 0

    def initialize(self, tasks: Mapping[str, Any], selected_tasks: Collection[str]) -> None:
        """Tell each session which of its artifacts this run is for: groups are built in one call of the tool."""
        wanted = _with_dependencies(tasks, selected_tasks)
        for session in {id(s): s for t in tasks.values() if (s := session_of(t))}.values():
            session.selected = wanted & session.artifacts.keys()
            self._width = max((self._width, *map(len, session.selected)))

    def execute_task(self, task: Any) -> None:
        """Say that a task begins; ours say it by what the build tool draws."""
        if session_of(task) is None:
            super().execute_task(task)

    def add_success(self, task: Any) -> None:
        """Say what became of an artifact."""
        session = session_of(task)
        if session is not None and (outcome := session.outcomes.get(task.name)) is not None:
            self.write(_line(outcome, self._width))

    def add_failure(self, task: Any, fail: Any) -> None:
        """Say what failed; what a whole group failed by is said once."""
        if session_of(task) is None:
            super().add_failure(task, fail)
            return
        if isinstance(fail, UnmetDependency):
            return  # a group of artifacts: the one that failed has said why
        text = fail.get_msg().strip()
        if text in self._told:
            self.write(f"error: `{task.name}`: failed with its group, see above\n")
        else:
            self._told.add(text)
            self.write(f"error: `{task.name}`: {text}\n")


def session_of(task: Any) -> Session | None:
    """Return the session of one of our tasks."""
    found = (task.meta or {}).get(META)
    return found if isinstance(found, Session) else None


def _with_dependencies(tasks: Mapping[str, Any], names: Collection[str]) -> set[str]:
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in tasks and name not in found:
            found.add(name)
            pending += tasks[name].task_dep
    return found


def _line(outcome: Outcome, width: int) -> str:
    inventory = outcome.inventory
    count = len(inventory.of_role(Role.LINKED))
    packages = f"{count} package{'' if count == 1 else 's'}"
    match inventory.completeness:
        case Completeness.UNKNOWN:
            packages += f" at most ({inventory.note})"
        case Completeness.INCOMPLETE:
            packages += f", incomplete ({inventory.note})"
    place = os.path.relpath(outcome.folder)
    return f"{outcome.artifact.id:<{width}}  {outcome.action}  {outcome.digest}  {packages}  {place}/\n"
