"""Base classes of the commands: error messages, exit codes, and the selection of tasks."""

from __future__ import annotations

import fnmatch
import getopt
import os
import re
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from doit.cmd_base import DoitCmdBase
from doit.cmdparse import CmdParseError
from doit.control import TaskControl
from doit.exceptions import InvalidCommand, InvalidDodoFile, InvalidTask

from ...provenance.errors import ProvenanceError, UsageError, did_you_mean
from ..reporter import session_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..artifacts import Artifact
    from ..session import Session

USAGE = 2
INTERRUPTED = 130
"""128 + SIGINT, as in shells."""
_NO_DODO = "Could not find dodo file"
"""Start of doit's message if there is no `dodo.py`."""


class ErrorMessages:
    """Mixin for doit's own commands that deal with artifacts: prints errors as messages."""

    def execute(self, params: Any, args: list[str]) -> int:
        """Run the command."""
        try:
            return int(super().execute(params, args) or 0)  # type: ignore[misc] # that of the command of doit's
        except ProvenanceError as error:
            _complain(str(error))
            return error.exit_code


class WorkspaceCommand(DoitCmdBase):  # type: ignore[misc] # doit has no types
    """A command over the artifacts of the workspace; exits with 0, 1 (failed) or 2 (usage or unreadable input)."""

    base_options = ()
    task_list: Sequence[Any] = ()
    settings: Mapping[str, Any] = MappingProxyType({})
    """`DOIT_CONFIG`, once the tasks are loaded."""

    def parse_execute(self, in_args: list[str]) -> int:
        """Run the command; errors are printed to standard error, without a traceback."""
        try:
            code = int(super().parse_execute(self._options_first(in_args)) or 0)
            sys.stdout.flush()  # here, so that a broken pipe is handled below
        except CmdParseError as error:
            what = str(error).partition(" (parsing options")[0]
            _complain(f"{what}\nhint: `{self.bin_name} help {self.name}` lists what it takes")
        except (InvalidCommand, InvalidDodoFile, InvalidTask) as error:
            text = str(error).strip()
            if text.startswith(_NO_DODO):
                text += f"\nhint: `doit init` writes one; `doit-provenance {self.name}` needs none"
            _complain(text)
        except ProvenanceError as error:
            _complain(str(error))
            return error.exit_code
        except KeyboardInterrupt:
            sys.stderr.write("interrupted\n")
            return INTERRUPTED
        except BrokenPipeError:  # the reader of the output has exited, like `head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        else:
            return code
        return USAGE

    def _options_first(self, in_args: list[str]) -> list[str]:
        """Move options before names: doit would take an option after a name for another name.

        Raises:
            CmdParseError: an option is unknown or lacks its value.
        """
        short, long = self.cmdparser.get_short(), self.cmdparser.get_long()
        try:
            options, names = getopt.gnu_getopt(in_args, short, long)
        except getopt.GetoptError as error:
            raise CmdParseError(str(error)) from error
        valued = {f"--{name[:-1]}" for name in long if name.endswith("=")} | {
            f"-{s}" for s in re.findall("(.):", short)
        }
        words = [word for name, value in options for word in ((name, value) if name in valued else (name,))]
        return [*words, "--", *names]

    def execute(self, params: Any, args: list[str]) -> int:
        """Run with options and arguments; tasks are loaded when `sessions` is first called."""
        self.params = params
        return self.run(params, args)

    def run(self, params: Any, args: list[str]) -> int:
        """Execute the command."""
        raise NotImplementedError(params, args)

    def refuse_arguments(self, args: list[str]) -> None:
        """Require that there are no arguments.

        Raises:
            UsageError: there are arguments.
        """
        if args:
            raise UsageError(f"`{self.name}` takes no arguments, found `{args[0]}`")

    def sessions(self) -> tuple[Session, ...]:
        """Load the tasks and return their sessions."""
        if not self.task_list:
            self.loader.setup(self.params)
            self.settings = self.loader.load_doit_config()
            self.task_list = self.loader.load_tasks(cmd=self, pos_args=[])
        found = {id(s): s for t in self.task_list if (s := session_of(t)) is not None}
        return tuple(found.values())

    def artifacts(self, patterns: Sequence[str]) -> list[tuple[Session, Artifact]]:
        """Return the artifacts matching task names or wildcards, each once; all artifacts if there are no patterns.

        Raises:
            UsageError: a pattern matches nothing, or there are no artifacts.
            ProvenanceError: likewise, but the discovery of a builder failed.
        """
        sessions = self.sessions()
        known = {a.id: (s, a) for s in sessions for a in s.artifacts.values()}
        tasks = {t.name: t for t in self.task_list}
        if not patterns:
            if not known or any(s.failures for s in sessions):
                hint = f"name files or folders, or run it in a workspace; `{self.bin_name} init` shows what one has"
                raise _nothing(sessions, "this workspace has no artifacts", hint)
            return list(known.values())
        found: dict[str, tuple[Session, Artifact]] = {}
        for pattern in patterns:
            matches = expand(pattern, tasks)
            ids = [i for name in matches for i in ([name] if name in known else tasks[name].task_dep) if i in known]
            if not ids:
                text = f"`{pattern}` is not an artifact of this workspace{did_you_mean(pattern, sorted(tasks))}"
                raise _nothing(sessions, text, f"`{self.bin_name} list` shows them")
            found |= {i: known[i] for i in ids}
        return list(found.values())

    def reached(self, patterns: Sequence[str]) -> set[str]:
        """Return the names of all tasks that `doit run` would reach with these task names or wildcards.

        Raises:
            UsageError: a pattern matches nothing.
            ProvenanceError: likewise, but the discovery of a builder failed.
        """
        sessions = self.sessions()
        tasks = {t.name: t for t in self.task_list}
        for pattern in patterns:
            if not expand(pattern, tasks):
                text = f"`{pattern}` is not a task of this workspace{did_you_mean(pattern, sorted(tasks))}"
                raise _nothing(sessions, text, f"`{self.bin_name} list` shows them")
        control = TaskControl(self.task_list)  # finds what tasks depend on by wildcards and by files
        selected = patterns or self.settings.get("default_tasks") or tasks
        pending = [name for pattern in selected for name in expand(pattern, tasks)]
        found: set[str] = set()
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += (*control.tasks[name].task_dep, *control.tasks[name].setup_tasks)
        return found


