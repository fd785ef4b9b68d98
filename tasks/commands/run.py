"""`doit` and `doit run`: doit's own, which also refuses a selection that matches nothing."""

from __future__ import annotations

import sqlite3
import sys
from typing import Any

from doit.cmd_run import Run as DoitRun
from doit.dependency import DatabaseException
from doit.exceptions import InvalidCommand

from ...provenance.errors import did_you_mean
from ..builder import STATE
from ..reporter import session_of
from .base import INTERRUPTED, expand


class Run(DoitRun):  # type: ignore[misc] # doit has no types
    """Runs tasks.

    For a wildcard that matches nothing doit does nothing and reports success. With our tasks around it is an error,
    each pattern by itself, as what should have been built was not.
    """

    name = "run"

    def execute(self, params: Any, args: list[str]) -> Any:
        """Run the tasks, once the selection is known to be one."""
        load = self.loader.load_tasks

        def checked(cmd: Any, pos_args: list[str]) -> Any:
            tasks = load(cmd=cmd, pos_args=pos_args)
            sessions = {id(s): s for t in tasks if (s := session_of(t))}.values()
            for session in sessions:
                session.runs = True
                session.always = bool(params["always"])
            if sessions:
                names = {t.name: t for t in tasks}
                for pattern in pos_args:
                    if "*" in pattern and not expand(pattern, names):
                        raise InvalidCommand(f"`{pattern}` matches no task{did_you_mean(pattern, sorted(names))}")
            return tasks

        self.loader.load_tasks = checked
        try:
            return super().execute(params, args)
        except KeyboardInterrupt:
            sys.stderr.write("interrupted; what the output folder held before is there as it was\n")
            return INTERRUPTED
        except (sqlite3.Error, DatabaseException) as error:
            reason = str(error).rpartition("Original error: ")[2]
            sys.stderr.write(
                f"error: doit can't use its database `{STATE}/doit.db`: {reason}\n"
                "hint: free some disk space, or wait for another run to end; the file may be removed\n"
            )
            return 1
