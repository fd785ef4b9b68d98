"""The plan (dry run): what a run would do with each artifact and why, as values, table and JSON.

The JSON Schema is `docs/plan.schema.json`; the user documentation `docs/plan.md`.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from .freshness.answer import Action, Code, Depends, Fresh, Reason, Stale

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ..provenance.digest import Digest
    from ..provenance.json import JSONValue
    from .artifacts import Artifact
    from .freshness.answer import Answer
    from .workspace import Workspace

_SHOWN = 2
"""Maximum number of reasons per line of the table; others are counted."""
_TOTALS = {
    Action.BUILD: "to build",
    Action.ATTEST: "to attest",
    Action.MAYBE: "to build if an upstream artifact changes",
    Action.FRESH: "fresh",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a run would do with one artifact."""

    artifact: Artifact
    answer: Answer
    workspace: Workspace

    @property
    def action(self) -> Action:
        """The action."""
        match self.answer:
            case Fresh():
                return Action.FRESH
            case Depends():
                return Action.MAYBE
            case Stale(action=action):
                return action
            case _ as never:
                assert_never(never)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The reasons; for `maybe` the upstream artifacts whose digests decide."""
        match self.answer:
            case Fresh():
                return ()
            case Depends(upstream=upstream):
                return tuple(Reason(code=Code.UPSTREAM_CHANGED, detail=id_) for id_ in upstream)
            case Stale(reasons=reasons):
                return reasons
            case _ as never:
                assert_never(never)

    @property
    def digest(self) -> Digest | None:
        """The digest of the existing artifact, if it would be kept."""
        return self.answer.digest

    @property
    def outputs(self) -> list[str]:
        """Paths of all outputs from the workspace's root; patterns where only the build determines the names."""
        names = self.artifact.names
        folder = (self.workspace.config.project.output / self.artifact.folder).as_posix()
        return [f"{folder}/{name}" for name in (names.artifact, *names.evidence, names.record)]


def ordered(artifacts: Mapping[str, Artifact], wanted: Collection[str]) -> list[Artifact]:
    """Return the artifacts `wanted` (ids) and their upstream artifacts, upstream first, else as discovered."""
    result: dict[str, Artifact] = {}
    seen: set[str] = set()
    for first in artifacts:
        if first not in wanted:
            continue
        pending = [(first, False)]
        while pending:
            id_, complete = pending.pop()
            if complete:
                result[id_] = artifacts[id_]
            elif id_ not in seen and id_ in artifacts:
                seen.add(id_)
                pending.append((id_, True))
                pending += [(upstream, False) for upstream in reversed(artifacts[id_].upstream)]
    return list(result.values())


def to_json(steps: Sequence[Step]) -> str:
    """Return the plan as JSON, one line per artifact."""
    lines = ",\n".join(json.dumps(_entry(step)) for step in steps)
    return f'{{"artifacts": [\n{lines}\n]}}\n' if lines else '{"artifacts": []}\n'


def to_table(steps: Sequence[Step]) -> Iterator[str]:
    """Yield the lines of the plan as a table."""
    width = max((len(step.artifact.id) for step in steps), default=0)
    for step in steps:
        yield f"{step.artifact.id:<{width}}  {step.action:<6}  {_why(step.reasons)}".rstrip()
    counts = Counter(step.action for step in steps)
    yield ", ".join(f"{counts[action]} {text}" for action, text in _TOTALS.items() if counts[action]) or "no artifacts"


def in_words(reason: Reason) -> str:
    """Format a reason for display."""
    text = reason.code.replace("-", " ")
    return f"{text}: {reason.detail}" if reason.detail else text


def _why(reasons: Sequence[Reason]) -> str:
    more = len(reasons) - _SHOWN
    return "; ".join(in_words(r) for r in reasons[:_SHOWN]) + (f"; {more} more" if more > 0 else "")


def _entry(step: Step) -> dict[str, JSONValue]:
    artifact = step.artifact
    return {
        "artifact": artifact.id,
        "builder": artifact.builder,
        "name": artifact.name,
        "platform": artifact.platform,
        "group": artifact.group,
        "upstream": list(artifact.upstream),
        "action": step.action.value,
        "reasons": [{"code": r.code.value, "detail": r.detail} for r in step.reasons],
        "outputs": list(step.outputs),
        "digest": str(step.digest) if step.digest else None,
    }
