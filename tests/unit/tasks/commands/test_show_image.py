"""What `doit show` and `doit verify` say of images: layers, who explains which file, lineage, and every blob."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.sbom.inventory import Inventory
from doit_provenance.tasks.commands.show_image import explanations

if TYPE_CHECKING:
    from pathlib import Path

Run = Any  # what the fixture `run` returns


def _layer(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755 if name.startswith("bin/") else 0o644
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def image(run: Run, kettle: Any, root: Path) -> Path:
    """Build `milk`, and the image `tea` of it, in which there is more than milk."""
    (root / "leaf.txt").write_text("black\n")
    kettle.names, kettle.images, kettle.upstream = ["milk", "tea"], {"tea"}, {"tea": ("milk",)}
    kettle.measured = {"tea": ("file:leaf.txt",)}
    kettle.content = {
        "tea": _layer({"bin/milk": b"milk", "bin/unknown": b"?", "etc/leaf": b"black\n", "etc/\x1b[2Jx": b"y"})
    }
    assert run("run").code == 0
    return root / "dist" / "kettle" / "tea" / "linux-amd64" / "image"


def test_layers_explanations_and_lineage(run: Run, image: Path) -> None:
    ended = run("show", "kettle:tea")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0] == "kettle:tea@linux/amd64"
    assert lines[1].startswith("  image:      linux/amd64, 1 layer, ")
    assert lines[2].startswith("  layer 1:    sha256:")
    at = lines.index("  lineage:")
    assert lines[at + 1].startswith("    kettle:tea@linux/amd64  sha256:")
    assert lines[at + 2].startswith("      kettle:milk@linux/amd64  sha256:")
    assert "  who explains its files (4):" in lines
    assert "    source: etc/leaf (layer 1)" in lines
    assert any(line.startswith("    nobody: bin/") for line in lines)
    assert "\x1b" not in ended.out, "a file's name moves no cursor"
    assert image.is_dir()


def test_by_path_the_sources_are_not_known(run: Run, image: Path) -> None:
    ended = run("show", str(image))
    assert ended.code == 0
    assert "etc/leaf" in next(line for line in ended.out.splitlines() if line.startswith("    nobody: "))


def test_sources_that_are_not_known_are_not_called_nobodys(image: Path) -> None:
    inventory = Inventory.from_json((image.parent / "tea.inventory.json").read_bytes())
    counted = replace(inventory.subject, properties={"image:files-by-source": "1"})
    leaf = hashlib.sha256(b"black\n").hexdigest()
    here, away = (
        list(explanations(image, replace(inventory, subject=counted), sources)) for sources in ({leaf: "leaf.txt"}, {})
    )
    assert here[-1].startswith("  nobody: bin/milk")
    assert away[-1].startswith("  nobody, or sources that are not known here (1 of these): bin/milk")


@pytest.mark.parametrize("what", ["image", "folder", "task"])
def test_layout_is_verified_blob_by_blob(run: Run, image: Path, what: str) -> None:
    name = {"image": str(image), "folder": str(image.parent), "task": "kettle:tea"}[what]
    ended = run("verify", name)
    assert (ended.code, ended.out.splitlines()[0].split()[:2]) == (0, ["verified", "kettle:tea@linux/amd64"])
    blob = min((image / "blobs" / "sha256").iterdir(), key=lambda p: p.stat().st_size)
    blob.write_bytes(blob.read_bytes()[::-1])
    ended = run("verify", name)
    assert ended.code == 1
    assert f"blobs/sha256/{blob.name}` has the digest sha256:" in ended.out


def test_lone_layout_is_verified_with_a_bundle(run: Run, image: Path, tmp_path: Path) -> None:
    lone = image.rename(tmp_path / "lone")
    ended = run("verify", str(lone))
    assert (ended.code, "no bundle lies beside" in ended.out) == (2, True)
    bundle = image.parent / "tea.provenance.sigstore.json"
    ended = run("verify", "--bundle", str(bundle), str(lone))
    assert (ended.code, ended.out.split()[0]) == (0, "verified")
    (lone / "blobs" / "sha256" / ("0" * 64)).touch()
    ended = run("verify", "--bundle", str(bundle), str(lone))
    assert ended.code == 1
    assert "is not part of the image" in ended.out


def test_folder_that_is_no_layout_goes_with_no_bundle(run: Run, image: Path) -> None:
    bundle = image.parent / "tea.provenance.sigstore.json"
    ended = run("verify", "--bundle", str(bundle), str(image.parent))
    assert ended.code == 2
    assert "exactly one file or image layout" in ended.err
