from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.redaction import Redactor, leading_to_secrets, passphrases

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("secrets", "text", "expected"),
    [
        (["hunter2"], "hunter2 and hunter2", "*** and ***"),
        (["hunter", "hunter2"], "hunter2 hunter", "*** ***"),
        (["one\ntwo\r\n"], "two, one", "***, ***"),
        (["", " ", "\n"], "nothing to hide", "nothing to hide"),
        ([], "nothing to hide", "nothing to hide"),
    ],
)
def test_secrets_are_replaced(secrets: list[str], text: str, expected: str) -> None:
    assert Redactor.of(secrets)(text) == expected


def test_shows_no_secret_itself() -> None:
    assert "hunter2" not in repr(Redactor.of(["hunter2"]))


def test_values_that_no_tool_should_know(tmp_path: Path) -> None:
    file = tmp_path / "phrase"
    file.write_text("correct horse\n")
    environ = {"DOIT_PROVENANCE_PASSPHRASE_FILE": str(file), "DOIT_PROVENANCE_KEY": "/keys/release.pem", "TEA": "pot"}
    assert set(leading_to_secrets(environ)) == {"", str(file), "/keys/release.pem", "correct horse"}
    assert passphrases(environ) == ("correct horse",)
    assert passphrases({"DOIT_PROVENANCE_PASSPHRASE": "hunter2"}) == ("hunter2",)


def test_passphrase_that_can_not_be_read_is_for_others_to_complain_of(tmp_path: Path) -> None:
    assert passphrases({"DOIT_PROVENANCE_PASSPHRASE_FILE": str(tmp_path / "none")}) == ()
