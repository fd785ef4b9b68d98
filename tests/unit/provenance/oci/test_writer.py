from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import ProvenanceError, StoreError, UnreadableError, VerificationError
from doit_provenance.provenance.oci.layout import LayoutWriter, verify_layout
from doit_provenance.provenance.oci.model import (
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    encode,
)

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Made


def _flip(made: Made) -> None:
    made.blob(made.layer).write_bytes(b"Layer")


def test_equal_images_are_equal_folders(tmp_path: Path) -> None:
    for name in ("a", "b"):
        writer = LayoutWriter(tmp_path / name)
        writer.finish(writer.add(encode({"schemaVersion": 2, "manifests": []}), OCI_INDEX))
    files = [
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("a", "b")
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 3


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        (Descriptor.of(b"other", OCI_LAYER), "has the digest sha256:"),
        (Descriptor.of(b"longer than that", OCI_LAYER), "has 5 bytes, where 16"),
        (Descriptor.of(b"abc", OCI_LAYER), "has more bytes, where 3"),
    ],
)
def test_lying_descriptor_leaves_nothing(tmp_path: Path, expected: Descriptor, reason: str) -> None:
    writer = LayoutWriter(tmp_path / "x")
    with pytest.raises(VerificationError, match=reason):
        writer.add(io.BytesIO(b"layer"), OCI_LAYER, expected=expected)
    assert [p for p in (tmp_path / "x").rglob("*") if p.is_file()] == []


def test_endless_stream_is_read_to_the_limit(tmp_path: Path) -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1, /) -> bytes:
            assert size >= 0
            self.given += size
            return bytes(size)

    stream = Endless()
    with pytest.raises(UnreadableError, match="larger than the 5,000,000 bytes"):
        LayoutWriter(tmp_path / "x").add(stream, OCI_LAYER, limit=5_000_000)  # type: ignore[arg-type] # reads alone
    assert stream.given == 5_000_001


def test_folder_must_be_empty(single: Made) -> None:
    with pytest.raises(StoreError, match="File exists"):
        LayoutWriter(single.path)


def test_linked_blob_is_the_same_file(single: Made, tmp_path: Path) -> None:
    writer = LayoutWriter(tmp_path / "x")
    assert not writer.has(single.layer)
    for _ in range(2):
        writer.link(single.blob(single.layer), single.layer)
    assert writer.has(single.layer)
    linked = tmp_path / "x" / "blobs" / "sha256" / single.layer.sha256
    assert linked.samefile(single.blob(single.layer))


def test_linked_blob_that_lies(single: Made, tmp_path: Path) -> None:
    writer = LayoutWriter(tmp_path / "x")
    _flip(single)
    with pytest.raises(VerificationError, match="does not hold the bytes of"):
        writer.link(single.blob(single.layer), single.layer)
    assert not writer.has(single.layer)


def test_blob_is_copied_where_it_cannot_be_linked(
    single: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    writer = LayoutWriter(tmp_path / "x")
    writer.link(single.blob(single.layer), single.layer)
    assert (tmp_path / "x" / "blobs" / "sha256" / single.layer.sha256).read_bytes() == b"layer"
    with pytest.raises(StoreError, match="can't write"):
        writer.link(tmp_path / "nothing", single.config)


def test_what_another_index_said_of_the_image_is_left_out(tmp_path: Path) -> None:
    writer = LayoutWriter(tmp_path / "x")
    root = writer.add(encode({"schemaVersion": 2, "manifests": []}), OCI_INDEX)
    writer.finish(replace(root, annotations={"name": "tea", "created": "now"}, rest={"data": "e30="}))
    assert verify_layout(tmp_path / "x").descriptor == root


def test_what_does_not_belong_to_it_is_removed(tmp_path: Path) -> None:
    writer = LayoutWriter(tmp_path / "x")
    writer.add(b"replaced", OCI_LAYER)
    writer.finish(writer.add(encode({"schemaVersion": 2, "manifests": []}), OCI_INDEX))
    assert len(verify_layout(tmp_path / "x").files) == 3


def test_incomplete_image_is_not_finished(tmp_path: Path) -> None:
    writer = LayoutWriter(tmp_path / "x")
    missing = Descriptor.of(b"x", OCI_MANIFEST).to_json()
    root = writer.add(encode({"schemaVersion": 2, "manifests": [missing]}), OCI_INDEX)
    with pytest.raises(UnreadableError, match="is missing: the image is not complete"):
        writer.finish(root)
    with pytest.raises(UnreadableError, match="no OCI image layout"):
        verify_layout(tmp_path / "x")


def test_unfinished_layout_is_none(tmp_path: Path) -> None:
    LayoutWriter(tmp_path / "x").add(b"layer", OCI_LAYER)
    with pytest.raises(ProvenanceError, match="no OCI image layout"):
        verify_layout(tmp_path / "x")