def expand(pattern: str, tasks: Any) -> list[str]:
    """Return the task names that a name or wildcard matches, with the rules of doit's selection."""
    if "*" in pattern:
        return [name for name in tasks if fnmatch.fnmatchcase(name, pattern)]
    return [pattern] if pattern in tasks else []


def with_members(names: Sequence[str], task_list: Sequence[Any]) -> list[str]:
    """Expand wildcards and groups to the artifacts in them; for doit a group is a task."""
    tasks = {t.name: t for t in task_list}
    found: dict[str, None] = {}
    for pattern in names:
        for name in expand(pattern, tasks) or [pattern]:
            task = tasks.get(name)
            is_group = task is not None and session_of(task) is not None and not task.actions and task.task_dep
            found.update(dict.fromkeys(task.task_dep if task is not None and is_group else [name]))
    return list(found)


def printable(line: str) -> str:
    """Replace control characters and line breaks, which untrusted names of files and packages may contain."""
    return line if line.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in line)


def _nothing(sessions: Sequence[Session], text: str, hint: str) -> ProvenanceError:
    """Return the error if nothing matches: a failed discovery if there is one, else `text`."""
    failures = [error for s in sessions for error in s.failures.values()]
    return failures[0] if failures else UsageError(text, hint=hint)


def _complain(text: str) -> None:
    sys.stderr.write(f"error: {text}\n")
