from __future__ import annotations

import io
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import ProvenanceError, StoreError, UnreadableError, VerificationError
from doit_provenance.provenance.oci.layout import LayoutWriter, opened_layout, verify_layout
from doit_provenance.provenance.oci.model import (
    OCI_FOREIGN_LAYER,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Made


def test_layout_is_read(multi: Made) -> None:
    with opened_layout(multi.path) as layout:
        assert layout.root == multi.root
        images = list(layout.images())
        assert [descriptor for descriptor, _ in images] == list(multi.images)
        manifest = images[0][1]
        assert layout.config(manifest)["architecture"] == "amd64"
        with layout.blob(manifest.layers[0]) as stream:
            assert stream.read() == b"layer"


def test_verified_layout_accounts_for_every_file(multi: Made) -> None:
    image = verify_layout(multi.path)
    assert image.descriptor == multi.root
    assert image.digest == digest_bytes(multi.blob(multi.root).read_bytes())
    on_disk = {p.relative_to(multi.path).as_posix(): p for p in multi.path.rglob("*") if p.is_file()}
    assert image.files == {name: digest_bytes(path.read_bytes()).sha256 for name, path in sorted(on_disk.items())}


def _flip(made: Made) -> None:
    made.blob(made.layer).write_bytes(b"Layer")


def _cut(made: Made) -> None:
    made.blob(made.layer).write_bytes(b"lay")


def _remove_layer(made: Made) -> None:
    made.blob(made.layer).unlink()


def _remove_config(made: Made) -> None:
    made.blob(made.config).unlink()


def _link_layer(made: Made) -> None:
    blob = made.blob(made.layer)
    blob.rename(made.path.parent / "elsewhere")
    blob.symlink_to(made.path.parent / "elsewhere")


def _pipe_for_layer(made: Made) -> None:
    made.blob(made.layer).unlink()
    os.mkfifo(made.blob(made.layer))


def _change_manifest(made: Made) -> None:
    made.blob(made.images[0]).write_bytes(made.blob(made.images[0]).read_bytes() + b" ")


def _unaccounted_blob(made: Made) -> None:
    (made.path / "blobs" / "sha256" / ("0" * 64)).write_bytes(b"")


def _unaccounted_file(made: Made) -> None:
    (made.path / "README").write_bytes(b"")


def _empty_folder(made: Made) -> None:
    (made.path / "ingest").mkdir()


def _link_elsewhere(made: Made) -> None:
    (made.path / "blobs" / "sha512").symlink_to("/")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_flip, "has the digest"),
        (_cut, "has 3 bytes, not the 5"),
        (_remove_layer, "is missing"),
        (_remove_config, "is missing"),
        (_link_layer, "reached through a link"),
        (_pipe_for_layer, "no regular file"),
        (_change_manifest, "has the digest"),
        (_unaccounted_blob, f"{'0' * 64}` belongs to nothing"),
        (_unaccounted_file, "`README` belongs to nothing"),
        (_empty_folder, "`ingest/` belongs to nothing"),
        (_link_elsewhere, "`blobs/sha512` belongs to nothing"),
    ],
)
@pytest.mark.parametrize("which", ["single", "multi"])
def test_damage_is_named(
    damage: Callable[[Made], None], reason: str, which: str, request: pytest.FixtureRequest
) -> None:
    made = request.getfixturevalue(which)
    damage(made)
    with pytest.raises(VerificationError, match=reason):
        verify_layout(made.path)


def test_each_failure_has_a_line(multi: Made) -> None:
    _flip(multi)
    _remove_config(multi)
    _unaccounted_file(multi)
    with pytest.raises(VerificationError) as caught:
        verify_layout(multi.path)
    lines = caught.value.message.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("`multi`: ") for line in lines)


