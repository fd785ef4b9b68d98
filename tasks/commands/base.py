"""What our commands share: errors as messages, exit codes, and the tasks of the workspace."""

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

    from ..builder import Artifact
    from ..session import Session

USAGE = 2
INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""
_NO_DODO = "Could not find dodo file"
"""How doit's own message begins where there is no `dodo.py`."""


class Explained:
    """For commands of doit's own that ask about artifacts: what is wrong is a message there, too."""

    def execute(self, params: Any, args: list[str]) -> int:
        """Run the command."""
        try:
            return int(super().execute(params, args) or 0)  # type: ignore[misc] # that of the command of doit's
        except ProvenanceError as error:
            _complain(str(error))
            return error.exit_code


class WorkspaceCommand(DoitCmdBase):  # type: ignore[misc] # doit has no types
    """A command over the artifacts of the workspace; ends with 0, 1 (does not hold) or 2 (wrong or unreadable)."""

    base_options = ()
    task_list: Sequence[Any] = ()
    settings: Mapping[str, Any] = MappingProxyType({})
    """`DOIT_CONFIG`, once the tasks are loaded."""

    def parse_execute(self, in_args: list[str]) -> int:
        """Run the command; what is wrong is said on standard error, without a traceback."""
        try:
            code = int(super().parse_execute(self._options_first(in_args)) or 0)
            sys.stdout.flush()  # here, where it can be said that nobody reads it
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
        except BrokenPipeError:  # whoever read our output has left, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        else:
            return code
        return USAGE

    def _options_first(self, in_args: list[str]) -> list[str]:
        """Return the arguments with options before names: doit would take an option after a name for a name.

        Raises:
            CmdParseError: there is no such option, or it lacks its value.
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
        """Do what the command is for."""
        raise NotImplementedError(params, args)

    def refuse_arguments(self, args: list[str]) -> None:
        """Refuse arguments, for a command that takes none.

        Raises:
            UsageError: there are some.
        """
        if args:
            raise UsageError(f"`{self.name}` takes no arguments, found `{args[0]}`")

    def sessions(self) -> tuple[Session, ...]:
        """Load the tasks and return the workspaces among them."""
        if not self.task_list:
            self.loader.setup(self.params)
            self.settings = self.loader.load_doit_config()
            self.task_list = self.loader.load_tasks(cmd=self, pos_args=[])
        found = {id(s): s for t in self.task_list if (s := session_of(t)) is not None}
        return tuple(found.values())

    def artifacts(self, patterns: Sequence[str]) -> list[tuple[Session, Artifact]]:
        """Return the artifacts that task names or wildcards stand for, each once; without any, all of them.

        Raises:
            UsageError: a name or a pattern stands for nothing, or there are no artifacts at all.
            ProvenanceError: so it seems, as a builder could not tell what it builds.
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
                text = f"`{pattern}` is no artifact of this workspace{did_you_mean(pattern, sorted(tasks))}"
                raise _nothing(sessions, text, f"`{self.bin_name} list` shows them")
            found |= {i: known[i] for i in ids}
        return list(found.values())

    def reached(self, patterns: Sequence[str]) -> set[str]:
        """Return the names of all tasks that `doit run` with these task names or wildcards would come to.

        Raises:
            UsageError: a name or a pattern stands for nothing.
            ProvenanceError: so it seems, as a builder could not tell what it builds.
        """
        sessions = self.sessions()
        tasks = {t.name: t for t in self.task_list}
        for pattern in patterns:
            if not expand(pattern, tasks):
                text = f"`{pattern}` is no task of this workspace{did_you_mean(pattern, sorted(tasks))}"
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
    """Return the names of the tasks that a name or wildcard stands for, as doit's own selection does."""
    if "*" in pattern:
        return [name for name in tasks if fnmatch.fnmatchcase(name, pattern)]
    return [pattern] if pattern in tasks else []


def with_members(names: Sequence[str], task_list: Sequence[Any]) -> list[str]:
    """Return task names with the artifacts that wildcards and our groups stand for; doit takes groups for tasks."""
    tasks = {t.name: t for t in task_list}
    found: dict[str, None] = {}
    for pattern in names:
        for name in expand(pattern, tasks) or [pattern]:
            task = tasks.get(name)
            is_group = task is not None and session_of(task) is not None and not task.actions and task.task_dep
            found.update(dict.fromkeys(task.task_dep if task is not None and is_group else [name]))
    return list(found)


def printable(line: str) -> str:
    """Return `line` without what could steer a terminal or begin another line: strangers name files and packages."""
    return line if line.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in line)


def _nothing(sessions: Sequence[Session], text: str, hint: str) -> ProvenanceError:
    """Return why nothing was found: a builder could not tell what it builds, else there is nothing of this name."""
    failures = [error for s in sessions for error in s.failures.values()]
    return failures[0] if failures else UsageError(text, hint=hint)


def _complain(text: str) -> None:
    sys.stderr.write(f"error: {text}\n")
