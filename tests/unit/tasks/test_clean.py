"""What is removed of an artifact is what a build of it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from doit_provenance.tasks.clean import removal_of, remove

FOLDER = Path("kettle", "tea", "any")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return an artifact's folder, in the output folder `dist`."""
    found = tmp_path / "dist" / FOLDER
    found.mkdir(parents=True)
    for name in ("tea", "tea.record.json", "tea.spdx.json", "tea.provenance.sigstore.json"):
        (found / name).write_text("x")
    return found


def test_everything_goes_and_empty_folders_with_it(place: Path, tmp_path: Path) -> None:
    removal = removal_of(tmp_path / "dist", FOLDER)
    assert len(removal.ours) == 4
    remove(removal)
    assert not place.exists()
    assert list((tmp_path / "dist").iterdir()) == []


def test_neighbours_stay(place: Path, tmp_path: Path) -> None:
    other = place.with_name("other")
    other.mkdir()
    staging = place.with_name(".staging-any-0123456789ab")
    for name in (staging.name, ".staging-any-x-0123456789ab", ".staging-anything", ".staging-any-0123456789ab-old"):
        place.with_name(name).mkdir()
    removal = removal_of(tmp_path / "dist", FOLDER)
    assert [p.name for p in removal.left] == [staging.name, f"{staging.name}-old"]
    remove(removal)
    assert sorted(p.name for p in place.parent.iterdir()) == [
        ".staging-any-x-0123456789ab",
        ".staging-anything",
        "other",
    ]


def test_an_image_is_a_folder(place: Path, tmp_path: Path) -> None:
    (place / "tea").unlink()
    (place / "tea" / "blobs").mkdir(parents=True)
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "file").write_text("stays")
    (place / "tea" / "link").symlink_to(tmp_path / "far")
    (place / "own.txt").write_text("stays")
    remove(removal_of(tmp_path / "dist", FOLDER))
    assert [p.name for p in place.iterdir()] == ["own.txt"]
    assert (tmp_path / "far" / "file").exists()


def test_link_in_the_place_of_a_file(place: Path, tmp_path: Path) -> None:
    (place / "tea").unlink()
    (tmp_path / "far").mkdir()
    (place / "tea").symlink_to(tmp_path / "far")
    (place / "own.txt").write_text("stays")
    remove(removal_of(tmp_path / "dist", FOLDER))
    assert [p.name for p in place.iterdir()] == ["own.txt"]
    assert (tmp_path / "far").is_dir()


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_links_on_the_way(place: Path, tmp_path: Path, depth: int) -> None:
    link = (place, *place.parents)[depth]
    link.rename(tmp_path / "away")
    link.symlink_to(tmp_path / "away")
    removal = removal_of(tmp_path / "dist", FOLDER)
    assert (removal.ours, removal.left, removal.reason) == ((), (), f"`{link}` is a link")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda place: (place / "tea.record.json").unlink(), "it contains no record, so no build may have written it"),
        (lambda place: place.rename(place.with_name("away")), ""),
        (lambda place: (place.rename(place.with_name("away")), place.write_text("a file")), "it is not a folder"),
    ],
)
def test_what_is_not_ours(place: Path, tmp_path: Path, change: object, reason: str) -> None:
    change(place)  # type: ignore[operator] # one of the above
    removal = removal_of(tmp_path / "dist", FOLDER)
    assert (removal.ours, removal.reason) == ((), reason)
    remove(removal)
    assert len(list(place.parent.iterdir())) >= 1
