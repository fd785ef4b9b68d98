from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import UnreadableError, VerificationError
from doit_provenance.provenance.oci import model
from doit_provenance.provenance.oci.model import Descriptor, encode
from doit_provenance.provenance.oci.select import select
from doit_provenance.provenance.oci.writer import copy_layout
from doit_provenance.provenance.platform import Platform

from .conftest import AMD64, ARM64, add_image, add_index

if TYPE_CHECKING:
    from doit_provenance.provenance.json import JSONValue
    from doit_provenance.provenance.oci.writer import LayoutWriter

    from .conftest import Made


def test_one_manifest(single: Made, writer: LayoutWriter) -> None:
    found = select(copy_layout(single.path, writer), writer)
    assert (found.index, found.images) == (None, {AMD64: single.root})


def test_an_index(multi: Made, writer: LayoutWriter) -> None:
    found = select(copy_layout(multi.path, writer), writer)
    assert found.index == multi.root
    assert list(found.images) == [AMD64, ARM64]


def test_manifests_side_by_side(writer: LayoutWriter) -> None:
    entries = [add_image(writer, AMD64)[0], add_image(writer, ARM64)[0]]
    assert list(select(entries, writer).images) == [AMD64, ARM64]


def test_attestations_and_other_artifacts_are_left_out(writer: LayoutWriter) -> None:
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


def test_index_beside_what_is_in_it_and_about_it(writer: LayoutWriter) -> None:
    """As engines and signers leave it."""
    image, _, _ = add_image(writer, AMD64)
    index = add_index(writer, image)
    signature = writer.add(
        encode({"schemaVersion": 2, "config": Descriptor.of(b"{}", "a/sig").to_json(), "layers": []}),
        model.OCI_MANIFEST,
    )
    found = select([signature, index, image], writer)
    assert (found.index, found.images) == (index, {AMD64: image})


def test_platform_that_is_listed_but_not_there(multi: Made, writer: LayoutWriter) -> None:
    multi.blob(multi.images[1]).unlink()
    entries = copy_layout(multi.path, writer)
    with pytest.raises(UnreadableError, match="is listed, but not in it"):
        select(entries, writer)
    there, away = multi.images
    placed = Descriptor(media_type=away.media_type, digest=away.digest, size=away.size, platform=ARM64)
    found = select([add_index(writer, there, placed)], writer)
    assert (list(found.images), found.absent) == ([AMD64], (ARM64,))


def test_listed_variant_is_believed(writer: LayoutWriter) -> None:
    image, _, _ = add_image(writer, Platform(os="linux", architecture="arm"))
    v6 = Platform(os="linux", architecture="arm", variant="v6")
    listed = Descriptor(media_type=image.media_type, digest=image.digest, size=image.size, platform=v6)
    assert list(select([add_index(writer, listed)], writer).images) == [v6]


def test_listed_platform_that_lies(writer: LayoutWriter) -> None:
    image, _, _ = add_image(writer, AMD64)
    listed = Descriptor(media_type=image.media_type, digest=image.digest, size=image.size, platform=ARM64)
    with pytest.raises(VerificationError, match="is listed for `linux/arm64`, and its configuration says"):
        select([listed], writer)


def test_image_without_a_platform(writer: LayoutWriter) -> None:
    config = writer.add(b"{}", model.OCI_CONFIG)
    document: dict[str, JSONValue] = {"schemaVersion": 2, "config": config.to_json(), "layers": []}
    with pytest.raises(UnreadableError, match="does not say which platform"):
        select([writer.add(encode(document), model.OCI_MANIFEST)], writer)


def test_two_images_for_one_platform(writer: LayoutWriter) -> None:
    first, _, _ = add_image(writer, AMD64)
    second, _, _ = add_image(writer, AMD64, layer=b"other")
    with pytest.raises(UnreadableError, match="more than one image"):
        select([add_index(writer, first, second)], writer)
    with pytest.raises(UnreadableError, match="more than one image"):
        select([add_index(writer, first), add_index(writer, add_image(writer, ARM64)[0])], writer)
    with pytest.raises(UnreadableError, match="it is empty"):
        select([], writer)