def test_failures_are_bounded(single: Made) -> None:
    for number in range(100):
        (single.path / f"extra{number}").touch()
    with pytest.raises(VerificationError) as caught:
        verify_layout(single.path)
    assert len(caught.value.message.splitlines()) == 21
    assert caught.value.message.endswith("and 80 more failures")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("oci-layout", None, "`oci-layout` is missing"),
        ("oci-layout", b'{"imageLayoutVersion":"2.0.0"}', "must be `1.0.0`"),
        ("oci-layout", b" " * 10_000, "larger than"),
        ("index.json", None, "`index.json` is missing"),
        ("index.json", b"{", "not strict JSON"),
        ("index.json", encode({"schemaVersion": 2, "config": {}, "layers": []}), "member of a manifest"),
    ],
)
def test_no_layout(single: Made, name: str, content: bytes | None, reason: str) -> None:
    (single.path / name).unlink()
    if content is not None:
        (single.path / name).write_bytes(content)
    with pytest.raises(UnreadableError, match=reason):
        verify_layout(single.path)


def test_layout_of_several_things_has_no_root(single: Made) -> None:
    entry = single.root.to_json()
    (single.path / "index.json").write_bytes(encode({"schemaVersion": 2, "manifests": [entry, entry]}))
    with (
        opened_layout(single.path) as layout,
        pytest.raises(UnreadableError, match=r"2 entries in index\.json, not one"),
    ):
        _ = layout.root


