"""A workspace that is hit by one fault after another, and what has to hold after each."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from doit_provenance.provenance.record import Record
from doit_provenance.provenance.verify.trust import trust_for
from doit_provenance.provenance.verify.verifier import verify_folder

from .forks import Forked, Forks, paths
from .workspaces import Repository, runs, words

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS, COUNT = "command:words@any", "command:count@any"
FOLDERS = {WORDS: "dist/command/words/any", COUNT: "dist/command/count/any"}

Contents = dict[str, bytes]


@dataclass(kw_only=True)
class Scene:
    """A workspace that is hit again and again.

    Attributes:
        settled: the paths of all that lies in it when a run has ended well.
        edits: how often its source was changed.
        is_state_whole: its state is not damaged by the test itself, in a place where nobody may ever look.
    """

    forked: Forks
    made: Repository
    settled: set[str] = field(default_factory=set)
    edits: int = 0
    is_state_whole: bool = True

    @classmethod
    def begin(cls, forked: Forks, root: Path) -> Scene:
        """Make the workspace, and build it once."""
        scene = cls(forked=forked, made=words(root))
        forked.doit(scene.made).ok()
        scene.settled = paths(root)
        return scene

    def edit(self) -> None:
        """Change the source so that both artifacts become others."""
        self.edits += 1
        self.made.write({"src/a.txt": "word " * self.edits + "\n"})

    def expected(self) -> dict[str, bytes]:
        """Return the artifacts as the sources make them."""
        text = (self.made.root / "src/a.txt").read_bytes()
        return {WORDS: text, COUNT: b"%d\n" % len(text.split())}

    def contents(self, id_: str) -> Contents:
        """Return the bytes of all that lies in an artifact's folder."""
        folder = self.made.root / FOLDERS[id_]
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())} if folder.exists() else {}

    def all_contents(self) -> dict[str, Contents]:
        return {id_: self.contents(id_) for id_ in FOLDERS}

    def is_old_or_new(self, before: dict[str, Contents]) -> None:
        """Hold that each folder is what it was, or what the sources make, with evidence that verifies."""
        for id_, new in self.expected().items():
            if self.contents(id_) != before[id_]:
                self.verifies(id_, new)

    def hit(self, call: int, error: int = 0) -> Forked:
        """Let a run be hit, and hold what it left; where it came to its end all the same, it ended well."""
        before = self.all_contents()
        ran = self.forked.doit(self.made, call=call, error=error)
        self.is_old_or_new(before)
        assert ran.killed or ran.code in ({0, 1} if error else {0}), ran.said
        return ran

    def calls(self, change: Callable[[], object]) -> int:
        """Return how many calls change files in a run that does what a change asks for."""
        change()
        return self.forked.doit(self.made).ok().calls

    def lose(self) -> None:
        """Remove an SBOM."""
        (self.made.root / FOLDERS[WORDS] / "words.spdx.json").unlink()

    def verifies(self, id_: str, data: bytes) -> None:
        """Hold that an artifact has these bytes, and verifies; `doit verify` does nothing else."""
        key = Path(self.made.environ["DOIT_PROVENANCE_KEY"]).with_suffix(".pub")
        trust = trust_for(keys=(), configured=(), own=key)
        verified = verify_folder(self.made.root / FOLDERS[id_], trust=trust)
        assert verified.record.artifact == id_
        assert self.contents(id_)[verified.record.file] == data

    def recovers(self) -> None:
        """Hold that the next run does what is announced, and leaves nothing behind and nothing to do."""
        plan = self.forked.plan(self.made)
        made_from, ran_before = self.contents(COUNT).get("count.inventory.json", b""), runs(self.made)
        done = self.forked.doit(self.made).ok().done()
        changed = hashlib.sha256(self.contents(WORDS)["words"]).hexdigest().encode() not in made_from
        assert {id_: _kind(how) for id_, how in done.items()} == {
            id_: "build" if action == "maybe" else action
            for id_, action in plan.items()
            if action != "fresh" and (action != "maybe" or changed)
        }
        built = [_file(id_) for id_ in (WORDS, COUNT) if _kind(done.get(id_, "")) == "build"]
        assert runs(self.made) == ran_before + built
        for id_, data in self.expected().items():
            self.verifies(id_, data)
        assert self.forked.plan(self.made) == dict.fromkeys(FOLDERS, "fresh")
        assert paths(self.made.root) == self.settled
        if self.is_state_whole:
            self.remembers()

    def remembers(self) -> None:
        """Hold that the state is whole, and has what a run needs to read no evidence."""
        with contextlib.closing(sqlite3.connect(self.made.root / ".provenance/state.db")) as state:
            assert state.execute("pragma integrity_check").fetchall() == [("ok",)]
            keys = {key for (key,) in state.execute("select key from memory")}
            assert keys >= {f"artifact:{id_}".encode() for id_ in FOLDERS}
            listed = {digest for (digest,) in state.execute("select digest from inputs")}
        for id_ in FOLDERS:
            assert Record.from_json(self.contents(id_)[f"{_file(id_)}.record.json"]).inputs in listed


def _kind(how: str) -> str:
    return {"built": "build", "rebuilt": "build", "attested": "attest"}.get(how, how)


def _file(id_: str) -> str:
    return id_.partition(":")[2].partition("@")[0]


def spread(calls: int, wanted: int) -> list[int]:
    """Return which of so many calls are hit: all, where that is asked for, else `wanted` of them, evenly."""
    if os.environ.get("EXHAUSTIVE"):
        return list(range(1, calls + 1))
    return sorted({1 + number * calls // wanted for number in range(wanted)})
