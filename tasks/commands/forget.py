"""`doit forget`: doit's own, which says what that means for artifacts."""

from __future__ import annotations

from doit.cmd_forget import Forget as DoitForget

from ..reporter import session_of
from .base import with_members


class Forget(DoitForget):  # type: ignore[misc] # doit has no types
    """Forgets tasks. Of artifacts there is nothing to forget but that they are ignored."""

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
                "of an artifact only `ignore` is forgotten: whether it is fresh its record says; "
                f"`{self.bin_name} run -a TASK` builds it again\n"
            )
