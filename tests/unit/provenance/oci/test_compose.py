from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import UnreadableError, VerificationError
from doit_provenance.provenance.oci.annotations import TITLE
from doit_provenance.provenance.oci.compose import Part, compose
from doit_provenance.provenance.oci.layout import opened_layout, verify_layout
from doit_provenance.provenance.oci.model import Descriptor, Index
from doit_provenance.provenance.oci.writer import LayoutWriter

from .conftest import AMD64, ARM64, add_image

if TYPE_CHECKING:
    from pathlib import Path

    from doit_provenance.provenance.json import JSONValue
    from doit_provenance.provenance.platform import Platform

    from .conftest import Made


def a_part(tmp_path: Path, platform: Platform, **annotations: str) -> Part:
    writer = LayoutWriter(tmp_path / str(platform).replace("/", "-"))
    said: dict[str, JSONValue] = {**annotations}
    root, _, _ = add_image(writer, platform, extra={"annotations": said})
    writer.finish(root)
    return Part(platform=platform, path=writer.folder)


def test_index_is_complete_sorted_and_annotated(tmp_path: Path) -> None:
    amd64 = a_part(tmp_path, AMD64, both="1", differs="a")
    arm64 = a_part(tmp_path, ARM64, both="1", differs="b")
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


def test_blobs_are_linked(tmp_path: Path) -> None:
    part = a_part(tmp_path, AMD64)
    writer = LayoutWriter(tmp_path / "out")
    writer.finish(compose([part], {}, writer))
    blob = f"blobs/sha256/{Descriptor.of(b'layer', 'a/b').sha256}"
    assert (writer.folder / blob).samefile(part.path / blob)


def test_damaged_part(tmp_path: Path, writer: LayoutWriter) -> None:
    part = a_part(tmp_path, AMD64)
    (part.path / "blobs/sha256" / Descriptor.of(b"layer", "a/b").sha256).write_bytes(b"Layer")
    with pytest.raises(VerificationError, match="does not have the bytes"):
        compose([part], {}, writer)


def test_parts_that_make_no_index(tmp_path: Path, multi: Made, writer: LayoutWriter) -> None:
    part = a_part(tmp_path, AMD64)
    for parts in ([], [part, part]):
        with pytest.raises(UnreadableError, match="one image for each platform"):
            compose(parts, {}, writer)
    with pytest.raises(UnreadableError, match="must hold one manifest"):
        compose([Part(platform=AMD64, path=multi.path)], {}, writer)


def test_an_image_that_is_for_another_platform(tmp_path: Path, writer: LayoutWriter) -> None:
    part = a_part(tmp_path, AMD64)
    with pytest.raises(VerificationError, match="the image of `linux/arm64` is for `linux/amd"):
        compose([Part(platform=ARM64, path=part.path)], {}, writer)
