"""What is measured of an artifact's folder is all of the artifact, and nothing that nobody signed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import UnreadableError, VerificationError
from doit_provenance.provenance.fs.folder import opened
from doit_provenance.provenance.oci.model import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from doit_provenance.provenance.oci.writer import LayoutWriter
from doit_provenance.provenance.record import IMAGE, file_names, image_names
from doit_provenance.provenance.verify.evidence import Measured, measure, measure_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def manifest(tmp_path: Path) -> bytes:
    """Write an image of one layer into the folder, and return its manifest."""
    writer = LayoutWriter(tmp_path / IMAGE)
    config, layer = writer.add(b"{}", OCI_CONFIG), writer.add(b"tea", OCI_LAYER)
    document = {"schemaVersion": 2, "config": config.to_json(), "layers": [layer.to_json()]}
    data = json.dumps(document).encode()
    writer.finish(writer.add(data, OCI_MANIFEST))
    return data


def test_file(tmp_path: Path) -> None:
    (tmp_path / "wash").write_bytes(b"tea")
    with opened(tmp_path) as folder:
        found = measure(folder, file_names("wash"), media_type=None)
    digest = digest_bytes(b"tea")
    assert (
        found
        == Measured.of_file("wash", digest)
        == Measured(digest=digest, media_type=None, files={"wash": digest.sha256})
    )


def test_image_is_its_manifest_and_all_of_its_files(tmp_path: Path, manifest: bytes) -> None:
    with opened(tmp_path) as folder:
        found = measure(folder, image_names("wash"), media_type=OCI_MANIFEST)
    assert found.digest == digest_bytes(manifest)
    files = {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert found.files == {name: digest_bytes(data).sha256 for name, data in files.items()}
    assert len(files) == 5


def test_other_media_type_than_recorded(tmp_path: Path, manifest: bytes) -> None:
    assert manifest
    with opened(tmp_path) as folder, pytest.raises(VerificationError, match=r"the record says `.*index"):
        measure(folder, image_names("wash"), media_type=OCI_INDEX)


def test_no_image(tmp_path: Path) -> None:
    with opened(tmp_path) as folder, pytest.raises(UnreadableError, match="missing"):
        measure(folder, image_names("wash"), media_type=OCI_MANIFEST)


def _tag(index: dict[str, list[dict[str, object]]]) -> object:
    return index["manifests"][0].update(annotations={"org.opencontainers.image.ref.name": "v2"})


def _platform(index: dict[str, list[dict[str, object]]]) -> object:
    return index["manifests"][0].update(platform={"os": "linux", "architecture": "arm64"})


def _annotate(index: dict[str, list[dict[str, object]]]) -> object:
    return index.update(annotations={"org.opencontainers.image.version": "v2"})  # type: ignore[call-overload] # a forger


@pytest.mark.parametrize("forge", [_tag, _platform, _annotate, lambda _index: None])
def test_entry_that_says_more_than_the_digest(
    tmp_path: Path, manifest: bytes, forge: Callable[[object], object]
) -> None:
    """A tag or a platform beside the digest would be nobody's word; nor is other white space what was written."""
    assert manifest
    path = tmp_path / IMAGE / "index.json"
    index = json.loads(path.read_bytes())
    forge(index)
    path.write_text(json.dumps(index, indent=1))
    with pytest.raises(VerificationError, match=r"`image/index\.json` contains unsigned data"):
        measure_image(tmp_path)
