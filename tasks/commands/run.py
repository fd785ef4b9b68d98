"""`doit` and `doit run`: doit's own, which also refuses a selection that matches nothing and fixes exit codes."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import signal
import sqlite3
import sys
import threading
from typing import TYPE_CHECKING, Any

from doit.cmd_base import DodoTaskLoader
from doit.cmd_run import Run as DoitRun
from doit.dependency import DatabaseException
from doit.exceptions import InvalidCommand, TaskFailed, UnmetDependency

from ...provenance.errors import ProvenanceError, did_you_mean
from ..database import Database
from ..graph import Source, only_source
from ..reporter import Reporter, session_of
from ..workspace import STATE
from .base import INTERRUPTED, expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import FrameType

    from ..session import Session

FAILED = 1
"""Tasks failed, and others were skipped because of them."""
_ERROR = 2
_OFF = {"always", "single", "pdb", "auto_delayed_regex"}
"""Options with which a run goes the ordinary way."""
_ANY = {"verbosity", "continue_", "num_process", "par_type", "force_verbosity", "failure_verbosity"}
"""Options that make no difference to a run in which there is nothing to do."""
TERMINATED = 128 + signal.SIGTERM


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM, handled like Ctrl-C."""


class Run(DoitRun):  # type: ignore[misc] # doit has no types
    """Runs tasks.

    If a wildcard matches nothing, doit does nothing and reports success. In a workspace with artifacts that is an
    error, for each pattern separately.

    If all tasks are artifacts and everything selected is fresh, no task is created: for ten thousand of them, doit's
    own bookkeeping would take longer than looking at all their files. Output and exit code are the same.
    """

    name = "run"
    _has_artifacts = False
    _nothing_to_do: Reporter | None = None

    def execute(self, params: Any, args: list[str]) -> Any:
        """Check the selection and run the tasks."""
        load = self.loader.load_tasks
        sessions: list[Session] = []
        names: dict[str, Any] = {}

        def checked(cmd: Any, pos_args: list[str]) -> Any:
            if self._is_fresh(params, sessions):
                return []
            tasks = load(cmd=cmd, pos_args=pos_args)
            sessions[:] = {id(s): s for t in tasks if (s := session_of(t))}.values()
            for session in sessions:
                session.runs = True
                session.always = bool(params["always"])
            self._has_artifacts = bool(sessions)
            if sessions:
                names.update((t.name, t) for t in tasks)
                for pattern in pos_args:
                    if "*" in pattern and not expand(pattern, names):
                        raise self._unknown(f"`{pattern}` matches no task", pattern, names, sessions)
            return tasks

        self.loader.load_tasks = checked
        try:
            with _cleaned_up(sessions):
                return self._run(params, args, names, sessions)
        except KeyboardInterrupt as interrupt:
            sys.stderr.write("interrupted; artifacts that were not finished keep their previous version\n")
            return TERMINATED if isinstance(interrupt, _TerminatedError) else INTERRUPTED
        except BrokenPipeError:  # the reader of the output has exited, like `head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except (sqlite3.Error, DatabaseException) as error:
            reason = str(error).rpartition("Original error: ")[2]
            sys.stderr.write(
                f"error: doit can't use its database `{STATE}/doit.db`: {reason}\n"
                "hint: free some disk space, or wait for another run to end; the file may be removed\n"
            )
            return FAILED

    def _is_fresh(self, params: Any, sessions: list[Session]) -> bool:
        """Tell whether the run is known to have nothing to do; if not, doit's tasks go by what was found out here."""
        source = self._source(params)
        if source is None or not isinstance(self.dep_manager.backend, Database):
            return False
        try:
            session = source.open()
        except ProvenanceError:
            return False  # loading the tasks says it
        wanted = _selected(session, self.sel_tasks)
        if not wanted or self.dep_manager.backend.ignores(session.artifacts):
            return False
        sessions.append(session)
        session.runs = True
        reporter = Reporter(params["outfile"], {"failure_verbosity": params["failure_verbosity"]})
        reporter.begin([session], wanted)
        try:
            is_fresh = session.nothing_to_do()
        except BaseException:  # interrupted: as doit ends then
            self.dep_manager.close()
            reporter.complete_run()
            raise
        self._nothing_to_do = reporter if is_fresh else None
        return is_fresh

    def _source(self, params: Any) -> Source | None:
        """Return the workspace that all tasks are of; `None`: there are others, or options that only doit knows."""
        options = inspect.signature(DoitRun._execute).parameters.keys() - {"self"}  # noqa: SLF001 - as doit itself does
        if (
            options != {"reporter", "outfile", *_OFF, *_ANY}
            or params["reporter"] is not Reporter
            or isinstance(params["outfile"], str)
            or any(params[name] for name in _OFF)
            or any(section.startswith("task:") for section in self.config)
        ):
            return None
        source = getattr(self.loader, "source", None)
        if isinstance(source, Source):
            return source
        if type(self.loader) is not DodoTaskLoader:
            return None
        return only_source(self.loader.namespace, self.loader.cmd_names)

    def _run(self, params: Any, args: list[str], names: Iterable[str], sessions: list[Session]) -> Any:
        """Run the tasks; translate doit's error for an unknown name (`names` is filled by then)."""
        try:
            return super().execute(params, args)
        except InvalidCommand as error:
            if error.not_found is None or not sessions:
                raise
            what = f"`{error.not_found}` is not a command, a task, or a target of a task"
            raise self._unknown(what, error.not_found, names, sessions) from error

    def _unknown(self, what: str, name: str, known: Iterable[str], sessions: list[Session]) -> InvalidCommand:
        """Return the error for an unknown name, with the errors of builders whose discovery failed."""
        if failures := [(builder, error) for s in sessions for builder, error in s.failures.items()]:
            reasons = "\n".join(f"`{builder}` can't tell what it builds: {error}" for builder, error in failures)
            return InvalidCommand(f"{what}; but not all could be found\n{reasons}")
        guess = did_you_mean(name, sorted(known))
        return InvalidCommand(f"{what}{guess}\nhint: `{self.bin_name} list` shows the tasks")

    @functools.wraps(DoitRun._execute)  # noqa: SLF001 - by the signature of which doit chooses what it passes
    def _execute(self, outfile: Any, *, reporter: Any = "console", **options: Any) -> int:
        """Run the tasks; tasks skipped because of a failed dependency are no error of their own.

        Artifacts are built by threads, whatever was asked for: what builders share would be lost between processes.
        """
        if self._nothing_to_do is not None:
            self.dep_manager.close()
            self._nothing_to_do.complete_run()
            return 0
        kinds: set[type] = set()
        base = self.reporters[reporter] if isinstance(reporter, str) else reporter
        if self._has_artifacts:
            options["par_type"] = "thread"
        result = int(super()._execute(outfile, reporter=_counting(base, kinds), **options))
        return FAILED if result == _ERROR and kinds <= {TaskFailed, UnmetDependency} and kinds else result


