"""What has changed among inputs: every difference has its reason, and what did not change has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.tasks.freshness.answer import Code, Reason
from doit_provenance.tasks.freshness.changes import changes
from doit_provenance.tasks.freshness.inputs import ABSENT, Declared, InputHasher, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TOLD = (Kind.TOOL, Kind.SETTING, Kind.RESOLUTION)
CODES = {
    Kind.TOOL: Code.TOOL_CHANGED,
    Kind.SETTING: Code.SETTING_CHANGED,
    Kind.RESOLUTION: Code.RESOLUTION_CHANGED,
}


class Fixed(InputHasher):
    """A meter that finds what a test says, and does not look."""

    def __init__(self, values: Mapping[str, str], files: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.values = values
        self.lists = files or {}

    def measure(self, of: str, known: object = None) -> str:
        del known
        return self.values[of]

    def files(self, of: str) -> tuple[str, ...]:
        return self.lists[of]


def _nobody(id_: str) -> str | None:
    raise AssertionError(f"asked for {id_}")


def _changes(
    recorded: Mapping[str, str], declared: Declared, meter: InputHasher | None = None
) -> list[tuple[Code, str]]:
    found, questions = changes(recorded, declared, meter or Fixed({}), {}, _nobody)
    assert questions == []
    return [(reason.code, reason.detail) for reason in found]


_told = st.dictionaries(
    st.tuples(st.sampled_from(TOLD), st.sampled_from("abcd")).map(lambda of: f"{of[0]}:{of[1]}"),
    st.sampled_from("12"),
)


@given(before=_told, now=_told)
def test_each_difference_of_what_a_builder_tells_is_one_reason(before: dict[str, str], now: dict[str, str]) -> None:
    differ = {of for of in before.keys() | now.keys() if before.get(of) != now.get(of)}
    expected = {(CODES[Kind(of.partition(":")[0])], of.partition(":")[2]) for of in differ}
    found = _changes(before, Declared(values=now))
    assert set(found) == expected
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("before", "now", "code"),
    [
        ("a", "a", None),
        (ABSENT, ABSENT, None),
        ("a", "b", Code.INPUT_CHANGED),
        (ABSENT, "a", Code.INPUT_ADDED),
        ("a", ABSENT, Code.INPUT_REMOVED),
    ],
)
def test_file(before: str, now: str, code: Code | None) -> None:
    found = _changes({"file:leaf": before}, Declared(measured=["file:leaf"]), Fixed({"file:leaf": now}))
    assert found == ([] if code is None else [(code, "leaf")])


def test_file_that_the_last_build_found_is_judged_though_nobody_declares_it() -> None:
    found = _changes({"file:found": "a"}, Declared(), Fixed({"file:found": "b"}))
    assert found == [(Code.INPUT_CHANGED, "found")]


@pytest.mark.parametrize(
    ("of", "code"),
    [
        ("file:leaf", Code.INPUT_ADDED),
        ("glob:*.herb", Code.INPUT_CHANGED),
        ("folder:herbs", Code.INPUT_CHANGED),
        ("variable:WATER", Code.VARIABLE_CHANGED),
    ],
)
def test_what_is_declared_anew_is_a_reason(of: str, code: Code) -> None:
    """Whatever it is: the bytes were made without it."""
    assert _changes({}, Declared(measured=[of])) == [(code, of.partition(":")[2])]


def test_file_with_a_colon_in_its_name() -> None:
    assert _changes({"file:a:b": "a"}, Declared(), Fixed({"file:a:b": "b"})) == [(Code.INPUT_CHANGED, "a:b")]


@pytest.mark.parametrize("of", ["folder:herbs", "glob:herbs/*"])
def test_list_of_files_says_which_are_new(of: str) -> None:
    recorded = {of: "old", "file:herbs/mint": "a", "file:herbs/none": ABSENT}
    now = {of: "new", "file:herbs/mint": "a", "file:herbs/none": "b"}
    meter = Fixed(now, {of: ("herbs/mint", "herbs/none", "herbs/sage")})
    found = _changes(recorded, Declared(), meter)
    assert sorted(found) == [(Code.INPUT_ADDED, "herbs/none"), (Code.INPUT_ADDED, "herbs/sage")], "each once"


def test_list_that_only_lost_files_says_so_itself() -> None:
    meter = Fixed({"glob:*": "new"}, {"glob:*": ()})
    assert _changes({"glob:*": "old"}, Declared(), meter) == [(Code.INPUT_REMOVED, "*")]


def test_upstream_is_asked_for_its_digest() -> None:
    asked = {"same": "sha256:1", "other": "sha256:3", "open": None}
    recorded = {"artifact:same": "sha256:1", "artifact:other": "sha256:2", "artifact:open": "sha256:1"}
    found, questions = changes(recorded, Declared(), Fixed({}), {}, asked.__getitem__)
    assert found == [Reason(code=Code.UPSTREAM_CHANGED, detail="other")]
    assert questions == ["open"]


def test_real_files_are_measured(tmp_path: Path) -> None:
    (tmp_path / "leaf").write_bytes(b"green")
    meter = InputHasher(tmp_path)
    recorded = {of: meter.measure(of) for of in ("file:leaf", "glob:*", "folder:.", "variable:PATH")}
    assert _changes(recorded, Declared(measured=list(recorded)), meter) == []
    (tmp_path / "stem").touch()
    meter.forget()
    assert _changes(recorded, Declared(), meter) == [(Code.INPUT_ADDED, "stem")]


def test_context_that_is_gone_is_named_and_stops_nothing(tmp_path: Path) -> None:
    """What is to be done is told of all others too; the build says what is wrong with this one."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "leaf").write_text("tea")
    context = "context:app"
    there = InputHasher(tmp_path)
    before = {context: there.measure(context), "file:app/leaf": there.measure("file:app/leaf")}
    declared = Declared(measured=[context])
    assert _changes(before, declared, InputHasher(tmp_path)) == []
    (tmp_path / "app").rename(tmp_path / "away")
    gone = InputHasher(tmp_path)
    assert (gone.measure(context), gone.files(context)) == (ABSENT, ())
    assert set(_changes(before, declared, gone)) == {
        (Code.INPUT_REMOVED, "app"),
        (Code.INPUT_REMOVED, "app/leaf"),
    }
