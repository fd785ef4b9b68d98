from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.oci.annotations import CREATED, TITLE, annotate, labels, rendered
from doit_provenance.provenance.oci.model import Descriptor, Index, Manifest
from doit_provenance.provenance.oci.writer import LayoutWriter, copy_layout

from .conftest import AMD64, add_image

if TYPE_CHECKING:
    from pathlib import Path

    from doit_provenance.provenance.json import JSONValue

    from .conftest import Made


def read(writer: LayoutWriter, descriptor: Descriptor) -> Manifest:
    found = writer.manifest(descriptor)
    assert isinstance(found, Manifest)
    return found


def test_only_what_is_missing_is_added(writer: LayoutWriter) -> None:
    source, _, _ = add_image(writer, AMD64, extra={"annotations": {TITLE: "mine", "z": "1"}, "x": 1})
    root = annotate(source, {TITLE: "theirs", CREATED: "2026-01-01T00:00:00Z"}, writer)
    found = read(writer, root)
    assert found.annotations == {TITLE: "mine", "z": "1", CREATED: "2026-01-01T00:00:00Z"}
    assert found.document["x"] == 1
    assert annotate(root, {TITLE: "again"}, writer) == root


def test_order_of_what_is_wanted_is_of_no_matter(single: Made, tmp_path: Path) -> None:
    wanted = {TITLE: "x", CREATED: "y"}
    roots = []
    for number, keys in enumerate((wanted, dict(reversed(wanted.items())))):
        writer = LayoutWriter(tmp_path / str(number))
        copy_layout(single.path, writer)
        roots.append(annotate(single.root, keys, writer))
    assert roots[0] == roots[1]


def test_index_is_annotated(multi: Made, writer: LayoutWriter) -> None:
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
def test_labels(config: dict[str, JSONValue], expected: dict[str, str]) -> None:
    assert labels(config) == expected


def test_time_as_rfc_3339() -> None:
    assert rendered(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02T03:04:05Z"
