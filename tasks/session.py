"""One run over one workspace: what its tasks share, and nothing that outlives it but the state."""

from __future__ import annotations

import threading
import time
from functools import cached_property
from typing import TYPE_CHECKING

from ..provenance.errors import ProvenanceError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from ..provenance.fs.lock import Holder
    from ..provenance.record import Record
    from .artifacts import Artifact
    from .builder import Builder, Built
    from .context import Context
    from .freshness.answer import Answer
    from .freshness.explain import Explanation
    from .freshness.judge import Judge
    from .freshness.state import State
    from .pipeline.outcome import Outcome
    from .pipeline.produce import Placed
    from .pipeline.signer import Signer


class Session:
    """Builds each group once, and leads each of its artifacts to its place.

    Listing tasks needs none of what judges and builds: that is imported where it is used.

    Attributes:
        context: the run, as builders see it.
        workspace: the user's repository.
        builders: by name.
        artifacts: all that was discovered, by id.
        discovered: the artifacts of each builder that was asked, by its name.
        failures: of builders whose discovery failed, by their names.
        outcomes: of the tasks that have ended well, by id.
        selected: ids of the artifacts that this run is for; the reporter sets it before the first task. Under another
            reporter (`doit run -r json`) it stays empty, and each artifact is built in a call of its own.
        runs: this is a run: it may write. Else nothing below the workspace changes.
        always: build what is fresh too.
    """

    def __init__(self, context: Context, state: State, signer: Signer | None = None) -> None:
        self.context = context
        self.workspace = context.workspace
        self.artifacts = context.artifacts
        self.builders: dict[str, Builder] = {}
        self.discovered: dict[str, tuple[Artifact, ...]] = {}
        self.failures: dict[str, ProvenanceError] = {}
        self.selected: Collection[str] = ()
        self.outcomes: dict[str, Outcome] = {}
        self.runs = False
        self.always = False
        self._state = state
        self._given_signer = signer
        self._groups: dict[str, list[Artifact]] = {}
        self._answers: dict[str, Answer | ProvenanceError] = {}
        self._built: dict[str, Built | ProvenanceError] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._beginning = threading.Lock()
        self._claim: ProvenanceError | bool = False

    @cached_property
    def judge(self) -> Judge:
        """Says what is to be done."""
        from .freshness.judge import Judge

        return Judge(self.context, self._state, self._signer, self.builders)

    @property
    def _signer(self) -> Signer:
        return self._given_signer or self.context.signer

    def add(self, builder: Builder) -> tuple[Artifact, ...]:
        """Ask a builder what there is; its artifacts can be built from now on.

        Raises:
            ProvenanceError: its discovery failed.
        """
        self.discovered[builder.name] = ()
        try:
            found = self.discovered[builder.name] = tuple(builder.discover())
        except ProvenanceError as error:
            self.failures[builder.name] = error
            self.context.failed_builders.add(builder.name)
            raise
        self.builders[builder.name] = builder
        for artifact in found:
            self.artifacts[artifact.id] = artifact
            self._groups.setdefault(artifact.group, []).append(artifact)
            self._locks.setdefault(artifact.group, threading.Lock())
        return found

    def answers(self, ids: Iterable[str]) -> dict[str, Answer]:
        """Return what a run would do (`Judge.answers`)."""
        return self.judge.answers(ids)

    def explain(self, id_: str) -> Explanation:
        """Return what is known of an artifact (`Judge.explain`)."""
        return self.judge.explain(id_)

    def nothing_to_do(self) -> bool:
        """Judge all that was selected, as `is_fresh` does in the first artifact's turn, and tell whether all is fresh.

        If so, the run is over; if not, `is_fresh` goes by the answers that were given here.
        """
        from .freshness.answer import Fresh
        from .pipeline.outcome import Done, Outcome

        with self._beginning:
            self._begin()
            self._answers |= self.judge.judge_all(self.selected)
        for id_ in self.selected:
            answer = self._answers[id_]
            if not isinstance(answer, Fresh):
                self.outcomes.clear()
                return False
            self.outcomes[id_] = Outcome(artifact=self.artifacts[id_], done=Done.FRESH, digest=answer.digest)
        return True

    def is_fresh(self, artifact: Artifact) -> bool:
        """Tell whether nothing is to be done in the artifact's turn; if there is, `make` does it.

        All that was selected is judged at once, before anything is built, as `doit plan` does: so what was announced is
        what happens. Only what depends on upstream artifacts is judged again, when these are done.
        """
        from .freshness.answer import Fresh
        from .pipeline.outcome import Done, Outcome

        with self._beginning:
            self._begin()
            answer = self._answer_in_turn(artifact)
        if isinstance(answer, Fresh):
            self.outcomes[artifact.id] = Outcome(
                artifact=artifact,
                done=Done.FRESH,
                digest=answer.digest,
            )
        return isinstance(answer, Fresh)

    def make(self, artifact: Artifact) -> None:
        """Do what an artifact needs, and keep its outcome for the reporter. One that is fresh is built again.

        Raises:
            ProvenanceError: something failed; what the output folder held before is untouched.
        """
        from .freshness.answer import Action, Stale
        from .pipeline.outcome import Done, Outcome
        from .pipeline.produce import built_at, repair

        started = time.monotonic()
        with self._beginning:
            self._begin()
            if isinstance(self._claim, ProvenanceError):
                raise self._claim
            signing = self._signer.signing()
        answer = self._answers.get(artifact.id)
        if isinstance(answer, ProvenanceError):
            raise answer
        attests = isinstance(answer, Stale) and answer.action is Action.ATTEST and not self.always
        placed = repair(artifact, context=self.context, signing=signing) if attests else self._build_and_place(artifact)
        self._remember(artifact, placed)
        is_new = placed.record.names.provenance_bundle in placed.made
        built = built_at(placed.provenance)
        new = Done.BUILT if built else Done.TAKEN
        done = Done.ATTESTED if attests else new if is_new else Done.REBUILT
        self.outcomes[artifact.id] = Outcome(
            artifact=artifact,
            done=done,
            digest=placed.record.digest,
            made=placed.made,
            inventory=placed.inventory,
            seconds=time.monotonic() - started,
            since="" if is_new else built,
        )

    def sources(self, record: Record) -> dict[str, str]:
        """Return the files that an artifact was built from, by sha256 in hex; empty where nobody here knows."""
        from .freshness.inputs import ABSENT, Kind, parts

        inputs = self._state.inputs(record.inputs) or {}
        files = ((parts(of), value) for of, value in sorted(inputs.items(), reverse=True))
        return {value: name for (kind, name), value in files if kind is Kind.FILE and value != ABSENT}

    def leave(self) -> None:
        """Note that this run leaves nothing half done; the next need not look for it."""
        if self._claim is True:
            from ..provenance.fs import lock

            lock.leave(self.workspace.state)

    def close(self) -> None:
        """Keep what was found out. The process may end without it: then it is found out again."""
        self._state.close()

    def _build_and_place(self, artifact: Artifact) -> Placed:
        from .freshness.inputs import digest_of, to_json
        from .pipeline.produce import produce

        self._refuse_unproven(artifact.upstream)
        built = self._build_once(artifact)
        builder = self.builders[artifact.builder]
        try:
            # Before the record that names it: whoever is killed in between must not leave a record without its list.
            self._state.keep_inputs(artifact.id, digest_of(built.inputs), to_json(built.inputs))
            return produce(artifact, built, builder=builder, context=self.context, signing=self._signer.signing())
        finally:
            builder.release(artifact)

    def _refuse_unproven(self, upstream: Iterable[str]) -> None:
        """Let nothing be made of what this run has neither built nor found to hold, as with `doit run --single`.

        What it was built from need not be known here, nor need it be signed by this run's own key, if by a trusted one:
        images of several platforms come from several machines, each with evidence that holds, and are joined on one
        that has only their folders.
        """
        from .freshness.answer import Code, Invalid

        elsewhere = {Code.INPUTS_UNKNOWN, Code.SIGNER_CHANGED}  # of what another machine made, and what holds
        for id_ in upstream:
            if id_ not in self.outcomes and id_ in self.artifacts:
                found = self.judge.freshness.held(self.artifacts[id_])
                if isinstance(found, Invalid) and not {reason.code for reason in found.reasons} <= elsewhere:
                    from .plan import in_words

                    why = "; ".join(map(in_words, found.reasons))
                    raise VerificationError(
                        f"`{id_}`, which goes into it, does not hold: {why}", hint="run without `--single`"
                    )

    def _remember(self, artifact: Artifact, placed: Placed) -> None:
        inputs = self._state.inputs(placed.record.inputs)
        if inputs is not None:
            self.judge.freshness.remember(artifact, placed.record.digest, placed.files, inputs)

    def _build_once(self, artifact: Artifact) -> Built:
        """Build the artifact's group, unless another of its members has, and return what became of this one."""
        with self._locks[artifact.group]:
            if artifact.id not in self._built:
                from .pipeline.build import build

                members = [artifact, *self._others_to_build(artifact)]
                try:
                    built = build(self.context, self.builders[artifact.builder], artifact.group, members)
                    self._built |= {a.id: b for a, b in built.items()}
                except ProvenanceError as error:
                    self._built |= dict.fromkeys((a.id for a in members), error)
                finally:
                    self.judge.meter.forget()
            outcome = self._built[artifact.id]
        if isinstance(outcome, ProvenanceError):
            raise outcome
        return outcome

    def _others_to_build(self, artifact: Artifact) -> Iterator[Artifact]:
        """Yield the selected artifacts of the same group that are stale as well, and whose upstream is done."""
        from .freshness.answer import Action, Stale

        for other in self._groups[artifact.group]:
            if (
                other != artifact
                and other.id in self.selected
                and other.id not in self._built
                and all(u in self.outcomes for u in other.upstream)
            ):
                with self._beginning:
                    answer = self._answer_in_turn(other)
                if self.always or (isinstance(answer, Stale) and answer.action is Action.BUILD):
                    yield other

    def _answer_in_turn(self, artifact: Artifact) -> Answer | ProvenanceError:
        from .freshness.answer import Depends

        if artifact.id not in self._answers:
            self._answers |= self.judge.judge_all([*self.selected, artifact.id])
        answer = self._answers[artifact.id]
        if isinstance(answer, Depends):
            done = {id_: str(outcome.digest) for id_ in artifact.upstream if (outcome := self.outcomes.get(id_))}
            answer = self._answers[artifact.id] = self.judge.settle(artifact, done)
        return answer

    def _begin(self) -> None:
        """Let other runs over this workspace wait, before anything is judged; where that can't be, builds can't."""
        if self.runs and self._claim is False:
            from ..provenance.fs import links, lock
            from .progress.progress import LOGS

            try:
                was_killed = lock.take(
                    self.workspace.state, command=lock.this_command(), waiting=self._say_that_we_wait
                )
                links.drop(self.workspace.state, passed_over=LOGS)
                if was_killed:
                    self._clear_up()
                self._claim = True
                self._state.begin_to_write()
            except ProvenanceError as error:
                self._claim = error

    def _clear_up(self) -> None:
        """Remove what a killed run left beside what holds; of what is fresh now, no build would."""
        from ..provenance.fs import store

        for artifact in self.artifacts.values():
            store.sweep(self.workspace.output / artifact.folder)
            self.builders[artifact.builder].release(artifact)

    def _say_that_we_wait(self, holder: Holder | None) -> None:
        """Say whom we wait for; nobody but the kernel knows whether it still runs."""
        text = f"waiting for {holder or 'another run over this workspace'} to end"
        self.context.progress.notice("lock.waiting", text, holder=str(holder) if holder else None)