def _selected(session: Session, names: Sequence[str] | None) -> set[str] | None:
    """Return the ids of the artifacts that a run for the tasks `names` comes to; `None`: only doit can tell.

    Args:
        session: in which everything was discovered.
        names: of artifacts or groups, or wildcards; `None`: all.
    """
    artifacts = session.artifacts
    is_whole = sum(map(len, session.discovered.values())) == len(artifacts)  # else two are of one name
    if session.failures or not is_whole or any(u not in artifacts for a in artifacts.values() for u in a.upstream):
        return None
    if names is None:
        return set(artifacts)
    tasks: dict[str, list[str]] = {id_: [id_] for id_ in artifacts}
    for artifact in artifacts.values():
        for group in (artifact.builder, f"{artifact.builder}:{artifact.name}"):
            tasks.setdefault(group, []).append(artifact.id)
    selected: list[str] = []
    for name in names:
        matches = expand(name, tasks)
        if not matches:
            return None
        selected += [id_ for match in matches for id_ in tasks[match]]
    return set(session.judge.with_upstream(selected))


def _counting(base: type, kinds: set[type]) -> type:
    """Return a reporter, doit's or ours, that takes note of what kinds of failure there were; doit tells the worst."""

    def add_failure(self: Any, task: Any, fail: Any) -> None:
        kinds.add(type(fail))
        base.add_failure(self, task, fail)  # type: ignore[attr-defined] # each reporter has it

    return type(base.__name__, (base,), {"add_failure": add_failure})


@contextlib.contextmanager
def _cleaned_up(sessions: list[Session]) -> Iterator[None]:
    """Clean up however the block ends: close displays, end child processes, save the state."""
    if is_main := threading.current_thread() is threading.main_thread():  # no other may handle signals
        previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except KeyboardInterrupt:
        from ...provenance.process import end_all

        end_all()
        raise
    else:
        for session in sessions:
            session.leave()
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, previous)
        for session in sessions:
            session.context.progress.display.close()
            session.close()


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise _TerminatedError