def test_link_to_a_layout_is_no_layout(single: Made, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(single.path)
    with pytest.raises(UnreadableError, match="symbolic link"), opened_layout(tmp_path / "link"):
        pass


def test_folder_of_blobs_behind_a_link_is_refused(single: Made) -> None:
    (single.path / "blobs").rename(single.path.parent / "blobs")
    (single.path / "blobs").symlink_to(single.path.parent / "blobs")
    with pytest.raises(VerificationError, match="reached through a link"):
        verify_layout(single.path)


def test_layer_that_lies_elsewhere_need_not_be_there(layout_of: Callable[..., Path]) -> None:
    def root(writer: LayoutWriter) -> Descriptor:
        config = writer.add(b"{}", "application/vnd.oci.image.config.v1+json")
        away = Descriptor(
            media_type=OCI_FOREIGN_LAYER, digest="sha256:" + 64 * "a", size=9, rest={"urls": ["https://example.com"]}
        )
        document = {"schemaVersion": 2, "config": config.to_json(), "layers": [away.to_json()]}
        return writer.add(encode(document), OCI_MANIFEST)

    path = layout_of(root)
    assert verify_layout(path).files.keys() == {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()}


def test_index_that_holds_itself_many_times_ends(layout_of: Callable[..., Path]) -> None:
    def root(writer: LayoutWriter) -> Descriptor:
        found = writer.add(encode({"schemaVersion": 2, "manifests": []}), OCI_INDEX)
        for _ in range(3):
            found = writer.add(encode({"schemaVersion": 2, "manifests": [found.to_json()] * 300}), OCI_INDEX)
        return found

    path = layout_of(root)
    assert len(verify_layout(path).files) == 6
    with opened_layout(path) as layout:
        assert list(layout.images()) == []


def test_indexes_nested_too_deeply(layout_of: Callable[..., Path]) -> None:
    def root(writer: LayoutWriter) -> Descriptor:
        found = writer.add(encode({"schemaVersion": 2, "manifests": []}), OCI_INDEX)
        for _ in range(5):
            found = writer.add(encode({"schemaVersion": 2, "manifests": [found.to_json()]}), OCI_INDEX)
        return found

    with opened_layout(layout_of(root)) as layout, pytest.raises(UnreadableError, match="indexes more than 4 deep"):
        list(layout.images())


def test_root_of_an_unknown_media_type(layout_of: Callable[..., Path]) -> None:
    path = layout_of(lambda writer: writer.add(b"x", OCI_LAYER))
    with pytest.raises(UnreadableError, match="neither a manifest nor an index"):
        verify_layout(path)


def test_blob_of_an_index_with_an_unknown_media_type_is_checked(layout_of: Callable[..., Path]) -> None:
    def root(writer: LayoutWriter) -> Descriptor:
        other = writer.add(b"x", "application/vnd.example+json")
        return writer.add(encode({"schemaVersion": 2, "manifests": [other.to_json()]}), OCI_INDEX)

    path = layout_of(root)
    verify_layout(path)
    (path / "blobs" / "sha256" / Descriptor.of(b"x", "a/b").sha256).write_bytes(b"y")
    with pytest.raises(VerificationError, match="has the digest"):
        verify_layout(path)


class TestWriter:
    def test_equal_images_are_equal_folders(self, tmp_path: Path) -> None:
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
    def test_lying_descriptor_leaves_nothing(self, tmp_path: Path, expected: Descriptor, reason: str) -> None:
        writer = LayoutWriter(tmp_path / "x")
        with pytest.raises(VerificationError, match=reason):
            writer.add(io.BytesIO(b"layer"), OCI_LAYER, expected=expected)
        assert [p for p in (tmp_path / "x").rglob("*") if p.is_file()] == []

    def test_endless_stream_is_read_to_the_limit(self, tmp_path: Path) -> None:
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

    def test_folder_must_be_empty(self, single: Made) -> None:
        with pytest.raises(StoreError, match="File exists"):
            LayoutWriter(single.path)

    def test_linked_blob_is_the_same_file(self, single: Made, tmp_path: Path) -> None:
        writer = LayoutWriter(tmp_path / "x")
        assert not writer.has(single.layer)
        for _ in range(2):
            writer.link(single.blob(single.layer), single.layer)
        assert writer.has(single.layer)
        linked = tmp_path / "x" / "blobs" / "sha256" / single.layer.sha256
        assert linked.samefile(single.blob(single.layer))

    def test_linked_blob_that_lies(self, single: Made, tmp_path: Path) -> None:
        writer = LayoutWriter(tmp_path / "x")
        _flip(single)
        with pytest.raises(VerificationError, match="does not hold the bytes of"):
            writer.link(single.blob(single.layer), single.layer)
        assert not writer.has(single.layer)

    def test_blob_is_copied_where_it_cannot_be_linked(
        self, single: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr("os.link", refuse)
        writer = LayoutWriter(tmp_path / "x")
        writer.link(single.blob(single.layer), single.layer)
        assert (tmp_path / "x" / "blobs" / "sha256" / single.layer.sha256).read_bytes() == b"layer"
        with pytest.raises(StoreError, match="can't write"):
            writer.link(tmp_path / "nothing", single.config)

    def test_what_another_index_said_of_the_image_is_left_out(self, tmp_path: Path) -> None:
        writer = LayoutWriter(tmp_path / "x")
        root = writer.add(encode({"schemaVersion": 2, "manifests": []}), OCI_INDEX)
        writer.finish(replace(root, annotations={"name": "tea", "created": "now"}, rest={"data": "e30="}))
        assert verify_layout(tmp_path / "x").descriptor == root

    def test_what_does_not_belong_to_it_is_removed(self, tmp_path: Path) -> None:
        writer = LayoutWriter(tmp_path / "x")
        writer.add(b"replaced", OCI_LAYER)
        writer.finish(writer.add(encode({"schemaVersion": 2, "manifests": []}), OCI_INDEX))
        assert len(verify_layout(tmp_path / "x").files) == 3

    def test_incomplete_image_is_not_finished(self, tmp_path: Path) -> None:
        writer = LayoutWriter(tmp_path / "x")
        missing = Descriptor.of(b"x", OCI_MANIFEST).to_json()
        root = writer.add(encode({"schemaVersion": 2, "manifests": [missing]}), OCI_INDEX)
        with pytest.raises(UnreadableError, match="is missing: the image is not complete"):
            writer.finish(root)
        with pytest.raises(UnreadableError, match="no OCI image layout"):
            verify_layout(tmp_path / "x")

    def test_unfinished_layout_is_none(self, tmp_path: Path) -> None:
        LayoutWriter(tmp_path / "x").add(b"layer", OCI_LAYER)
        with pytest.raises(ProvenanceError, match="no OCI image layout"):
            verify_layout(tmp_path / "x")


def test_configuration_must_be_an_object(layout_of: Callable[..., Path]) -> None:
    def root(writer: LayoutWriter) -> Descriptor:
        config = writer.add(b"[1]", "application/x")
        document = {"schemaVersion": 2, "config": config.to_json(), "layers": []}
        return writer.add(encode(document), OCI_MANIFEST)

    with opened_layout(layout_of(root)) as layout:
        manifest = layout.manifest(layout.root)
        assert isinstance(manifest, Manifest)
        with pytest.raises(UnreadableError, match="not a JSON object"):
            layout.config(manifest)
