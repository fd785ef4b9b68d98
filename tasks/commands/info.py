"""`doit info`: doit's own, which says of an artifact what there is to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from doit.cmd_info import Info as DoitInfo
from doit.exceptions import InvalidCommand

from ...provenance.errors import did_you_mean
from ..plan import Step, in_words
from ..reporter import session_of
from .base import Explained, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..session import Session


class Info(Explained, DoitInfo):  # type: ignore[misc] # doit has no types
    """Shows a task; ends with 1 where it is not up to date."""

    name = "info"

    def _execute(self, pos_args: Sequence[str], hide_status: bool = False) -> int:  # noqa: FBT001, FBT002 - doit's
        tasks = {t.name: t for t in self.task_list}
        if len(pos_args) == 1 and pos_args[0] not in tasks:
            raise InvalidCommand(f"`{pos_args[0]}` is not a task{did_you_mean(pos_args[0], sorted(tasks))}")
        session = session_of(tasks[pos_args[0]]) if len(pos_args) == 1 else None
        if session is None:
            return int(super()._execute(pos_args, hide_status) or 0)
        task = tasks[pos_args[0]]
        members = [task.name] if task.name in session.artifacts else list(task.task_dep)
        steps = [] if hide_status else _steps(session, members)
        self.outstream.writelines(f"{printable(line)}\n" for line in _lines(task, session, steps))
        return 1 if any(step.reasons for step in steps) or (task.name in session.failures) else 0


def _steps(session: Session, ids: Sequence[str]) -> list[Step]:
    answers = session.answers(ids)
    return [Step(artifact=session.artifacts[i], answer=answers[i], workspace=session.workspace) for i in ids]


def _lines(task: Any, session: Session, steps: Sequence[Step]) -> Iterator[str]:
    yield from ("", task.name, "", task.doc)
    if steps:
        stale = [step for step in steps if step.reasons]
        yield from ("", f"{'status':11s}: {'run' if stale else 'up-to-date'}")
        alone = len(steps) == 1 and steps[0].artifact.id == task.name
        for step in stale:
            yield from (f" - {'' if alone else f'{step.artifact.id}: '}{in_words(reason)}" for reason in step.reasons)
    if task.task_dep:
        yield from ("", f"{'task_dep':11s}: ", *(f" - {name}" for name in task.task_dep))
    if (artifact := session.artifacts.get(task.name)) is not None:
        place = session.workspace.config.project.output / artifact.folder
        yield from ("", f"{'targets':11s}: ", f" - {place}/")
