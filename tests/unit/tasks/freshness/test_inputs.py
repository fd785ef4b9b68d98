"""What an input is, how it is measured, and when a file's times say that it is the same."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.freshness import inputs
from doit_provenance.tasks.freshness.inputs import (
    ABSENT,
    MEASURED,
    UNSET,
    FileStamp,
    InputHasher,
    Kind,
    digest_of,
    key,
    measure_file,
    names_digest,
    parts,
    settled,
    to_json,
    variable,
)

SECOND = 1_000_000_000


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def meter(tmp_path: Path) -> InputHasher:
    root = tmp_path / "root"
    root.mkdir()
    return InputHasher(root, made=[root / "dist"])


@given(kind=st.sampled_from(Kind), name=st.text())
def test_keys_have_parts(kind: Kind, name: str) -> None:
    assert parts(key(kind, name)) == (kind, name)


@pytest.mark.parametrize("of", ["", ":", "leaf:src", "FILE:src", " file:src"])
def test_what_is_no_key(of: str) -> None:
    with pytest.raises(ValueError, match="is not a valid Kind"):
        parts(of)


@given(found=st.dictionaries(st.text(), st.text()))
def test_digest_is_of_what_is_said_and_not_of_its_order(found: dict[str, str]) -> None:
    backwards = dict(reversed(found.items()))
    assert to_json(found) == to_json(backwards)
    assert digest_of(found) == _sha256(to_json(backwards))
    assert digest_of({**found, "more": "x"}) != digest_of(found) or found.get("more") == "x"


def test_names_that_are_no_text_have_a_digest() -> None:
    assert digest_of({"file:\udcff": ABSENT}) != digest_of({"file:\udcfe": ABSENT})
    assert names_digest(["\udcff"]) == _sha256(b"\xff")


def test_lists_of_names_are_not_joined_into_each_other() -> None:
    assert names_digest(["a", "b"]) != names_digest(["ab"]) != names_digest(["a\0b"[:1], "", "b"])
    assert names_digest([]) == _sha256(b"")


def test_names_are_paths_as_short_as_they_can_be(meter: InputHasher) -> None:
    root = meter.root
    assert meter.name(root / "src" / "leaf") == "src/leaf"
    assert meter.name(root / "src" / ".." / "leaf") == "leaf"
    assert meter.name(root.parent / "beside") == "../beside"
    assert meter.name(root.parent / "root2" / "leaf") == "../root2/leaf", "it only begins alike"
    assert meter.name(Path("/nowhere/else")) == "/nowhere/else"
    assert meter.name(root) == "."


@pytest.mark.parametrize("name", ["src/leaf", "../beside", "/nowhere/else", ".hidden", ".", "..", "src/.leaf"])
def test_names_lead_back_to_their_paths(meter: InputHasher, name: str) -> None:
    assert meter.name(meter.path(name)) == name


@pytest.mark.parametrize("where", ["leaf", ".leaf", "../leaf", "src/leaf"])
def test_file_is_its_bytes(meter: InputHasher, where: str) -> None:
    path = meter.path(where)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"green")
    assert meter.measure(f"file:{where}") == _sha256(b"green")
    assert meter.measure(f"file:{path}") == _sha256(b"green")


def test_what_is_no_file_is_absent(meter: InputHasher) -> None:
    (meter.root / "folder").mkdir()
    os.mkfifo(meter.root / "pipe")
    (meter.root / "leaf").touch()
    (meter.root / "dangling").symlink_to("nothing")
    for name in ("none", "folder", "pipe", "leaf/below", "dangling"):
        assert meter.measure(f"file:{name}") == ABSENT


def test_link_is_what_it_leads_to(meter: InputHasher) -> None:
    (meter.root / "leaf").write_bytes(b"green")
    (meter.root / "link").symlink_to("leaf")
    assert meter.measure("file:link") == _sha256(b"green")
    (meter.root / "leaf").write_bytes(b"black")
    meter.forget()
    assert meter.measure("file:link") == _sha256(b"black")


def test_file_that_can_not_be_read_is_an_error(meter: InputHasher) -> None:
    (meter.root / "loop").symlink_to("loop")
    with pytest.raises(ToolError, match=r"an input can't be read: `.*loop`: Too many levels"):
        meter.measure("file:loop")


def test_file_is_looked_at_once_until_it_is_forgotten(meter: InputHasher) -> None:
    path = meter.root / "leaf"
    path.write_bytes(b"green")
    assert meter.measure("file:leaf") == _sha256(b"green")
    path.write_bytes(b"black")
    assert meter.measure("file:leaf") == _sha256(b"green"), "one run has one opinion"
    meter.forget()
    assert meter.measure("file:leaf") == _sha256(b"black")
    path.unlink()
    meter.forget()
    assert meter.measure("file:leaf") == ABSENT


def test_folder_is_its_names_and_not_their_bytes(meter: InputHasher) -> None:
    (meter.root / "herbs" / "wild").mkdir(parents=True)
    (meter.root / "herbs" / "mint").write_bytes(b"a")
    (meter.root / "herbs" / "wild" / "sage").write_bytes(b"b")
    before = meter.measure("folder:herbs")
    assert before == names_digest(["herbs/mint", "herbs/wild/sage"])
    assert meter.files("folder:herbs") == ("herbs/mint", "herbs/wild/sage")
    (meter.root / "herbs" / "mint").write_bytes(b"other")
    meter.forget()
    assert meter.measure("folder:herbs") == before
    (meter.root / "herbs" / "thyme").touch()
    assert meter.measure("folder:herbs") == before, "looked at once"
    meter.forget()
    assert meter.measure("folder:herbs") != before
    assert meter.measure("folder:none") == names_digest([])


def test_pattern_is_what_it_matches_but_what_builds_made(meter: InputHasher) -> None:
    for name in ("a.herb", "b.txt", "dist/c.herb", "src/d.herb"):
        (meter.root / name).parent.mkdir(exist_ok=True)
        (meter.root / name).touch()
    assert meter.files("glob:**/*.herb") == ("a.herb", "src/d.herb")
    assert meter.measure("glob:*.herb") == names_digest(["a.herb"])


def test_variable_is_a_digest_as_it_may_be_a_secret(meter: InputHasher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATER", raising=False)
    assert meter.measure("variable:WATER") == variable("WATER") == UNSET
    monkeypatch.setenv("WATER", "")
    meter.forget()
    assert meter.measure("variable:WATER") == _sha256(b"")
    monkeypatch.setenv("WATER", "unset")
    meter.forget()
    assert meter.measure("variable:WATER") == _sha256(b"unset") != UNSET


@pytest.mark.parametrize("kind", sorted(set(Kind) - MEASURED))
def test_what_only_a_builder_can_tell_is_not_measured(meter: InputHasher, kind: Kind) -> None:
    with pytest.raises(KeyError):
        meter.measure(f"{kind}:x")


def test_file_with_the_same_signature_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "leaf"
    path.write_bytes(b"green")
    monkeypatch.setattr(inputs, "_TICK", -SECOND)
    known = measure_file(str(path), None)
    assert known is not None
    assert known.signature is not None
    lie = known._replace(sha256="believed")
    assert measure_file(str(path), lie) is lie
    os.utime(path)
    found = measure_file(str(path), lie)
    assert found is not None
    assert (found.sha256, found.signature) == (known.sha256, inputs.signature_of(path.stat()))


def test_file_that_is_too_new_is_not_believed_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "leaf"
    path.write_bytes(b"green")
    monkeypatch.setattr(time, "time_ns", lambda: path.stat().st_ctime_ns + inputs._TICK)
    assert measure_file(str(path), None) == FileStamp(_sha256(b"green"), None)
    monkeypatch.setattr(time, "time_ns", lambda: path.stat().st_ctime_ns + inputs._TICK + 1)
    found = measure_file(str(path), FileStamp("", None))
    assert found == FileStamp(_sha256(b"green"), inputs.signature_of(path.stat()))


def test_file_that_changes_while_it_is_read_is_not_believed_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "leaf"
    path.write_bytes(b"green")
    monkeypatch.setattr(inputs, "_TICK", -SECOND)
    digest = hashlib.file_digest

    def meanwhile(stream: object, name: str) -> object:
        path.write_bytes(b"greener")
        return digest(stream, name)  # type: ignore[arg-type] # a file

    monkeypatch.setattr(hashlib, "file_digest", meanwhile)
    found = measure_file(str(path), None)
    assert found is not None
    assert found.signature is None


def test_file_that_vanishes_while_it_is_read_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "leaf"
    path.write_bytes(b"green")
    stat = os.stat

    def meanwhile(of: str) -> os.stat_result:
        found = stat(of)
        path.unlink()
        return found

    monkeypatch.setattr(os, "stat", meanwhile)
    assert measure_file(str(path), None) is None


@pytest.mark.parametrize(
    ("mtime", "ctime", "age", "expected"),
    [
        (1, 1, inputs._TICK + 2, True),
        (1, 1, inputs._TICK + 1, False),
        (1, 50, inputs._TICK + 50, False),
        (50, 1, inputs._TICK + 50, False),
        (50, 1, inputs._TICK + 51, True),
        (7 * SECOND, 7 * SECOND, 8 * SECOND, False),  # a filesystem that counts whole seconds
        (7 * SECOND, 7 * SECOND, 9 * SECOND, False),
        (7 * SECOND, 7 * SECOND, 9 * SECOND + 1, True),
        (7 * SECOND, 7 * SECOND + 1, 8 * SECOND, True),
        (100 * SECOND + 1, 1, 50 * SECOND, False),  # of the future
    ],
)
def test_times_prove_something_once_they_are_old_enough(mtime: int, ctime: int, age: int, *, expected: bool) -> None:
    assert settled((5, mtime, ctime, 9), age) is expected
