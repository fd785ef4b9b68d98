from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

Run = Any  # what the fixture `run` returns
POT = "kettle:pot@linux/amd64"


@pytest.fixture
def image(run: Run, kettle: Any) -> str:
    """Build an image beside the file `tea`; return its id."""
    kettle.names = [*kettle.names, "pot"]
    kettle.images.add("pot")
    assert run("run").code == 0
    return POT


def test_image_that_verifies_is_exported(run: Run, image: str, tmp_path: Path) -> None:
    target = tmp_path / "pot.tar"
    target.write_bytes(b"an older one")
    ended = run("export", image, str(target))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"exported  {POT}  sha256:")
    with tarfile.open(target) as archive:
        assert {"index.json", "oci-layout", "manifest.json"} < set(archive.getnames())
    assert [path.name for path in tmp_path.iterdir() if "pot.tar" in path.name] == ["pot.tar"]


def test_by_its_folder_and_another_name(run: Run, image: str, root: Path, tmp_path: Path) -> None:
    assert image == POT
    folder = root / "dist" / "kettle" / "pot"
    assert run("export", str(folder), str(tmp_path / "a.tar"), "--name", "ghcr.io/tea/pot:2").code == 0
    with tarfile.open(tmp_path / "a.tar") as archive:
        found = archive.extractfile("manifest.json")
        assert found is not None
        assert b'"RepoTags":["ghcr.io/tea/pot:2"]' in found.read()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "takes an image and a file"),
        ([POT], "takes an image and a file"),
        (["kettle:tea", "x.tar"], "is a file and no image"),
        (["kettle", "x.tar"], "stands for"),
        (["kettle:pat", "x.tar"], "is not an artifact of this workspace"),
        (["dist", "x.tar"], "is not the folder of one artifact"),
        ([POT, "x.tar", "--name", "UPPER"], "is not a reference to an image"),
        ([POT, "x.tar", "--name", "tea@sha256:" + 64 * "a"], "is no name with a tag alone"),
    ],
)
def test_wrong_usage(run: Run, image: str, root: Path, arguments: list[str], said: str) -> None:
    assert image == POT
    ended = run("export", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert not (root / "x.tar").exists()


def test_image_that_does_not_verify_is_not_exported(run: Run, image: str, root: Path, tmp_path: Path) -> None:
    blob = next((root / "dist/kettle/pot/linux-amd64/image/blobs/sha256").iterdir())
    blob.write_bytes(b"poison")
    ended = run("export", image, str(tmp_path / "a.tar"))
    assert (ended.code, ended.out) == (1, "")
    assert not (tmp_path / "a.tar").exists()


def test_target_that_cannot_be_written(run: Run, image: str, tmp_path: Path) -> None:
    ended = run("export", image, str(tmp_path / "no" / "a.tar"))
    assert (ended.code, ended.out) == (1, "")
    assert f"can't write `{tmp_path}/no/a.tar`: `{tmp_path}/no` is no folder" in ended.err
