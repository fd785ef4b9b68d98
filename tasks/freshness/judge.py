"""What is to be done with each artifact of a workspace: asked by `doit plan` and by a run alike, in one way."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ...provenance.errors import ProvenanceError
from .answer import Action, Answer, Code, Depends, Fresh, Invalid, Reason, Stale
from .freshness import Freshness, Held
from .inputs import MEASURED, InputHasher, Kind, parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ...provenance.attest.slsa import Provenance
    from ..artifacts import Artifact
    from ..builder import Builder
    from ..context import Context
    from ..pipeline.signer import Signer
    from .changes import Upstream
    from .explain import Explanation
    from .inputs import Declared
    from .state import State


_FEW = 8
"""Artifacts; what is remembered of more than these is read in one go."""


class Judge:
    """Judges the artifacts of one workspace; it writes nothing.

    Attributes:
        artifacts: all that was discovered, by id.
        builders: by name; they may be added later.
        meter: measures inputs, each once until it is told to forget.
    """

    def __init__(self, context: Context, state: State, signer: Signer, builders: Mapping[str, Builder]) -> None:
        self.artifacts = context.artifacts
        self.builders = builders
        self.meter = InputHasher(context.workspace.root, made=context.build_dirs)
        self._output = context.workspace.output
        self._state = state
        self._signer = signer

    def answers(self, ids: Iterable[str]) -> dict[str, Answer]:
        """Return what a run would do with these artifacts and all that goes into them, upstream first.

        Raises:
            ProvenanceError: an input can't be read, or a builder can't tell.
        """
        found = {}
        for id_, answer in self.judge_all(ids).items():
            if isinstance(answer, ProvenanceError):
                raise answer
            found[id_] = answer
        return found

    def with_upstream(self, ids: Iterable[str]) -> list[str]:
        """Return these artifacts and all that goes into them, each once, upstream first.

        What a builder whose discovery failed would have made is left out; a ring ends where it began (doit refuses it).
        """
        found: dict[str, None] = {}
        met: set[str] = set()
        pending = [(id_, False) for id_ in reversed(list(ids))]
        while pending:
            id_, is_done = pending.pop()
            if is_done:
                found[id_] = None
            elif id_ not in met and id_ in self.artifacts:
                met.add(id_)
                pending.append((id_, True))
                pending += [(u, False) for u in reversed(self.artifacts[id_].upstream)]
        return list(found)

    def judge_all(self, ids: Iterable[str]) -> dict[str, Answer | ProvenanceError]:
        """Return what `answers` does, with an error in the place of an answer that can't be given."""
        found: dict[str, Answer | ProvenanceError] = {}

        def digest(of: str) -> str | None:
            match found.get(of):
                case Fresh(digest=digest) | Stale(action=Action.ATTEST, digest=digest):
                    return str(digest)
            return None

        wanted = self.with_upstream(ids)
        if len(wanted) > _FEW:
            self.freshness.read_ahead()
        for id_ in wanted:
            found[id_] = self._judge(self.artifacts[id_], digest)
        return found

    def settle(self, artifact: Artifact, outcomes: Mapping[str, str]) -> Answer | ProvenanceError:
        """Judge with what upstream artifacts have become; what is open even then is reason enough to build.

        `outcomes`: digests of what is done, by id.
        """

        def digest(of: str) -> str | None:
            if of in outcomes:
                return outcomes[of]
            if of not in self.artifacts:
                return None
            held = self.freshness.held(self.artifacts[of])  # `doit run --single`
            return str(held.digest) if isinstance(held, Held) else None

        answer = self._judge(artifact, digest)
        if isinstance(answer, Depends):
            reasons = tuple(Reason(code=Code.UPSTREAM_CHANGED, detail=id_) for id_ in answer.upstream)
            return Stale(action=Action.BUILD, reasons=reasons)
        return answer

    def explain(self, id_: str) -> Explanation:
        """Return what is known of an artifact.

        Raises:
            ProvenanceError: an input can't be read, or the builder can't tell.
        """
        from ...provenance.fs.folder import steady
        from .evidence_check import signed_provenance
        from .explain import Explanation

        artifact = self.artifacts[id_]
        answers = self.answers([id_])
        place, trust = self._output / artifact.folder, self._signer.trust

        def look() -> tuple[Held | Invalid, Provenance | None]:
            held = self.freshness.held(artifact)
            if isinstance(held, Invalid) or trust is None:
                return held, None
            return held, signed_provenance(place, held.digest, trust)

        held, provenance = steady(place, look)
        recorded = held.inputs if isinstance(held, Held) and provenance else {}
        declared = self._declare(artifact)
        now = dict(declared.values)
        for of in (*recorded, *declared.measured):
            kind, name = parts(of)
            if kind in MEASURED:
                now[of] = self.meter.measure(of)
            elif kind is Kind.ARTIFACT and (upstream := answers.get(name)) and isinstance(upstream, Fresh):
                now[of] = str(upstream.digest)
        if not isinstance(held, Held) or provenance is None:
            return Explanation(answer=answers[id_], recorded={}, now=now)
        return Explanation(
            answer=answers[id_],
            recorded=recorded,
            now=now,
            built=provenance.run_details.finished,
            invocation=provenance.run_details.invocation_id,
            confirmed=held.since,
        )

    def _judge(self, artifact: Artifact, upstream: Upstream) -> Answer | ProvenanceError:
        try:
            return self.freshness.judge(artifact, lambda: self._declare(artifact), upstream)
        except ProvenanceError as error:  # for doit, whether something is fresh has no third answer: `make` raises it
            return error

    def _declare(self, artifact: Artifact) -> Declared:
        return self.builders[artifact.builder].declare(artifact)

    @cached_property
    def freshness(self) -> Freshness:
        """The judge of a single one."""
        return Freshness(
            self._output, self._state, self.meter, expected=self._signer.expected, by=self._signer.identity
        )
