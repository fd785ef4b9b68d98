from __future__ import annotations

from doit_provenance.provenance.redaction import Redactor
from doit_provenance.tasks.progress.failure import Failure
from doit_provenance.tasks.progress.transcript import Transcript


def test_failure_ends_with_what_the_tool_said() -> None:
    call = Transcript(["kettle:tea@any"], ["boil"], Redactor(), _Nowhere())
    call.add(b"\x1b[31mit leaks\x1b[0m\n")
    call.end("failed")
    failure = Failure(text="`boil` failed\nhint: mend it\nlog: x.log", names=["kettle:tea@any"], call=call)
    message = "error: `kettle:tea@any`: `boil` failed\nhint: mend it\nlog: x.log\n"
    assert failure.shown(colours=False) == f"{message}\nit leaks\n"
    assert failure.shown(colours=True) == f"{message}\n\x1b[31mit leaks\x1b[0m\n\x1b[0m"


class _Nowhere:
    def write(self, text: str) -> None:
        """Forget it."""

    def close(self) -> None:
        """Forget it."""

    def read(self) -> None:
        """Return nothing."""


def test_tool_that_said_nothing_adds_nothing() -> None:
    failure = Failure(text="no", names=["a"], call=Transcript(["a"], ["boil"], Redactor(), _Nowhere()))
    assert failure.shown(colours=True) == "error: `a`: no\n"


def test_some_of_many_that_fail_by_the_same_are_named() -> None:
    failure = Failure(text="no", names=[f"cup{i}" for i in range(8)])
    assert failure.message() == "error: `cup0`, `cup1`, `cup2`, `cup3`, `cup4` and 3 more: no\n"
