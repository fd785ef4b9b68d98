"""From what a source holds to the image that ships: copied, selected, converted, annotated, composed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import UnreadableError, VerificationError
from doit_provenance.provenance.oci import model
from doit_provenance.provenance.oci.annotate import annotate, labels, rendered
from doit_provenance.provenance.oci.compose import Part, compose
from doit_provenance.provenance.oci.convert import to_oci
from doit_provenance.provenance.oci.copy import Means, copy_layout
from doit_provenance.provenance.oci.keys import CREATED, TITLE
from doit_provenance.provenance.oci.layout import LayoutWriter, opened_layout, verify_layout
from doit_provenance.provenance.oci.model import Descriptor, Index, Manifest, encode, platform_json
from doit_provenance.provenance.oci.select import select
from doit_provenance.provenance.platform import Platform

from .conftest import AMD64, ARM64, add_image, add_index

if TYPE_CHECKING:
    from pathlib import Path

    from doit_provenance.provenance.json import JSONValue

    from .conftest import Made


@pytest.fixture
def writer(tmp_path: Path) -> LayoutWriter:
    return LayoutWriter(tmp_path / "out")


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


class TestConvert:
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
    def test_media_types_change_and_nothing_else(self, writer: LayoutWriter, docker: str, oci: str) -> None:
        before = read(writer, source := docker_image(writer, media_type=docker))
        root = to_oci(source, writer)
        after = read(writer, root)
        assert (root.media_type, after.media_type) == (model.OCI_MANIFEST, model.OCI_MANIFEST)
        assert (after.config.media_type, after.layers[0].media_type) == (model.OCI_CONFIG, oci)
        assert [one.digest for one in after.references] == [one.digest for one in before.references]
        assert after.annotations == {"com.example": "kept"}
        assert after.document["com.example.unknown"] == [1, None]

    def test_oci_stays_byte_by_byte(self, multi: Made, writer: LayoutWriter) -> None:
        (root,) = copy_layout(multi.path, writer)
        assert to_oci(root, writer) == multi.root

    def test_equal_images_are_equal(self, tmp_path: Path) -> None:
        roots = set()
        for name in ("a", "b"):
            writer = LayoutWriter(tmp_path / name)
            roots.add(to_oci(docker_image(writer), writer).digest)
        assert len(roots) == 1

    def test_list_with_all_in_it(self, writer: LayoutWriter) -> None:
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

    def test_embedded_data_goes_with_the_bytes(self, writer: LayoutWriter) -> None:
        entry = {**docker_image(writer).to_json(), "data": "eyJ9"}
        document: dict[str, JSONValue] = {"schemaVersion": 2, "mediaType": model.DOCKER_LIST, "manifests": [entry]}
        index = writer.manifest(to_oci(writer.add(encode(document), model.DOCKER_LIST), writer))
        assert isinstance(index, Index)
        assert index.manifests[0].rest == {}


class TestAnnotate:
    def test_only_what_is_missing_is_added(self, writer: LayoutWriter) -> None:
        source, _, _ = add_image(writer, AMD64, extra={"annotations": {TITLE: "mine", "z": "1"}, "x": 1})
        root = annotate(source, {TITLE: "theirs", CREATED: "2026-01-01T00:00:00Z"}, writer)
        found = read(writer, root)
        assert found.annotations == {TITLE: "mine", "z": "1", CREATED: "2026-01-01T00:00:00Z"}
        assert found.document["x"] == 1
        assert annotate(root, {TITLE: "again"}, writer) == root

    def test_order_of_what_is_wanted_is_of_no_matter(self, single: Made, tmp_path: Path) -> None:
        wanted = {TITLE: "x", CREATED: "y"}
        roots = []
        for number, keys in enumerate((wanted, dict(reversed(wanted.items())))):
            writer = LayoutWriter(tmp_path / str(number))
            copy_layout(single.path, writer)
            roots.append(annotate(single.root, keys, writer))
        assert roots[0] == roots[1]

    def test_index_is_annotated(self, multi: Made, writer: LayoutWriter) -> None:
        copy_layout(multi.path, writer)
        root = annotate(multi.root, {TITLE: "x"}, writer)
        index = writer.manifest(root)
        assert isinstance(index, Index)
        assert (index.annotations, index.manifests[0].digest) == ({TITLE: "x"}, multi.images[0].digest)

    @pytest.mark.parametrize(
        ("config", "expected"),
        [
            ({}, {}),
            ({"config": None}, {}),
            ({"config": {"Labels": None}}, {}),
            ({"config": {"Labels": {TITLE: "", "org.opencontainers.image.ref.name": "ubuntu", "x": "y"}}}, {}),
            ({"config": {"Labels": {CREATED: "c", TITLE: "t", "other": "x"}}}, {CREATED: "c", TITLE: "t"}),
        ],
    )
    def test_labels(self, config: dict[str, JSONValue], expected: dict[str, str]) -> None:
        assert labels(config) == expected

    def test_time_as_rfc_3339(self) -> None:
        assert rendered(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02T03:04:05Z"


class TestSelect:
    def test_one_manifest(self, single: Made, writer: LayoutWriter) -> None:
        found = select(copy_layout(single.path, writer), writer)
        assert (found.index, found.images) == (None, {AMD64: single.root})

    def test_an_index(self, multi: Made, writer: LayoutWriter) -> None:
        found = select(copy_layout(multi.path, writer), writer)
        assert found.index == multi.root
        assert list(found.images) == [AMD64, ARM64]

    def test_manifests_side_by_side(self, writer: LayoutWriter) -> None:
        entries = [add_image(writer, AMD64)[0], add_image(writer, ARM64)[0]]
        assert list(select(entries, writer).images) == [AMD64, ARM64]

    def test_attestations_and_other_artifacts_are_left_out(self, writer: LayoutWriter) -> None:
        image, _, _ = add_image(writer, AMD64)
        nowhere = Platform(os="unknown", architecture="unknown")
        attestation, _, _ = add_image(writer, nowhere, layer=b"in-toto")
        chart = writer.add(
            encode({"schemaVersion": 2, "config": Descriptor.of(b"{}", "a/chart").to_json(), "layers": []}),
            model.OCI_MANIFEST,
        )
        root = add_index(
            writer,
            image,
            Descriptor(
                media_type=attestation.media_type, digest=attestation.digest, size=attestation.size, platform=nowhere
            ),
            chart,
            writer.add(b"x", "application/vnd.example"),
        )
        found = select([root], writer)
        assert found.images == {AMD64: image}
        with pytest.raises(UnreadableError, match="no image in it"):
            select([chart], writer)

    def test_index_beside_what_is_in_it_and_about_it(self, writer: LayoutWriter) -> None:
        """As engines and signers leave it."""
        image, _, _ = add_image(writer, AMD64)
        index = add_index(writer, image)
        signature = writer.add(
            encode({"schemaVersion": 2, "config": Descriptor.of(b"{}", "a/sig").to_json(), "layers": []}),
            model.OCI_MANIFEST,
        )
        found = select([signature, index, image], writer)
        assert (found.index, found.images) == (index, {AMD64: image})

    def test_platform_that_is_listed_but_not_there(self, multi: Made, writer: LayoutWriter) -> None:
        multi.blob(multi.images[1]).unlink()
        entries = copy_layout(multi.path, writer)
        with pytest.raises(UnreadableError, match="is listed, but not in it"):
            select(entries, writer)
        there, away = multi.images
        placed = Descriptor(media_type=away.media_type, digest=away.digest, size=away.size, platform=ARM64)
        found = select([add_index(writer, there, placed)], writer)
        assert (list(found.images), found.absent) == ([AMD64], (ARM64,))

    def test_listed_variant_is_believed(self, writer: LayoutWriter) -> None:
        image, _, _ = add_image(writer, Platform(os="linux", architecture="arm"))
        v6 = Platform(os="linux", architecture="arm", variant="v6")
        listed = Descriptor(media_type=image.media_type, digest=image.digest, size=image.size, platform=v6)
        assert list(select([add_index(writer, listed)], writer).images) == [v6]

    def test_listed_platform_that_lies(self, writer: LayoutWriter) -> None:
        image, _, _ = add_image(writer, AMD64)
        listed = Descriptor(media_type=image.media_type, digest=image.digest, size=image.size, platform=ARM64)
        with pytest.raises(VerificationError, match="is listed for `linux/arm64`, and its configuration says"):
            select([listed], writer)

    def test_image_without_a_platform(self, writer: LayoutWriter) -> None:
        config = writer.add(b"{}", model.OCI_CONFIG)
        document: dict[str, JSONValue] = {"schemaVersion": 2, "config": config.to_json(), "layers": []}
        with pytest.raises(UnreadableError, match="does not say which platform"):
            select([writer.add(encode(document), model.OCI_MANIFEST)], writer)

    def test_two_images_for_one_platform(self, writer: LayoutWriter) -> None:
        first, _, _ = add_image(writer, AMD64)
        second, _, _ = add_image(writer, AMD64, layer=b"other")
        with pytest.raises(UnreadableError, match="more than one image"):
            select([add_index(writer, first, second)], writer)
        with pytest.raises(UnreadableError, match="more than one image"):
            select([add_index(writer, first), add_index(writer, add_image(writer, ARM64)[0])], writer)
        with pytest.raises(UnreadableError, match="it is empty"):
            select([], writer)


class TestCopy:
    @pytest.mark.parametrize("means", Means)
    def test_all_that_is_listed_comes_along(self, multi: Made, tmp_path: Path, means: Means) -> None:
        writer = LayoutWriter(tmp_path / "out")
        (root,) = copy_layout(multi.path, writer, means)
        writer.finish(root)
        assert verify_layout(tmp_path / "out") == verify_layout(multi.path)
        same = (tmp_path / "out/blobs/sha256" / multi.layer.sha256).samefile(multi.blob(multi.layer))
        assert same is (means is Means.LINK)

    @pytest.mark.parametrize("means", Means)
    def test_blob_that_lies(self, single: Made, writer: LayoutWriter, means: Means) -> None:
        single.blob(single.layer).write_bytes(b"Layer")
        with pytest.raises(VerificationError, match=r"`.*/single`: "):
            copy_layout(single.path, writer, means)

    @pytest.mark.parametrize("means", Means)
    def test_blob_that_is_a_link(self, single: Made, writer: LayoutWriter, tmp_path: Path, means: Means) -> None:
        (tmp_path / "away").write_bytes(b"layer")
        single.blob(single.layer).unlink()
        single.blob(single.layer).symlink_to(tmp_path / "away")
        with pytest.raises((VerificationError, UnreadableError), match=r"link|no regular file"):
            copy_layout(single.path, writer, means)

    def test_missing_layer_is_told_by_who_needs_it(self, single: Made, writer: LayoutWriter) -> None:
        single.blob(single.layer).unlink()
        (root,) = copy_layout(single.path, writer)
        with pytest.raises(UnreadableError, match="is missing: the image is not complete"):
            writer.finish(root)

    def test_taken_blob_is_the_same_file(self, single: Made, writer: LayoutWriter, tmp_path: Path) -> None:
        copy_layout(single.path, writer)
        other = LayoutWriter(tmp_path / "other")
        for one in (single.root, single.config, single.layer, single.layer):
            other.take(writer, one)
        other.finish(single.root)
        verify_layout(tmp_path / "other")
        blob = f"blobs/sha256/{single.layer.sha256}"
        assert (tmp_path / "other" / blob).samefile(writer.folder / blob)


class TestCompose:
    def part(self, tmp_path: Path, platform: Platform, **annotations: str) -> Part:
        writer = LayoutWriter(tmp_path / str(platform).replace("/", "-"))
        said: dict[str, JSONValue] = {**annotations}
        root, _, _ = add_image(writer, platform, extra={"annotations": said})
        writer.finish(root)
        return Part(platform=platform, path=writer.folder)

    def test_index_is_complete_sorted_and_annotated(self, tmp_path: Path) -> None:
        amd64 = self.part(tmp_path, AMD64, both="1", differs="a")
        arm64 = self.part(tmp_path, ARM64, both="1", differs="b")
        images = []
        for number, parts in enumerate(([amd64, arm64], [arm64, amd64])):
            writer = LayoutWriter(tmp_path / str(number))
            writer.finish(compose(parts, {TITLE: "x", "both": "2", "differs": "c"}, writer))
            images.append(verify_layout(writer.folder))
        assert images[0] == images[1]
        with opened_layout(tmp_path / "0") as layout:
            index = layout.manifest(layout.root)
            assert isinstance(index, Index)
            assert [one.platform for one in index.manifests] == [AMD64, ARM64]
            assert index.annotations == {"both": "1", "differs": "c", TITLE: "x"}
            assert len(list(layout.images())) == 2

    def test_blobs_are_linked(self, tmp_path: Path) -> None:
        part = self.part(tmp_path, AMD64)
        writer = LayoutWriter(tmp_path / "out")
        writer.finish(compose([part], {}, writer))
        blob = f"blobs/sha256/{Descriptor.of(b'layer', 'a/b').sha256}"
        assert (writer.folder / blob).samefile(part.path / blob)

    def test_damaged_part(self, tmp_path: Path, writer: LayoutWriter) -> None:
        part = self.part(tmp_path, AMD64)
        (part.path / "blobs/sha256" / Descriptor.of(b"layer", "a/b").sha256).write_bytes(b"Layer")
        with pytest.raises(VerificationError, match="does not hold the bytes"):
            compose([part], {}, writer)

    def test_parts_that_make_no_index(self, tmp_path: Path, multi: Made, writer: LayoutWriter) -> None:
        part = self.part(tmp_path, AMD64)
        for parts in ([], [part, part]):
            with pytest.raises(UnreadableError, match="one image for each platform"):
                compose(parts, {}, writer)
        with pytest.raises(UnreadableError, match="where the image of one platform is needed"):
            compose([Part(platform=AMD64, path=multi.path)], {}, writer)
