from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import UnreadableError, VerificationError
from doit_provenance.provenance.oci.copy import Means, copy_layout
from doit_provenance.provenance.oci.layout import LayoutWriter, verify_layout

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Made


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
