"""`doit-provenance`: doit with these commands, without a `dodo.py`.

It reads provenance.toml of the current folder and runs no Python of the repository: no dodo.py, no `[tool.doit]`, no
doit.cfg. So it is safe to use in untrusted repositories.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from doit.cmd_base import TaskLoader2
from doit.doit_cmd import DoitMain
from doit.exceptions import InvalidDodoFile
from doit.task import Task

from ..provenance import VERSION
from ..provenance.errors import ProvenanceError
from .graph import Source, doit_config, tasks


class _Slim(Task):  # type: ignore[misc] # doit has no types
    """A doit task with `__slots__`, which takes a fifth of the memory: there may be tens of thousands."""

    __slots__ = tuple(vars(Task("any", None)))

    def pickle_safe_dict(self) -> dict[str, Any]:
        """Return only the name: tasks run in threads, which share the task itself."""
        return {"name": self.name}

    def update_from_pickle(self, pickle_obj: dict[str, Any]) -> None:
        """Do nothing: the task was not copied."""


class Loader(TaskLoader2):  # type: ignore[misc] # doit has no types
    """Loads the tasks of the workspace in the current folder."""

    cmd_options = ()

    def __init__(self) -> None:
        super().__init__()
        self.source = Source(Path())

    def setup(self, opt_values: Any) -> None:
        """Do nothing: tasks are loaded on demand."""

    def load_doit_config(self) -> dict[str, Any]:
        """Return this program's settings; the repository can't change them."""
        return doit_config(Path())

    def load_tasks(self, cmd: Any, pos_args: list[str]) -> list[Any]:
        """Return the tasks of all discovered artifacts."""
        del cmd, pos_args
        try:
            return [_slim(t) for t in tasks(self.source.take())]
        except ProvenanceError as error:
            raise InvalidDodoFile(str(error)) from error


class Main(DoitMain):  # type: ignore[misc] # doit has no types
    """doit's command line, named `doit-provenance`."""

    BIN_NAME = "doit-provenance"

    @staticmethod
    def print_version() -> None:
        """Print our version instead of doit's."""
        sys.stdout.write(f"doit-provenance {VERSION}\n")


def main() -> int:
    """Run the command line; the console script calls this."""
    return int(Main(Loader(), config_filenames=()).run(sys.argv[1:]) or 0)


def _slim(task: dict[str, Any]) -> Task:
    return _Slim(task["basename"], **{key: value for key, value in task.items() if key != "basename"})
