"""`doit list`: doit's own, with the truth about artifacts as their status."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

from doit.cmd_list import List as DoitList

from ..reporter import session_of
from .base import ErrorMessages

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..session import Session

_IGNORED, _FRESH, _TO_RUN, _FAILING = "I", "U", "R", "E"


class List(ErrorMessages, DoitList):  # type: ignore[misc] # doit has no types
    """Lists tasks; ends with 1 where a builder can't tell what it builds, as the list lacks its artifacts then.

    With `--status` an artifact is `U` where it is fresh, `I` where it is ignored, else `R`, as it may be built: `plan`
    says more. A group is `U` where all of its artifacts are.
    """

    name = "list"

    def execute(self, params: Any, args: list[str]) -> int:
        """List the tasks, then say what is missing among them."""
        code = super().execute(params, args)
        for error in (e for s in self._sessions for e in s.failures.values()):
            sys.stderr.write(f"error: {error}\n")
            code = 1
        return code

    def _print_task(
        self,
        template: str,
        task: Any,
        status: bool,  # noqa: FBT001 - doit's
        list_deps: bool,  # noqa: FBT001 - doit's
        tasks: Mapping[str, Any],
    ) -> None:
        if status and session_of(task):
            self.outstream.write(template.format(name=task.name, doc=task.doc, status=self._status(task, tasks)))
        else:
            super()._print_task(template, task, status, list_deps, tasks)

    def _status(self, task: Any, tasks: Mapping[str, Any]) -> str:
        if task.actions and task.name not in self._artifacts:
            return _FAILING
        if self.dep_manager.status_is_ignore(task):
            return _IGNORED
        if task.name in self._artifacts:
            return _FRESH if task.name in self._fresh else _TO_RUN
        states = {self._status(tasks[name], tasks) for name in task.task_dep}
        return states.pop() if len(states) == 1 else _TO_RUN

    @property
    def _sessions(self) -> list[Session]:
        return list({id(s): s for t in self.task_list or () if (s := session_of(t)) is not None}.values())

    @cached_property
    def _artifacts(self) -> Collection[str]:
        return {id_ for session in self._sessions for id_ in session.artifacts}

    @cached_property
    def _fresh(self) -> Collection[str]:
        from ..freshness.answer import Fresh

        return {
            id_
            for session in self._sessions
            for id_, answer in session.answers(session.artifacts).items()
            if isinstance(answer, Fresh)
        }
