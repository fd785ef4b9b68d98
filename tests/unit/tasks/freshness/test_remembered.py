"""What is remembered of a folder, and when it is believed without being read."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.tasks.freshness import remembered
from doit_provenance.tasks.freshness.inputs import FileStamp
from doit_provenance.tasks.freshness.remembered import Remembered, look_again, signatures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_known = st.builds(FileStamp, st.text(), st.none() | st.tuples(*[st.integers(0)] * 4))
_remembered = st.builds(
    Remembered,
    by=st.text(),
    digest=st.tuples(st.text(), st.text(), st.integers(0)),
    files=st.dictionaries(st.text(), _known),
    values=st.dictionaries(st.text(), st.text()),
    inputs=st.dictionaries(st.text(), _known),
    since=st.text(),
)


@given(found=_remembered)
def test_round_trip(found: Remembered) -> None:
    assert Remembered.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_recorded_inputs_are_all_of_them() -> None:
    found = Remembered(
        by="",
        digest=("", "", 0),
        files={"tea": FileStamp("x", None)},
        values={"file:none": "absent", "setting:a": "b"},
        inputs={"file:leaf": FileStamp("c", (1, 2, 3, 4))},
        since="",
    )
    assert found.recorded() == {"file:none": "absent", "setting:a": "b", "file:leaf": "c"}


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.pop("by"),
        lambda found: found.pop("since"),
        lambda found: found.update(digest=["a", "b"]),
        lambda found: found.update(digest=7),
        lambda found: found.update(files=[]),
        lambda found: found.update(files={"tea": []}),
        lambda found: found.update(files={"tea": ["a", 1, 2]}),
        lambda found: found.update(inputs=None),
        lambda found: found.update(inputs={"file:a": 7}),
    ],
)
def test_another_shape_is_nothing(change: Callable[[dict[str, Any]], object]) -> None:
    """Another version of this program may have written it."""
    found = Remembered(by="", digest=("", "", 0), files={}, values={}, inputs={}, since="").to_json()
    assert isinstance(found, dict)
    assert Remembered.from_json(found) is not None
    change(found)
    assert Remembered.from_json(found) is None


@pytest.mark.parametrize("found", [None, [], 7, "by", {}])
def test_what_is_no_table_is_nothing(found: object) -> None:
    assert Remembered.from_json(found) is None


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of two files whose times are believed at once."""
    monkeypatch.setattr(remembered, "settled", lambda *_: True)
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "tea").write_bytes(b"tea")
    (folder / "mug").write_bytes(b"mug")
    return folder


def _files(place: Path) -> dict[str, FileStamp]:
    return {
        name: FileStamp(hashlib.sha256((place / name).read_bytes()).hexdigest(), signature)
        for name, signature in signatures(place).items()
    }


def test_same_signatures_are_not_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = _files(place)
    monkeypatch.setattr(remembered, "_digest", lambda *_: pytest.fail("a file was read"))
    assert look_again(place, files) == files


def test_touched_file_is_known_by_its_new_signature(place: Path) -> None:
    files = _files(place)
    os.utime(place / "tea", ns=(1, 1))
    found = look_again(place, files)
    assert found == _files(place) != files


def test_racy_file_is_read_each_time(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "settled", lambda *_: False)
    racy = {name: FileStamp(known.sha256, None) for name, known in _files(place).items()}
    assert look_again(place, racy) == racy
    (place / "tea").write_bytes(b"pot")
    assert look_again(place, racy) is None


def _replace(place: Path) -> None:
    (place / "new").write_bytes(b"tex")
    (place / "new").replace(place / "tea")


def _to_link(place: Path) -> None:
    (place / "tea").rename(place.parent / "tea")
    (place / "tea").symlink_to(place.parent / "tea")


def _to_pipe(place: Path) -> None:
    (place / "tea").unlink()
    os.mkfifo(place / "tea")


@pytest.mark.parametrize(
    "do",
    [
        lambda place: (place / "tea").write_bytes(b"tex"),
        lambda place: (place / "tea").unlink(),
        lambda place: (place / "tea").rename(place / "pot"),
        lambda place: (place / "pot").touch(),
        lambda place: (place / "pot").mkdir(),
        lambda place: [p.unlink() for p in place.iterdir()],
        lambda place: place.rename(place.parent / "elsewhere"),
        _replace,
        _to_link,
        _to_pipe,
    ],
)
def test_whatever_else_is_in_the_folder_it_is_not_what_it_was(place: Path, do: Callable[[Path], object]) -> None:
    files = _files(place)
    do(place)
    assert look_again(place, files) is None


def test_folder_that_is_a_file_is_not_what_it_was(place: Path) -> None:
    assert look_again(place / "tea", {}) is None
    assert signatures(place / "tea") == signatures(place / "none") == {}


def test_file_that_changes_while_it_is_read_is_not_what_it_was(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: FileStamp(known.sha256, None) for name, known in _files(place).items()}
    digest = hashlib.file_digest

    def meanwhile(stream: Any, name: str) -> object:
        found = digest(stream, name)
        os.utime(place / "tea", ns=(1, 1))
        os.utime(place / "mug", ns=(1, 1))
        return found

    monkeypatch.setattr(hashlib, "file_digest", meanwhile)
    assert look_again(place, files) is None
