from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import UnreadableError, VerificationError
from doit_provenance.provenance.oci.layout import opened_layout, verify_layout
from doit_provenance.provenance.oci.model import (
    OCI_FOREIGN_LAYER,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    encode,
)

from .conftest import AMD64, ARM64, add_image, add_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doit_provenance.provenance.oci.writer import LayoutWriter

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
        (_remove_layer, ": missing"),
        (_remove_config, ": missing"),
        (_link_layer, "a symbolic link"),
        (_pipe_for_layer, "not a regular file"),
        (_change_manifest, "has the digest"),
        (_unaccounted_blob, f"{'0' * 64}` is not part of the image"),
        (_unaccounted_file, "`README` is not part of the image"),
        (_empty_folder, "`ingest/` is not part of the image"),
        (_link_elsewhere, "`blobs/sha512` is not part of the image"),
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
        ("oci-layout", None, "`oci-layout`: missing"),
        ("oci-layout", b'{"imageLayoutVersion":"2.0.0"}', "must be `1.0.0`"),
        ("oci-layout", b" " * 10_000, "larger than"),
        ("index.json", None, "`index.json`: missing"),
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


def test_indexes_nested_too_deeply(layout_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def root(writer: LayoutWriter) -> Descriptor:
        found = writer.add(encode({"schemaVersion": 2, "manifests": []}), OCI_INDEX)
        for _ in range(3):
            found = writer.add(encode({"schemaVersion": 2, "manifests": [found.to_json()]}), OCI_INDEX)
        return found

    path = layout_of(root)
    with opened_layout(path) as layout:
        assert list(layout.images()) == []
        monkeypatch.setattr("doit_provenance.provenance.oci.model.DEEPEST", 3)
        with pytest.raises(UnreadableError, match="indexes more than 3 deep"):
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


def test_manifests_are_bounded_together(layout_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may be as large as registries take, and a layout could hold any number of them."""
    path = layout_of(lambda writer: add_index(writer, add_image(writer, AMD64)[0], add_image(writer, ARM64)[0]))
    monkeypatch.setattr("doit_provenance.provenance.oci.model.MANIFESTS_LIMIT", 500)
    with pytest.raises(UnreadableError, match="manifests of more than 500 bytes"):
        verify_layout(path)
    with opened_layout(path) as layout, pytest.raises(UnreadableError, match="manifests of more than 500 bytes"):
        list(layout.images())
