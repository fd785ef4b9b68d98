"""`doit strace`: doit's own, which follows shell commands; an artifact's inputs are told by `explain`."""

from __future__ import annotations

from typing import Any

from doit.cmd_strace import Strace as DoitStrace
from doit.exceptions import InvalidCommand

from ..reporter import session_of


class Strace(DoitStrace):  # type: ignore[misc] # doit has no types
    """Traces the files that a task of the user's own opens."""

    name = "strace"

    def _execute(self, show_all: bool) -> Any:  # noqa: FBT001 - doit's
        selected = self.sel_tasks[0]
        if any(t.name == selected and session_of(t) for t in self.task_list):
            raise InvalidCommand(
                f"`{selected}` runs no shell command that could be traced\n"
                f"hint: `{self.bin_name} explain {selected}` tells the inputs of its last build"
            )
        return super()._execute(show_all)
