"""`doit plan`: what `doit` would do and why, without doing or writing anything."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from doit.dependency import JSONCodec

from ..database import BACKEND, Database
from ..freshness.answer import Action
from ..plan import Step, ordered, to_json, to_table
from .base import WorkspaceCommand, printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ..artifacts import Artifact
    from ..session import Session

_OPT_FORMAT = {
    "name": "format",
    "long": "format",
    "type": str,
    "default": "table",
    "choices": [("table", "for people"), ("json", "all of it"), ("github", "what is not fresh, as waves of jobs")],
    "help": "how the plan is printed [default: %(default)s]",
}
_OPT_CHECK = {
    "name": "check",
    "long": "check",
    "type": bool,
    "default": False,
    "help": "end with 1 where something is not fresh",
}


class Plan(WorkspaceCommand):
    """Prints the dry run. Nothing is built, and nothing is written, not even what was found out."""

    name = "plan"
    doc_purpose = "show what a run would do and why, without doing it"
    doc_usage = "[TASK ...]"
    doc_description = (
        "Of everything, or of these tasks (wildcards too) and what goes into them. "
        "build: its tool is called; attest: evidence is made again, the bytes stay; "
        "maybe: it is built if an upstream artifact gets another digest; fresh: nothing. "
        "Ends with 0, whatever the plan is; 1: a builder can't tell what it builds, 2: wrong usage."
    )
    cmd_options = (_OPT_FORMAT, _OPT_CHECK)

    def run(self, params: Any, args: list[str]) -> int:
        """Ask for every artifact that the run would come to, then print what was answered."""
        wanted = self.reached(args)
        steps: list[Step] = []
        ignored: list[str] = []
        for session in self.sessions():
            artifacts = ordered(session.artifacts, wanted)
            skipped = self._ignored(artifacts)
            ignored += skipped
            steps += _steps(session, [a for a in artifacts if a.id not in skipped])
        sys.stdout.writelines(_printed(steps, params["format"]))
        if ignored:
            sys.stderr.write(f"ignored, until `{self.bin_name} forget` names them: {', '.join(ignored)}\n")
        failures = [e for s in self.sessions() for name, e in s.failures.items() if name in wanted]
        for error in failures:
            sys.stderr.write(f"error: {error}\n")
        stale = any(step.action is not Action.FRESH for step in steps)
        return 1 if failures or (params["check"] and stale) else 0

    def _ignored(self, artifacts: Sequence[Artifact]) -> Collection[str]:
        """Return the ids that `doit` skips: those that it was told to ignore, and what is made of them."""
        if self.settings.get("backend") != BACKEND:
            return ()
        database = Database(self.settings["dep_file"], JSONCodec())
        database.own(a.id for a in artifacts)
        found: dict[str, None] = {}
        for artifact in artifacts:
            if database.get(artifact.id, "ignore:") or any(u in found for u in artifact.upstream):
                found[artifact.id] = None
        return found


def _steps(session: Session, artifacts: Sequence[Artifact]) -> Iterator[Step]:
    answers = session.answers([a.id for a in artifacts])
    return (Step(artifact=a, answer=answers[a.id], workspace=session.workspace) for a in artifacts)


def _printed(steps: Sequence[Step], form: str) -> Iterator[str]:
    if form == "json":
        yield to_json(steps)
    elif form == "github":
        from ..ci_matrix import to_github

        yield to_github(steps)
    else:
        yield from (f"{printable(line)}\n" for line in to_table(steps))
