"""Images are judged as files are: by every byte of their layout, whatever the times say."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.record import Record, image_names
from doit_provenance.tasks.freshness import evidence_check, inputs, remembered
from doit_provenance.tasks.freshness.answer import Action, Code, Depends, Fresh, Stale
from doit_provenance.tasks.pipeline.outcome import Done

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = image_names("tea")


@pytest.fixture
def served(kitchen: Any) -> Any:
    """Return a kitchen where the image `tea` was made of `milk`, and `tray` of both, and all is settled."""
    kettle = kitchen.kettle
    kettle.names, kettle.images = ["milk", "tea", "tray"], {"tea", "tray"}
    kettle.upstream = {"tea": ("milk",), "tray": ("tea",)}
    kettle.measured = {"milk": ("file:src/cow",), "tea": ("file:src/leaf",), "tray": ("file:src/wood",)}
    (kitchen.root / "src").mkdir()
    for name in ("cow", "leaf", "wood"):
        (kitchen.root / "src" / name).write_text(f"{name}\n")
    kitchen.run()
    newest = max(p.lstat().st_ctime_ns for p in kitchen.root.rglob("*"))
    while time.time_ns() <= newest + 2 * inputs._TICK:
        time.sleep(0.005)
    kitchen.run()
    return kitchen


def _image(kitchen: Any) -> Path:
    found: Path = kitchen.place("tea") / NAMES.artifact
    return found


def _blobs(kitchen: Any) -> list[Path]:
    return sorted((_image(kitchen) / "blobs" / "sha256").iterdir())


def test_image_stands_beside_its_evidence(served: Any) -> None:
    place = served.place("tea")
    assert {p.name for p in place.iterdir()} == {NAMES.artifact, NAMES.record, *NAMES.evidence}
    record = Record.from_json((place / NAMES.record).read_bytes())
    assert record.media_type == "application/vnd.oci.image.manifest.v1+json"
    assert record.digest == served.kettle.digest("tea")
    assert (_image(served) / "blobs" / "sha256" / record.digest.sha256).stat().st_size == record.digest.size


def test_nothing_of_a_fresh_image_is_read(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(evidence_check, "check_folder", refuse)
    monkeypatch.setattr(remembered, "_digest", refuse)
    assert {type(answer) for answer in served.plan().values()} == {Fresh}


def _flip(path: Path) -> None:
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace_by_link(path: Path) -> None:
    away = path.parents[5] / f"away-{path.name}"
    shutil.move(path, away)
    path.symlink_to(away)


TAMPERING: dict[str, Callable[[Path], object]] = {
    "config": lambda image: _flip(_of_size(image, 37)),
    "layer": lambda image: _flip(_largest_but(image)),
    "manifest": lambda image: _flip(max((image / "blobs" / "sha256").iterdir(), key=lambda p: p.stat().st_size)),
    "index": lambda image: _flip(image / "index.json"),
    "layout file": lambda image: _flip(image / "oci-layout"),
    "blob gone": lambda image: _of_size(image, 37).unlink(),
    "blob is a link": lambda image: _replace_by_link(_of_size(image, 37)),
    "blob more": lambda image: (image / "blobs" / "sha256" / ("0" * 64)).write_bytes(b""),
    "file more": lambda image: (image / "note").write_text("hello"),
    "folder more": lambda image: (image / "blobs" / "sha512").mkdir(),
    "no image": shutil.rmtree,
    "a file": lambda image: (shutil.rmtree(image), image.write_text("tea")),
}


def _of_size(image: Path, size: int) -> Path:
    return next(p for p in (image / "blobs" / "sha256").iterdir() if p.stat().st_size == size)


def _largest_but(image: Path) -> Path:
    """Return the layer: neither the configuration nor the manifest."""
    blobs = sorted((image / "blobs" / "sha256").iterdir(), key=lambda p: p.stat().st_size)
    return next(p for p in blobs[:-1] if p.stat().st_size != 37)


@pytest.mark.parametrize("lose_state", [False, True], ids=["", "state lost"])
@pytest.mark.parametrize("tampering", TAMPERING)
def test_tampering_is_seen_and_undone(served: Any, tampering: str, *, lose_state: bool) -> None:
    before = {p.relative_to(_image(served)): p.read_bytes() for p in _image(served).rglob("*") if p.is_file()}
    TAMPERING[tampering](_image(served))
    if lose_state:
        served.database.unlink()
    answer = served.plan()["tea"]
    assert isinstance(answer, Stale)
    assert answer.action is Action.BUILD
    code = Code.ARTIFACT_MISSING if tampering == "no image" else Code.ARTIFACT_CHANGED
    assert code in {reason.code for reason in answer.reasons}
    assert served.run()["tea"].done is Done.REBUILT
    assert {p.relative_to(_image(served)): p.read_bytes() for p in _image(served).rglob("*") if p.is_file()} == before
    assert isinstance(served.plan()["tea"], Fresh)


def test_reason_names_the_image_once(served: Any) -> None:
    for size in ("0" * 64, "1" * 64):
        (_image(served) / "blobs" / "sha256" / size).write_bytes(b"")
    answer = served.plan()["tea"]
    assert isinstance(answer, Stale)
    (reason,) = answer.reasons
    assert reason.detail == f"`image`: `blobs/sha256/{'0' * 64}` is not part of the image, and 1 more"


def test_touching_changes_nothing(served: Any) -> None:
    for path in _blobs(served):
        os.utime(path)
    assert isinstance(served.plan()["tea"], Fresh)


def test_evidence_is_repaired_and_the_layout_stays(served: Any) -> None:
    inodes = {p: p.stat().st_ino for p in _blobs(served)}
    provenance = (served.place("tea") / NAMES.provenance_bundle).read_bytes()
    (served.place("tea") / NAMES.spdx).unlink()
    answer = served.plan()["tea"]
    assert isinstance(answer, Stale)
    assert answer.action is Action.ATTEST
    assert served.run()["tea"].done is Done.ATTESTED
    assert {p: p.stat().st_ino for p in _blobs(served)} == inodes
    assert (served.place("tea") / NAMES.provenance_bundle).read_bytes() == provenance


def test_image_of_a_changed_artifact_is_built_and_one_of_the_same_image_is_not(served: Any) -> None:
    (served.root / "src" / "cow").write_text("cow\n# a comment, which changes no byte\n")
    answers = served.plan()
    assert isinstance(answers["tea"], Depends)
    assert served.run()["milk"].done is Done.REBUILT
    assert served.called == ["milk"]
    (served.root / "src" / "cow").write_text("goat\n")
    outcomes = served.run()
    assert served.called == ["milk", "tea", "tray"]
    assert outcomes["tea"].done is Done.BUILT
    assert served.kettle.used["tray"] == {served.id("tea"): str(outcomes["tea"].digest)}


def test_equal_blobs_are_linked_not_written(served: Any) -> None:
    """Of an image that was built again, only what is new costs a write."""
    config = _of_size(_image(served), 37)
    inode = config.stat().st_ino
    (served.root / "src" / "leaf").write_text("camomile\n")
    assert served.run()["tea"].done is Done.BUILT
    assert _of_size(_image(served), 37).stat().st_ino == inode


def test_record_of_a_file_in_the_place_of_an_image(served: Any) -> None:
    """Somebody takes the media type from the record: its seal breaks, and the folder is no file's either."""
    path = served.place("tea") / NAMES.record
    text = path.read_text()
    path.write_text("".join(line for line in text.splitlines(keepends=True) if "mediaType" not in line))
    answer = served.plan()["tea"]
    assert isinstance(answer, Stale)
    assert answer.reasons[0].code is Code.RECORD_INVALID


def test_image_whose_name_is_that_of_its_folder(kitchen: Any) -> None:
    """It is an image by its form, not by what it is called; and so it is when its evidence is made again."""
    kitchen.kettle.names, kitchen.kettle.images = ["image"], {"image"}
    assert kitchen.run()["image"].done is Done.BUILT
    assert (kitchen.place("image") / "image" / "index.json").is_file()
    (kitchen.place("image") / "image.spdx.json").unlink()
    assert kitchen.run()["image"].done is Done.ATTESTED
    assert isinstance(kitchen.plan()["image"], Fresh)
