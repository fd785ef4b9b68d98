"""Whether an artifact is fresh: every input and every file of its folder compared by digest, nothing read twice.

Fresh means, all at once: the inputs are those of the last build; the artifact and each file of evidence are what the
sealed record says; every bundle verifies with a trusted signer; the evidence is of this version of the program.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance import VERSION
from ...provenance.digest import Digest
from .answer import Action, Answer, Code, Depends, Fresh, Invalid, Reason, Stale
from .changes import changes
from .inputs import FileStamp, Kind, are_known, settled
from .remembered import Remembered, RememberedFiles, look_again, signatures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..artifacts import Artifact
    from .changes import Upstream
    from .evidence_check import Expected
    from .inputs import Declared, InputHasher, Inputs
    from .state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An artifact of the output folder whose bytes and provenance are proven, and the inputs that they came from.

    Attributes:
        files: of its folder, by name, as they were proven; those that could not be are not among them.
        inputs: of the last build.
        known: what was measured of those that are files, by key.
        gaps: what is to be attested again.
        since: when it was last built or attested, as RFC 3339; empty: not remembered.
        remembered: so it is in the state already.
    """

    digest: Digest
    files: Mapping[str, FileStamp]
    inputs: Inputs
    known: Mapping[str, FileStamp]
    gaps: tuple[Reason, ...] = ()
    since: str = ""
    remembered: bool = False


class Freshness:
    """Judges the artifacts of one workspace.

    Args:
        output: the output folder.
        state: what runs remember.
        meter: measures inputs, each once.
        expected: makes what a folder is judged by, for an artifact's id; asked only when a folder is read.
        by: names what `expected` holds, so that what was judged by something else is judged again.
    """

    def __init__(
        self, output: Path, state: State, meter: InputHasher, *, expected: Callable[[str], Expected], by: str
    ) -> None:
        self._output = output
        self._state = state
        self._meter = meter
        self._expected = expected
        self._by = f"{VERSION} {by}"
        self._depending: dict[str, Held] = {}

    def judge(self, artifact: Artifact, declare: Callable[[], Declared], upstream: Upstream) -> Answer:
        """Return what is to be done with an artifact.

        Args:
            artifact: the one.
            declare: asks its builder; not called where nothing stands that could be kept.
            upstream: id to digest of what goes into it.

        Raises:
            ProvenanceError: an input can't be read, or the builder can't tell.
        """
        # What was said to depend on others is judged by what stood there then, even if the state was lost meanwhile.
        held = self._depending.pop(artifact.id, None) or self.held(artifact)
        if isinstance(held, Invalid):
            return Stale(action=Action.BUILD, reasons=held.reasons)
        reasons, questions = changes(
            held.inputs,
            declare(),
            self._meter,
            held.known,
            lambda id_: upstream(id_) if id_ in artifact.upstream else _NO_MORE,
        )
        reasons += [
            Reason(code=Code.UPSTREAM_CHANGED, detail=id_)
            for id_ in artifact.upstream
            if f"{Kind.ARTIFACT}:{id_}" not in held.inputs
        ]
        if reasons or (questions and held.gaps):
            # With gaps and an upstream artifact that may change, building is the one thing that is right in any case.
            unsure = tuple(Reason(code=Code.UPSTREAM_CHANGED, detail=id_) for id_ in questions)
            return Stale(action=Action.BUILD, reasons=(*reasons, *held.gaps, *unsure))
        if held.gaps:
            return Stale(action=Action.ATTEST, reasons=held.gaps, digest=held.digest)
        if questions:
            self._depending[artifact.id] = held
            return Depends(upstream=tuple(questions), digest=held.digest)
        self._learn(artifact, held)
        return Fresh(digest=held.digest)

    def read_ahead(self) -> None:
        """Read at once what is remembered of all artifacts, as very many are about to be judged."""
        self._state.read_ahead(_PREFIX)

    def held(self, artifact: Artifact) -> Held | Invalid:
        """Return what stands in the artifact's folder: as remembered where nothing of it changed, else read again."""
        place = f"{self._output}/{artifact.place}"
        remembered = Remembered.from_json(self._state.get(_key(artifact)))
        if remembered is None or remembered.by != self._by:
            return self._read(artifact, place, remembered)
        files: Mapping[str, FileStamp] | None = remembered.files
        is_same = isinstance(files, RememberedFiles) and files.are_in(place)
        if not is_same:
            files = look_again(place, remembered.files)
        if files is None:
            return self._read(artifact, place, remembered)
        sha256, sha512, size = remembered.digest
        return Held(
            digest=Digest(sha256=sha256, sha512=sha512, size=size),
            files=files,
            inputs=remembered.recorded(),
            known=remembered.inputs,
            since=remembered.since,
            remembered=is_same or files == remembered.files,
        )

    def remember(self, artifact: Artifact, digest: Digest, files: Mapping[str, str], inputs: Inputs) -> None:
        """Remember an artifact that has just been put into its folder, where it verified.

        Args:
            artifact: the one.
            digest: of its bytes.
            files: name to sha256 of everything in the folder.
            inputs: of the build.
        """
        # Without signatures: what stands there now may already be something else than what was put there.
        known = {name: FileStamp(sha256, None) for name, sha256 in files.items()}
        since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._learn(artifact, Held(digest=digest, files=known, inputs=inputs, known={}, since=since))
        self._state.flush()

    def _read(self, artifact: Artifact, place: str, remembered: Remembered | None) -> Held | Invalid:
        from .evidence_check import inspect

        before, now = signatures(place), time.time_ns()
        standing = inspect(Path(place), self._expected(artifact.id))
        if isinstance(standing, Invalid):
            return standing
        inputs = self._state.inputs(standing.inputs)
        if inputs is None or not are_known(inputs):
            reason = Reason(code=Code.INPUTS_UNKNOWN, detail=f"sha256:{standing.inputs}")
            return Invalid(reasons=(reason, *standing.gaps))
        after = signatures(place)
        files = {
            name: FileStamp(
                sha256, after[name] if before.get(name) == after.get(name) and settled(after[name], now) else None
            )
            for name, sha256 in standing.files.items()
            if name in after
        }
        return Held(
            digest=standing.digest,
            files=files,
            inputs=inputs,
            known=remembered.inputs if remembered else {},
            gaps=standing.gaps,
            since=remembered.since if remembered else "",
        )

    def _learn(self, artifact: Artifact, held: Held) -> None:
        """Remember what is fresh, unless just this is remembered."""
        known = {
            of: found
            for of, value in held.inputs.items()
            if of.startswith(_FILE) and (found := self._meter.file(of[len(_FILE) :])) and found.sha256 == value
        }
        if held.remembered and known == held.known:
            return
        digest = held.digest
        remembered = Remembered(
            by=self._by,
            digest=(digest.sha256, digest.sha512, digest.size),
            files=held.files,
            values={of: value for of, value in held.inputs.items() if of not in known},
            inputs=known,
            since=held.since,
        )
        self._state.put(_key(artifact), remembered.to_json())


_FILE = f"{Kind.FILE}:"
_PREFIX = "artifact:"
"""Of the keys under which artifacts are remembered."""
_NO_MORE = "goes in no more"
"""Instead of a digest, of what was upstream at the last build."""


def _key(artifact: Artifact) -> str:
    return f"{_PREFIX}{artifact.id}"
