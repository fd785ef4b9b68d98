from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.oci import model
from doit_provenance.provenance.oci.convert import to_oci
from doit_provenance.provenance.oci.layout import verify_layout
from doit_provenance.provenance.oci.model import Descriptor, Index, Manifest, encode, platform_json
from doit_provenance.provenance.oci.writer import LayoutWriter, copy_layout

from .conftest import AMD64, ARM64

if TYPE_CHECKING:
    from pathlib import Path

    from doit_provenance.provenance.json import JSONValue

    from .conftest import Made


def read(writer: LayoutWriter, descriptor: Descriptor) -> Manifest:
    found = writer.manifest(descriptor)
    assert isinstance(found, Manifest)
    return found


def docker_image(writer: LayoutWriter, *, media_type: str = model.DOCKER_LAYER_GZIP) -> Descriptor:
    config = writer.add(encode({**platform_json(AMD64), "x": 1}), model.DOCKER_CONFIG)
    layer = writer.add(b"layer", media_type)
    document: dict[str, JSONValue] = {
        "schemaVersion": 2,
        "mediaType": model.DOCKER_MANIFEST,
        "config": config.to_json(),
        "layers": [layer.to_json()],
        "annotations": {"com.example": "kept"},
        "com.example.unknown": [1, None],
    }
    return writer.add(encode(document), model.DOCKER_MANIFEST)


@pytest.mark.parametrize(
    ("docker", "oci"),
    [
        (model.DOCKER_LAYER, model.OCI_LAYER),
        (model.DOCKER_LAYER_GZIP, model.OCI_LAYER_GZIP),
        (model.DOCKER_LAYER_ZSTD, model.OCI_LAYER_ZSTD),
        (model.DOCKER_FOREIGN_LAYER, model.OCI_FOREIGN_LAYER),
        (model.DOCKER_FOREIGN_LAYER_GZIP, model.OCI_FOREIGN_LAYER_GZIP),
        ("application/vnd.example.layer+encrypted", "application/vnd.example.layer+encrypted"),
    ],
)
def test_media_types_change_and_nothing_else(writer: LayoutWriter, docker: str, oci: str) -> None:
    before = read(writer, source := docker_image(writer, media_type=docker))
    root = to_oci(source, writer)
    after = read(writer, root)
    assert (root.media_type, after.media_type) == (model.OCI_MANIFEST, model.OCI_MANIFEST)
    assert (after.config.media_type, after.layers[0].media_type) == (model.OCI_CONFIG, oci)
    assert [one.digest for one in after.references] == [one.digest for one in before.references]
    assert after.annotations == {"com.example": "kept"}
    assert after.document["com.example.unknown"] == [1, None]


def test_oci_stays_byte_by_byte(multi: Made, writer: LayoutWriter) -> None:
    (root,) = copy_layout(multi.path, writer)
    assert to_oci(root, writer) == multi.root


def test_equal_images_are_equal(tmp_path: Path) -> None:
    roots = set()
    for name in ("a", "b"):
        writer = LayoutWriter(tmp_path / name)
        roots.add(to_oci(docker_image(writer), writer).digest)
    assert len(roots) == 1


def test_list_with_all_in_it(writer: LayoutWriter) -> None:
    image = docker_image(writer)
    strange = writer.add(b"?", "application/vnd.example")
    listed = {**image.to_json(), "platform": platform_json(ARM64), "annotations": {"a": "b"}, "com.example": 1}
    document: dict[str, JSONValue] = {
        "schemaVersion": 2,
        "mediaType": model.DOCKER_LIST,
        "manifests": [listed, strange.to_json()],
    }
    root = to_oci(writer.add(encode(document), model.DOCKER_LIST), writer)
    index = writer.manifest(root)
    assert isinstance(index, Index)
    assert root.media_type == index.media_type == model.OCI_INDEX
    first, second = index.manifests
    assert (first.platform, first.annotations, first.rest) == (ARM64, {"a": "b"}, {"com.example": 1})
    assert read(writer, first).config.media_type == model.OCI_CONFIG
    assert second == strange
    writer.finish(root)
    verify_layout(writer.folder)


def test_embedded_data_goes_with_the_bytes(writer: LayoutWriter) -> None:
    entry = {**docker_image(writer).to_json(), "data": "eyJ9"}
    document: dict[str, JSONValue] = {"schemaVersion": 2, "mediaType": model.DOCKER_LIST, "manifests": [entry]}
    index = writer.manifest(to_oci(writer.add(encode(document), model.DOCKER_LIST), writer))
    assert isinstance(index, Index)
    assert index.manifests[0].rest == {}
