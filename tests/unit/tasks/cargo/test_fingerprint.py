"""What is looked at has another value whenever what is there differs, and is read again only then."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.tasks.cargo.fingerprint import Fingerprint, Probe, measure, members, probe_key

if TYPE_CHECKING:
    from pathlib import Path

AGO = time.time_ns() - 10**10


def _values(*probes: str) -> dict[str, str]:
    return dict(measure(probes, {}).values)


def _old(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, ns=(AGO, AGO))
    return path


@pytest.mark.parametrize("kind", [Probe.FILE, Probe.STATUS, Probe.PRESENCE])
def test_file_that_comes_and_goes(tmp_path: Path, kind: Probe) -> None:
    of = probe_key(kind, tmp_path / "a")
    absent = _values(of)
    (tmp_path / "a").mkdir()
    if kind is not Probe.STATUS:
        assert _values(of) == absent, "a folder is no file"
    (tmp_path / "a").rmdir()
    _old(tmp_path / "a")
    assert _values(of) != absent
    (tmp_path / "a").unlink()
    assert _values(of) == absent


def test_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    of = probe_key(Probe.FILE, _old(tmp_path / "a", "one"))
    before = _values(of)
    (tmp_path / "a").touch()
    assert _values(of) == before
    _old(tmp_path / "a", "two")
    assert _values(of) != before, "the time and the size are the same"


def test_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = probe_key(Probe.FILE, tmp_path / "a")
    _old(tmp_path / "a", "one")
    time.sleep(0.03)  # until its time proves something
    first = measure([of], {})
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("it is read again"))
    assert measure([of], {}, first.known).values == first.values


def test_program_that_has_just_changed_is_racy(tmp_path: Path) -> None:
    """It may change once more within the same tick of the clock."""
    (tmp_path / "a").write_text("")
    assert measure([probe_key(Probe.STATUS, tmp_path / "a")], {}).racy
    time.sleep(0.03)
    assert not measure([probe_key(Probe.STATUS, tmp_path / "a")], {}).racy


def test_link_leads_elsewhere(tmp_path: Path) -> None:
    of = probe_key(Probe.LINK, tmp_path / "link")
    (tmp_path / "link").symlink_to("a")
    before = _values(of)
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("b")
    assert _values(of) != before


def test_toolchain_is_linked_elsewhere(tmp_path: Path) -> None:
    of = probe_key(Probe.LINKS, tmp_path)
    seen = [_values(of)]
    (tmp_path / "stable").symlink_to("a")
    seen.append(_values(of))
    (tmp_path / "stable").unlink()
    (tmp_path / "stable").symlink_to("b")
    seen.append(_values(of))
    assert len({str(values) for values in seen}) == 3


def test_programs_of_a_package(tmp_path: Path) -> None:
    of = probe_key(Probe.PROGRAMS, tmp_path)
    nothing = _values(of)
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "parts").mkdir()
    assert _values(of) == nothing
    (tmp_path / "one.rs").write_text("")
    one = _values(of)
    (tmp_path / "parts" / "main.rs").write_text("")
    assert len({str(v) for v in (nothing, one, _values(of))}) == 3


def test_folder_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    for kind in (Probe.LINKS, Probe.PROGRAMS):
        assert _values(probe_key(kind, tmp_path / "gone")) == {f"{kind}:{tmp_path}/gone": ""}


def test_members_are_the_folders_with_a_manifest(tmp_path: Path) -> None:
    for name in (
        "apps/a/Cargo.toml",
        "apps/.b/Cargo.toml",
        "apps/c/notes.txt",
        "libs/x/y/Cargo.toml",
        "other/Cargo.toml",
    ):
        _old(tmp_path / name)
    assert members(f"{tmp_path}/apps/*") == [f"{tmp_path}/apps/.b", f"{tmp_path}/apps/a"]
    assert members(f"{tmp_path}/libs/*/[yz]") == [f"{tmp_path}/libs/x/y"]
    assert members(f"{tmp_path}/oth?r") == [f"{tmp_path}/other"]
    assert members(f"{tmp_path}/gone/*") == []


def test_a_new_member_is_seen_and_a_new_file_is_not(tmp_path: Path) -> None:
    _old(tmp_path / "apps/a/Cargo.toml")
    of = probe_key(Probe.MEMBERS, tmp_path / "apps" / "*")
    before = _values(of)
    _old(tmp_path / "apps/target/x")
    assert _values(of) == before
    _old(tmp_path / "apps/b/Cargo.toml")
    assert _values(of) != before


def test_what_moved_is_named(tmp_path: Path) -> None:
    probes = [probe_key(Probe.FILE, tmp_path / name) for name in ("a", "b")]
    before = measure(probes, {"environment": "1"})
    assert measure(probes, {"environment": "1"}).changed_since(before) is None
    assert measure(probes, {"environment": "2"}).changed_since(before) == "environment"
    _old(tmp_path / "b")
    assert measure(probes, {"environment": "1"}).changed_since(before) == str(tmp_path / "b")


def test_remembered_is_the_same(tmp_path: Path) -> None:
    ground = measure([probe_key(Probe.FILE, _old(tmp_path / "a", "one"))], {"home": "x"})
    assert Fingerprint.from_json(ground.to_json()) in (ground, Fingerprint(values=ground.values, known={}))
    time.sleep(0.03)
    ground = measure(ground.values, {"home": "x"})
    again = Fingerprint.from_json(ground.to_json())
    assert again == ground
    assert again is not None
    assert again.digest == ground.digest


@pytest.mark.parametrize(
    "found", [None, [], {}, {"values": {}}, {"values": 1, "known": {}}, {"values": {}, "known": []}]
)
def test_remembered_is_something_else(found: object) -> None:
    assert Fingerprint.from_json(found) is None


@given(st.dictionaries(st.text(), st.text(), max_size=4), st.dictionaries(st.text(), st.text(), max_size=4))
def test_digest_is_of_all_values(one: dict[str, str], other: dict[str, str]) -> None:
    grounds = [Fingerprint(values=values, known={}) for values in (one, other)]
    joined = any("\0" in text for values in (one, other) for pair in values.items() for text in pair)
    if not joined:
        assert (grounds[0].digest == grounds[1].digest) == (one == other)
