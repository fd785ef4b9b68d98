"""Where a passphrase comes from, in which order, and what is refused."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from doit_provenance.provenance.errors import KeyFileError
from doit_provenance.provenance.sign.passphrase import PassphraseSource

KEY = Path("key.pem")


def _source(answer: str | None = None, *, text: str | None = None, file: str | None = None) -> PassphraseSource:
    found = {"DOIT_PROVENANCE_PASSPHRASE": text, "DOIT_PROVENANCE_PASSPHRASE_FILE": file}
    variables = {name: value for name, value in found.items() if value is not None}
    return PassphraseSource(environ=variables, prompt=None if answer is None else lambda _prompt: answer)


def test_environment_comes_before_asking() -> None:
    assert _source("typed", text="given").required_for(KEY) == b"given"
    assert _source("typed").required_for(KEY) == b"typed"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_file_holds_it_on_one_line(tmp_path: Path, end: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b" it is \xc3\xa9 " + end)
    assert _source(file=str(file)).given() == b" it is \xc3\xa9 "


@pytest.mark.parametrize("content", [b"", b"\n", b"one\ntwo\n"])
def test_a_file_without_one_line_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(KeyFileError, match="single line"):
        _source(file=str(file)).given()


def test_an_empty_variable_counts_as_none() -> None:
    assert _source(text="", file="").given() is None


def test_both_variables_are_one_too_many() -> None:
    with pytest.raises(KeyFileError, match="both set"):
        _source(text="a", file="b").given()


def test_a_longer_one_than_a_key_can_have_is_refused() -> None:
    assert _source(text="x" * 1023).given() == b"x" * 1023
    with pytest.raises(KeyFileError, match="longer than 1023"):
        _source(text="x" * 1024).given()


def test_nobody_to_ask() -> None:
    with pytest.raises(KeyFileError, match="no terminal") as caught:
        _source().required_for(KEY)
    assert "DOIT_PROVENANCE_PASSPHRASE" in str(caught.value.hint)


def test_nothing_typed() -> None:
    def closed(_prompt: str) -> str:
        raise EOFError

    for source in (_source(""), PassphraseSource(environ={}, prompt=closed)):
        with pytest.raises(KeyFileError, match="no passphrase was given"):
            source.required_for(KEY)


def test_only_a_person_at_a_terminal_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, elsewhere = io.StringIO(), io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    for stdin, stderr, asked in (
        (terminal, terminal, True),
        (terminal, elsewhere, False),
        (elsewhere, terminal, False),
        (None, terminal, False),
    ):
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stderr", stderr)
        assert (PassphraseSource.of_this_process().prompt is not None) is asked
