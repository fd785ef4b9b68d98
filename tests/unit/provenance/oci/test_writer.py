from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import ProvenanceError, StoreError, UnreadableError, VerificationError
from doit_provenance.provenance.oci.layout import verify_layout
from doit_provenance.provenance.oci.model import (
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    encode,
)
from doit_provenance.provenance.oci.writer import LayoutWriter, Means, copy_layout

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
        (Descriptor.of(b"longer than that", OCI_LAYER), "has 5 bytes, not the 16"),
        (Descriptor.of(b"abc", OCI_LAYER), "has more bytes, not the 3"),
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
    with pytest.raises(VerificationError, match="does not have the bytes of"):
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
    with pytest.raises(UnreadableError, match="not an OCI image layout"):
        verify_layout(tmp_path / "x")


def test_unfinished_layout_is_none(tmp_path: Path) -> None:
    LayoutWriter(tmp_path / "x").add(b"layer", OCI_LAYER)
    with pytest.raises(ProvenanceError, match="not an OCI image layout"):
        verify_layout(tmp_path / "x")


@pytest.mark.parametrize("means", Means)
def test_all_that_is_listed_comes_along(multi: Made, tmp_path: Path, means: Means) -> None:
    writer = LayoutWriter(tmp_path / "out")
    (root,) = copy_layout(multi.path, writer, means)
    writer.finish(root)
    assert verify_layout(tmp_path / "out") == verify_layout(multi.path)
    same = (tmp_path / "out/blobs/sha256" / multi.layer.sha256).samefile(multi.blob(multi.layer))
    assert same is (means is Means.LINK)


@pytest.mark.parametrize("means", Means)
def test_blob_that_lies(single: Made, writer: LayoutWriter, means: Means) -> None:
    single.blob(single.layer).write_bytes(b"Layer")
    with pytest.raises(VerificationError, match=r"`.*/single`: "):
        copy_layout(single.path, writer, means)


@pytest.mark.parametrize("means", Means)
def test_blob_that_is_a_link(single: Made, writer: LayoutWriter, tmp_path: Path, means: Means) -> None:
    (tmp_path / "away").write_bytes(b"layer")
    single.blob(single.layer).unlink()
    single.blob(single.layer).symlink_to(tmp_path / "away")
    with pytest.raises((VerificationError, UnreadableError), match=r"link|no regular file"):
        copy_layout(single.path, writer, means)


def test_missing_layer_is_told_by_who_needs_it(single: Made, writer: LayoutWriter) -> None:
    single.blob(single.layer).unlink()
    (root,) = copy_layout(single.path, writer)
    with pytest.raises(UnreadableError, match="is missing: the image is not complete"):
        writer.finish(root)


def test_taken_blob_is_the_same_file(single: Made, writer: LayoutWriter, tmp_path: Path) -> None:
    copy_layout(single.path, writer)
    other = LayoutWriter(tmp_path / "other")
    for one in (single.root, single.config, single.layer, single.layer):
        other.take(writer, one)
    other.finish(single.root)
    verify_layout(tmp_path / "other")
    blob = f"blobs/sha256/{single.layer.sha256}"
    assert (tmp_path / "other" / blob).samefile(writer.folder / blob)
