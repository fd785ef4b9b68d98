"""`doit explain`: why an artifact is fresh or stale, by which inputs, since when, and what depends on it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from ...provenance.errors import UsageError
from ..freshness.answer import Action
from ..freshness.inputs import Kind, parts
from ..plan import Step, in_words
from .base import WorkspaceCommand, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ...provenance.json import JSONValue
    from ..artifacts import Artifact
    from ..freshness.explain import Explanation
    from ..session import Session

_OPT_FORMAT = {
    "name": "format",
    "long": "format",
    "type": str,
    "default": "text",
    "choices": [("text", "for people"), ("json", "all of it")],
    "help": "how it is printed [default: %(default)s]",
}
_OPT_ALL = {
    "name": "all",
    "short": "a",
    "long": "all",
    "type": bool,
    "default": False,
    "help": "list the inputs that did not change as well",
}
_STATES = {
    Action.BUILD: "stale: it would be built",
    Action.ATTEST: "stale: evidence would be made again, the bytes stay",
    Action.MAYBE: "it would be built if what goes into it gets another digest",
    Action.FRESH: "fresh",
}
_CUT = 160
"""Characters of a value in the text; JSON has all of it."""


class Explain(WorkspaceCommand):
    """Explains artifacts; nothing is built or written."""

    name = "explain"
    doc_purpose = "explain why an artifact is fresh or stale, and what depends on it"
    doc_usage = "TASK ..."
    doc_description = (
        "TASK is an artifact, a group or a wildcard. Of environment variables digests are shown, never values."
    )
    cmd_options = (_OPT_FORMAT, _OPT_ALL)

    def run(self, params: Any, args: list[str]) -> int:
        """Explain each artifact that was asked for."""
        if not args:
            raise UsageError("no artifact is named", hint=f"`{self.bin_name} plan` shows all of them")
        found = [(session, artifact, session.explain(artifact.id)) for session, artifact in self.artifacts(args)]
        if params["format"] == "json":
            sys.stdout.write(json.dumps({"artifacts": [_entry(*entry) for entry in found]}, indent=1) + "\n")
        else:
            for entry in found:
                sys.stdout.writelines(f"{printable(line)}\n" for line in _lines(*entry, everything=params["all"]))
        return 0


def downstream(artifacts: Mapping[str, Artifact], id_: str) -> list[str]:
    """Return the ids of all that `id_` goes into, those that it goes into directly first."""
    users: dict[str, list[str]] = {}
    for artifact in artifacts.values():
        for upstream in artifact.upstream:
            users.setdefault(upstream, []).append(artifact.id)
    found: dict[str, None] = {}
    pending = [id_]
    for name in pending:  # it grows meanwhile
        new = [user for user in users.get(name, ()) if user not in found]
        found.update(dict.fromkeys(new))
        pending += new
    return list(found)


def _changed(explanation: Explanation) -> dict[str, tuple[str | None, str | None]]:
    """Return each input that is not what it was, with its values before and now; `None`: there was, or is, none."""
    before, now = explanation.recorded, explanation.now
    keys = dict.fromkeys((*before, *now)) if before else ()
    return {of: (before.get(of), now.get(of)) for of in keys if before.get(of) != now.get(of)}


def _entry(session: Session, artifact: Artifact, explanation: Explanation) -> dict[str, JSONValue]:
    step = Step(artifact=artifact, answer=explanation.answer, workspace=session.workspace)
    before, now = explanation.recorded, explanation.now
    return {
        "artifact": artifact.id,
        "action": step.action.value,
        "reasons": [{"code": r.code.value, "detail": r.detail} for r in step.reasons],
        "digest": str(step.digest) if step.digest else None,
        "built": f"{explanation.built:%Y-%m-%dT%H:%M:%SZ}" if explanation.built else None,
        "invocation": explanation.invocation or None,
        "confirmed": explanation.confirmed or None,
        "inputs": [
            {"input": of, "before": before.get(of), "now": now.get(of)} for of in sorted(dict.fromkeys((*before, *now)))
        ],
        "upstream": list(artifact.upstream),
        "downstream": list(downstream(session.artifacts, artifact.id)),
    }


def _lines(session: Session, artifact: Artifact, explanation: Explanation, *, everything: bool) -> Iterator[str]:
    step = Step(artifact=artifact, answer=explanation.answer, workspace=session.workspace)
    yield artifact.id
    yield _row("state", _STATES[step.action])
    yield from (_row("because", in_words(reason)) for reason in step.reasons)
    if step.digest:
        yield _row("digest", str(step.digest))
    if explanation.built:
        yield _row("built", f"{explanation.built:%Y-%m-%d %H:%M:%S} UTC, by the run {explanation.invocation}")
    if explanation.confirmed:
        yield _row("since", f"{explanation.confirmed}, when this workspace last built or attested it")
    changed = _changed(explanation)
    for of, (before, now) in sorted(changed.items()):
        yield f"  {of}"
        yield f"    was  {_value(before)}"
        yield f"    now  {_value(now) if now or parts(of)[0] is not Kind.ARTIFACT else 'known once it is built'}"
    same = [of for of in explanation.now if of not in changed]
    yield _row("inputs", f"{_counted(same)} {'unchanged' if explanation.recorded else 'known before it is built'}")
    if everything:
        yield from (f"    {of}  {_value(explanation.now[of])}" for of in sorted(same))
    yield _row("made of", ", ".join(artifact.upstream) or "no other artifact")
    yield _row("goes into", ", ".join(downstream(session.artifacts, artifact.id)) or "no other artifact")
    yield ""


def _counted(keys: Sequence[str]) -> str:
    counts = Counter(parts(of)[0] for of in keys)
    return ", ".join(f"{n} {kind}{'' if n == 1 else 's'}" for kind in Kind if (n := counts[kind])) or "none"


def _value(value: str | None) -> str:
    if value is None:
        return "not there"
    return value if len(value) <= _CUT else f"{value[:_CUT]}…"


def _row(title: str, text: str) -> str:
    return f"  {title + ':':<12}{text}"
