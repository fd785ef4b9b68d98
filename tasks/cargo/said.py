"""What cargo and rustc answered in one folder: each question is asked once, in this run or in an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...provenance.process import capture, clean_environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..context import Memory


class Said:
    """The answers that hold in `cwd`, by what was asked.

    They are kept for later runs once `keep` says what they rest on; until then for this run alone. Asked are only
    things that follow from it: versions, configuration, flags.
    """

    def __init__(self, cwd: Path) -> None:
        self.cwd = cwd
        self._answers: dict[str, str] = {}
        self._memory: Memory | None = None
        self._ground = ""

    @property
    def environment(self) -> dict[str, str]:
        """For our own questions to cargo and rustc. RUSTC_BOOTSTRAP is for them alone, never for a build."""
        return clean_environment({"RUSTC_BOOTSTRAP": "1"})

    def ask(self, argv: Sequence[str]) -> str:
        """Return what a command writes to standard output.

        Raises:
            ToolError: it is missing, or fails.
        """
        question = "\0".join(argv)
        if question not in self._answers:
            output = capture(argv, cwd=self.cwd, env=self.environment)
            self._answers[question] = output.decode(errors="replace")
            self._put()
        return self._answers[question]

    def keep(self, memory: Memory, ground: str) -> None:
        """Take up what was answered on the same ground, a digest, and let what is answered from now on be kept."""
        self._memory, self._ground = memory, ground
        found = memory.get(self._key)
        if isinstance(found, dict) and found.get("ground") == ground and isinstance(said := found.get("said"), dict):
            new = self._answers.keys() - said.keys()
            self._answers = {question: str(answer) for question, answer in said.items()} | self._answers
            if not new:
                return
        self._put()

    @property
    def _key(self) -> str:
        return f"cargo.said:{self.cwd}"

    def _put(self) -> None:
        if self._memory is not None:
            self._memory.put(self._key, {"ground": self._ground, "said": dict(self._answers)})
