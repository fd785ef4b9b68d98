"""doit's own commands that need to know of artifacts: `dumpdb`, `forget`, `ignore`, `info` and `strace`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from doit.cmd_base import DoitCmdBase
from doit.cmd_dumpdb import DumpDB as DoitDumpDB
from doit.cmd_forget import Forget as DoitForget
from doit.cmd_ignore import Ignore as DoitIgnore
from doit.cmd_info import Info as DoitInfo
from doit.cmd_strace import Strace as DoitStrace
from doit.exceptions import InvalidCommand

from ...provenance.errors import did_you_mean
from ..database import BACKEND, Database
from ..plan import Step, in_words
from ..reporter import session_of
from .base import ErrorMessages, printable, with_members

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..session import Session


class DumpDB(DoitCmdBase):  # type: ignore[misc] # doit has no types
    """Prints one line of JSON per task in doit's database."""

    name = "dumpdb"
    doc_purpose = DoitDumpDB.doc_purpose
    doc_usage = DoitDumpDB.doc_usage
    doc_description = "Of artifacts only the ignored flag is stored."

    def execute(self, params: Any, args: list[str]) -> Any:
        """Print the contents of the database."""
        self.loader.setup(params)
        params.update_defaults(self.loader.load_doit_config())
        if params["backend"] != BACKEND:
            return DoitDumpDB(config=self.config, bin_name=self.bin_name).execute(params, args)
        database = Database(params["dep_file"], self.get_codec_cls(params["codec_cls"])())
        for name, row in database.tasks().items():
            sys.stdout.write(f"{json.dumps({name: row})}\n")
        return 0


class Forget(DoitForget):  # type: ignore[misc] # doit has no types
    """Forgets tasks. Of artifacts only the ignored flag is stored and forgotten."""

    name = "forget"

    def _execute(
        self,
        forget_sub: bool,  # noqa: FBT001 - doit's
        forget_disable_default: bool,  # noqa: FBT001 - doit's
        forget_all: bool,  # noqa: FBT001 - doit's
    ) -> None:
        tasks = {t.name: t for t in self.task_list}
        self.sel_tasks: list[str] = with_members(self.sel_tasks or list(tasks), self.task_list)
        super()._execute(forget_sub, forget_disable_default, forget_all)
        asked = not (self.sel_default_tasks and forget_disable_default) or forget_all
        if asked and any(session_of(tasks[name]) for name in (tasks if forget_all else self.sel_tasks)):
            self.outstream.write(
                "of artifacts only `ignore` is forgotten, as their records decide whether they are fresh; "
                f"`{self.bin_name} run -a TASK` builds it again\n"
            )


class Ignore(DoitIgnore):  # type: ignore[misc] # doit has no types
    """Makes runs and plans skip tasks until `doit forget`."""

    name = "ignore"

    def _execute(self, pos_args: Sequence[str]) -> None:
        super()._execute(with_members(pos_args, self.task_list))


class Info(ErrorMessages, DoitInfo):  # type: ignore[misc] # doit has no types
    """Shows a task; exits with 1 if it is not up to date."""

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


class Strace(DoitStrace):  # type: ignore[misc] # doit has no types
    """Traces the files that a task of the user's own opens."""

    name = "strace"

    def _execute(self, show_all: bool) -> Any:  # noqa: FBT001 - doit's
        selected = self.sel_tasks[0]
        if any(t.name == selected and session_of(t) for t in self.task_list):
            raise InvalidCommand(
                f"`{selected}` runs no shell command to trace\n"
                f"hint: `{self.bin_name} explain {selected}` shows the inputs of its last build"
            )
        return super()._execute(show_all)
