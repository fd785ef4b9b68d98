"""A question is asked once, and its answer believed on the same ground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doit_provenance.tasks.cargo import toolchain
from doit_provenance.tasks.cargo.toolchain import ToolQueries
from doit_provenance.tasks.context import ShortMemory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []

    def capture(argv: Sequence[str], **_: object) -> bytes:
        found.append(" ".join(argv))
        return f"{len(found)}\n".encode()

    monkeypatch.setattr(toolchain, "capture", capture)
    return found


def test_once_in_a_run(tmp_path: Path, asked: list[str]) -> None:
    one = ToolQueries(tmp_path)
    assert [one.ask(["a"]), one.ask(["a"]), one.ask(["b"])] == ["1\n", "1\n", "2\n"]
    assert asked == ["a", "b"]


def test_what_was_asked_before_it_was_kept_is_kept_too(tmp_path: Path, asked: list[str]) -> None:
    memory = ShortMemory()
    first = ToolQueries(tmp_path)
    first.ask(["a"])
    first.keep(memory, "ground")
    first.ask(["b"])
    later = ToolQueries(tmp_path)
    later.keep(memory, "ground")
    assert (later.ask(["a"]), later.ask(["b"])) == ("1\n", "2\n")
    assert asked == ["a", "b"]


@pytest.mark.parametrize("place", ["same", "other"])
def test_nothing_is_believed_on_another_ground_or_in_another_folder(
    tmp_path: Path, asked: list[str], place: str
) -> None:
    memory = ShortMemory()
    first = ToolQueries(tmp_path / "same")
    first.keep(memory, "ground")
    first.ask(["a"])
    later = ToolQueries(tmp_path / place)
    later.keep(memory, "ground" if place == "other" else "another")
    later.ask(["a"])
    assert asked == ["a", "a"]


def test_unkept_is_not_remembered(tmp_path: Path, asked: list[str]) -> None:
    for _ in range(2):
        ToolQueries(tmp_path).ask(["a"])
    assert asked == ["a", "a"]
