"""`doit clean`: doit's own, for which an artifact's targets are its folder in the output folder."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from doit.cmd_clean import Clean as DoitClean

from ...provenance.fs import lock
from ..clean import Removal, removal_of, remove
from ..reporter import session_of
from .base import ErrorMessages, with_members

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ..session import Session


class Clean(ErrorMessages, DoitClean):  # type: ignore[misc] # doit has no types
    """Cleans tasks. Of an artifact all files that a build writes are removed; other files are kept."""

    name = "clean"

    def _expand(self, clean_list: Sequence[str]) -> list[str]:
        return with_members(super()._expand(clean_list), self.task_list)

    def clean_tasks(self, tasks: Sequence[Any], dryrun: bool, cleanforget: bool) -> None:  # noqa: FBT001 - doit's
        """Clean the user's own tasks as doit does, and remove artifacts."""
        ours = [t for t in tasks if session_of(t)]
        self._remove(ours, dry=dryrun)
        if cleanforget and not dryrun:
            for task in ours:
                self.dep_manager.remove(task.name)
        super().clean_tasks([t for t in tasks if not session_of(t)], dryrun, cleanforget)

    def _remove(self, tasks: Sequence[Any], *, dry: bool) -> None:
        claimed: set[Session] = set()
        for task in tasks:
            session = session_of(task)
            artifact = session.artifacts.get(task.name) if session else None
            if session is None or artifact is None:
                continue  # a group; its members have tasks of their own
            removal = removal_of(session.workspace.output, artifact.folder)
            if not dry and (removal.ours or removal.left):
                if session not in claimed:
                    lock.take(session.workspace.state, command=lock.this_command(), waiting=_report_waiting)
                    claimed.add(session)
                remove(removal)
            self.outstream.writelines(f"{task.name} - {line}\n" for line in _lines(removal))


def _lines(removal: Removal) -> Iterator[str]:
    if removal.ours:
        yield f"removing `{os.path.relpath(removal.place)}`, {_count(removal.ours)}"
    for path in removal.left:
        yield f"removing `{os.path.relpath(path)}`, left by a killed run"
    for path in removal.others:
        yield f"keeping `{os.path.relpath(path)}`: not written by a build"
    if removal.reason:
        yield f"keeping `{os.path.relpath(removal.place)}`: {removal.reason}"


def _count(files: Collection[object]) -> str:
    return "1 file" if len(files) == 1 else f"{len(files)} files"


def _report_waiting(holder: lock.Holder | None) -> None:
    sys.stderr.write(f"waiting for {holder or 'another run over this workspace'} to end\n")
