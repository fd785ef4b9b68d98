from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance.redaction import Redactor
from doit_provenance.tasks.progress.transcript import TAIL, Lines, Transcript, without_colours


class Kept:
    """A log in memory; `broken`: it could not be kept."""

    def __init__(self, *, broken: bool = False) -> None:
        self.written = ""
        self.closed = False
        self.broken = broken

    def write(self, text: str) -> None:
        assert not self.closed
        self.written += text

    def close(self) -> None:
        self.closed = True

    def read(self) -> str | None:
        return None if self.broken else self.written


def _text(*pieces: bytes, secrets: tuple[str, ...] = ()) -> str:
    lines = Lines(Redactor.of(secrets))
    return "".join([*(lines.feed(piece) for piece in pieces), lines.end()])


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([b"one\n", b"two"], "one\ntwo"),
        ([b"one\r\n"], "one\n"),
        ([b"10 %\r20 %\r\n"], "10 %\n20 %\n"),
        ([b"\x1b[1m\x1b[31mred\x1b[0m\n"], "\x1b[1m\x1b[31mred\x1b[0m\n"),
        ([b"a\x1b[2Kb\x1b[1;1Hc\x1b]0;title\x07d\x1b]8;;http://x\x1b\\e\x1bPq\x1b\\f\x1b7g\x1b(Bh\n"], "abcdefgh\n"),
        ([b"a\x00\x07\x08\x0b\x7fb\n"], "ab\n"),
        (["a\u202eb\u2066c\u2028d\x9bm\n".encode()], "abcdm\n"),
        ([b"\xff tea\n"], "\ufffd tea\n"),
        ([b"gr\xc3", b"\xbc\xc3\x9fe\n"], "grüße\n"),
        ([b"\tindented\n"], "\tindented\n"),
    ],
)
def test_text_steers_no_terminal(pieces: list[bytes], expected: str) -> None:
    assert _text(*pieces) == expected


@given(st.binary(), st.integers(1, 20))
def test_no_bytes_steer_a_terminal(data: bytes, size: int) -> None:
    text = _text(*(data[i : i + size] for i in range(0, len(data), size)))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", without_colours(text))


@given(st.integers(1, 40), st.text("xh", max_size=150), st.text("xh", max_size=150))
def test_no_secret_wherever_the_pieces_end(size: int, before: str, after: str) -> None:
    data = f"{before}hunter2{after}hunter2".encode()
    text = _text(*(data[i : i + size] for i in range(0, len(data), size)), secrets=("hunter2",))
    assert text == f"{before}***{after}***"


def test_no_secret_behind_colours() -> None:
    assert _text(b"a hun\x1b[1mter2 b\n", secrets=("hunter2",)) == "a *** b\n"


def _transcript(kept: Kept | None = None, *, redact: Redactor | None = None) -> Transcript:
    return Transcript(["cargo:a", "cargo:b"], ["cargo", "build", "a b"], redact or Redactor(), kept or Kept())


def test_log_has_command_times_and_all_that_was_said() -> None:
    kept = Kept()
    transcript = _transcript(kept)
    transcript.add(b"\x1b[32mone\x1b[0m\n")
    transcript.add(b"two")
    transcript.end()
    moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert re.fullmatch(rf"\$ cargo build 'a b'\n# begun {moment}\none\ntwo\n# ended after 0\.\d s\n", kept.written), (
        kept.written
    )
    assert kept.closed


def test_log_says_why_a_call_failed() -> None:
    kept = Kept()
    transcript = _transcript(kept, redact=Redactor.of(["hunter2"]))
    transcript.end("the kettle hunter2 leaks")
    assert re.search(r"\n# failed after 0\.\d s: the kettle \*\*\* leaks\n\Z", kept.written)
    assert transcript.failure == "the kettle hunter2 leaks"


def test_command_line_holds_no_secret() -> None:
    transcript = Transcript(["x"], ["tool", "--token=hunter2"], Redactor.of(["hunter2"]), Kept())
    assert transcript.command == "tool '--token=***'"


def test_end_of_a_long_output_is_shown_and_says_what_is_missing() -> None:
    transcript = _transcript()
    transcript.log = ".provenance/logs/x.log"
    for number in range(TAIL + 7):
        transcript.add(b"line %d\n" % number)
    transcript.end()
    first, *lines = transcript.shown.splitlines()
    assert first == "[7 lines before these are in .provenance/logs/x.log]"
    assert lines == [f"line {n}" for n in range(7, TAIL + 7)]


def test_short_output_is_shown_whole() -> None:
    transcript = _transcript()
    transcript.add(b"one\n")
    transcript.end()
    assert transcript.shown == "one\n"


def test_latest_line_is_one_that_says_something() -> None:
    transcript = _transcript()
    transcript.add(b"Compiling tea\n")
    transcript.add(b"   \n")
    assert transcript.latest == "Compiling tea"


def test_text_is_the_log_or_what_there_is_of_it() -> None:
    kept, lost = _transcript(Kept()), _transcript(Kept(broken=True))
    for transcript in (kept, lost):
        transcript.add(b"\x1b[1mone\x1b[0m\n")
        transcript.end()
    assert kept.text().startswith("$ cargo build")
    assert lost.text() == "one\n"


def test_title_names_whom_it_is_for() -> None:
    assert _transcript().title == "cargo:a and 1 more"
    assert Transcript(["cargo:a"], ["x"], Redactor(), Kept()).title == "cargo:a"
