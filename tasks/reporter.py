"""doit's reporter for artifact tasks: chooses the display, and writes the summary at the end of a run."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

from doit.exceptions import UnmetDependency
from doit.reporter import ConsoleReporter

from .session import Session

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .progress.progress import Display
    from .progress.summary import Failure

META = "doit-provenance"
"""Key of the session in a task's `meta`."""


class Reporter(ConsoleReporter):  # type: ignore[misc] # doit has no types
    """Shows the progress of artifact tasks and a summary; the user's own tasks are reported as doit does.

    doit calls it for every task; for fresh artifacts, of which there may be many thousands, it does nothing.
    """

    desc = "live lines, folded groups or JSON events; artifacts with digest, packages and time"

    def __init__(self, outstream: Any, options: Any) -> None:
        super().__init__(outstream, options)
        self._sessions: list[Session] = []
        self._failures: dict[str, Failure] = {}
        self._not_built: dict[str, str] = {}
        self._passed: set[str] = set()
        self._foreign: set[str] = set()
        self._lock = threading.Lock()

    def initialize(self, tasks: Mapping[str, Any], selected_tasks: Collection[str]) -> None:
        """Tell each session which of its artifacts are selected: a group is built in one tool call."""
        self._sessions = list({id(s): s for t in tasks.values() if (s := session_of(t))}.values())
        if self._sessions:
            self.begin(self._sessions, _with_dependencies(tasks, selected_tasks))

    def begin(self, sessions: list[Session], wanted: set[str]) -> None:
        """Show the run of these sessions, which is for the tasks `wanted` and no others."""
        from .progress.displays import choose_display
        from .progress.progress import Display

        self._sessions = sessions
        self._display = sessions[0].context.progress.display
        if type(self._display) is Display:  # the one that shows nothing
            self._display = choose_display(sys.stderr, os.environ, sessions[0].context.progress.redact)
        for session in sessions:
            session.selected = wanted & session.artifacts.keys()
            session.context.progress.display = self._display

    @cached_property
    def _display(self) -> Display:
        """The run's display; without tasks of ours, one that shows nothing."""
        from .progress.progress import Display

        return Display()

    def execute_task(self, task: Any) -> None:
        """Report the start of a task of the user's own and release the terminal to it."""
        if session_of(task) is None:
            with self._lock:  # doit calls this from many threads
                self._foreign.add(task.name)
            self._display.suspend()
            super().execute_task(task)

    def add_success(self, task: Any) -> None:
        """Report a finished task."""
        session = session_of(task)
        if session is None:
            self._resume(task)
            super().add_success(task)
            return
        self._passed.add(task.name)
        if (outcome := session.outcomes.get(task.name)) is not None:
            fields: dict[str, Any] = {"digest": str(outcome.digest), "seconds": round(outcome.seconds, 3)}
            if outcome.since:
                fields["since"] = outcome.since
            fields["log"] = session.context.progress.log_of(outcome.artifact)
            self._display.ended(task.name, f"artifact.{outcome.done}", fields)

    def add_failure(self, task: Any, fail: Any) -> None:
        """Collect a failure for the summary; that of a whole group counts once."""
        session = session_of(task)
        if session is None:
            self._resume(task)
            super().add_failure(task, fail)
        elif isinstance(fail, UnmetDependency):
            if task.name in session.artifacts:
                self._not_built[task.name] = fail.message
        else:
            self._fail(task.name, fail.get_msg().strip(), session)

    def skip_uptodate(self, task: Any) -> None:
        """Report an up-to-date task of the user's own; fresh artifacts are counted in the summary."""
        if session_of(task) is None:
            super().skip_uptodate(task)

    def skip_ignore(self, task: Any) -> None:
        """Report an ignored task."""
        self._passed.add(task.name)
        super().skip_ignore(task)

    def complete_run(self) -> None:
        """Close the display and write the summary."""
        self._display.close()
        super().complete_run()
        if self._sessions:
            self._write_summary()
            self._write_failures()

    def _fail(self, name: str, text: str, session: Session) -> None:
        from .progress.summary import Failure

        progress = session.context.progress
        text = progress.redact(text)
        artifact = session.artifacts.get(name)
        log = progress.log_of(artifact) if artifact else None
        fields: dict[str, Any] = {"error": text, "log": log}
        if log and "\nlog: " not in text:
            text += f"\nlog: {log}"
        failure = self._failures.setdefault(text, Failure(text=text, call=progress.failed_call(name)))
        failure.names.append(name)
        self._display.ended(name, "artifact.failed", fields)

    def _write_summary(self) -> None:
        from .pipeline.outcome import Done
        from .progress.summary import not_built, not_reached, table

        selected = [(s, a) for s in self._sessions for a in s.artifacts.values() if a.id in s.selected]
        outcomes = [s.outcomes[a.id] for s, a in selected if a.id in s.outcomes]
        failed = {name for failure in self._failures.values() for name in failure.names}
        failed |= {a.id for s, a in selected if s.context.progress.failed_call(a.id)}  # with their group
        reached = {o.artifact.id for o in outcomes} | failed | self._not_built.keys() | self._passed
        width = shutil.get_terminal_size().columns if self.outstream.isatty() else None
        self.write(table(outcomes, width=width))
        if any(o.done in {Done.BUILT, Done.TAKEN} for o in outcomes):
            places = sorted({os.path.relpath(s.workspace.output) for s in self._sessions})
            self.write(f"in {', '.join(f'`{place}/`' for place in places)}, each with its evidence\n")
        self.write("".join(not_built(name, upstream) for name, upstream in self._not_built.items()))
        self.write(not_reached(sum(a.id not in reached for _, a in selected), failed=bool(self._failures)))
        self.outstream.flush()

    def _write_failures(self) -> None:
        """Write failures with the tool's last output, on the terminal even if results are redirected."""
        stream = self._display.errors or self.outstream
        colours = self._display.colours
        for failure in self._failures.values():
            stream.write(self._display.guarded(failure.shown(colours=colours)))
        stream.flush()

    def _resume(self, task: Any) -> None:
        with self._lock:
            suspended = task.name in self._foreign
            self._foreign.discard(task.name)
        if suspended:
            self._display.resume()


def session_of(task: Any) -> Session | None:
    """Return the session of an artifact task; `None` for other tasks."""
    session = (task.meta or {}).get(META)
    return session if isinstance(session, Session) else None


def _with_dependencies(tasks: Mapping[str, Any], names: Collection[str]) -> set[str]:
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in tasks and name not in found:
            found.add(name)
            pending += tasks[name].task_dep
    return found
