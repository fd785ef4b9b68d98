from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import InputChangedError, UnreadableError
from doit_provenance.provenance.oci.annotations import TITLE
from doit_provenance.provenance.oci.layout import opened_layout, verify_layout
from doit_provenance.provenance.oci.model import Index
from doit_provenance.tasks.artifacts import Form
from doit_provenance.tasks.freshness.inputs import InputHasher
from doit_provenance.tasks.freshness.snapshot import Snapshot
from doit_provenance.tasks.images import index as index_module
from doit_provenance.tasks.images.builder import declare_index, index_artifact
from doit_provenance.tasks.images.index import build_index, describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doit_provenance.tasks.artifacts import Artifact
    from doit_provenance.tasks.builder import Built
    from doit_provenance.tasks.context import Context
    from doit_provenance.tasks.session import Session

TRAY = "kettle:tray@linux/amd64"
BUILD_TYPE = "https://tea.example/tray.md"
EXTERNAL = {"image": "tray"}


@pytest.fixture
def context(kitchen: Any) -> Iterator[Context]:
    """Return a workspace where the images `tray` and `cup` are built."""
    kitchen.kettle.names, kitchen.kettle.images = ["tray", "cup"], {"tray", "cup"}
    kitchen.run()
    session: Session = kitchen.session(runs=False)
    yield session.context
    session.close()


def test_index_is_an_artifact_made_of_images(context: Context) -> None:
    index = index_artifact([context.artifacts[TRAY]])
    assert (index.id, index.form, index.upstream) == ("kettle:tray@index", Form.IMAGE, (TRAY,))
    assert index.group != context.artifacts[TRAY].group


def joined(context: Context, *images: str) -> tuple[Artifact, Built]:
    index = index_artifact([context.artifacts[image] for image in images])
    context.artifacts[index.id] = index
    meter = InputHasher(context.workspace.root, context.build_dirs)
    snapshot = Snapshot.take(context, index, declare_index("chosen"), meter)
    return index, build_index(context, index, snapshot, {TITLE: "Tray"}, BUILD_TYPE, EXTERNAL)


def test_images_of_the_output_folder_are_joined(context: Context) -> None:
    left_over = context.workspace.state / "kettle" / "tray@index" / "left-over"
    left_over.parent.mkdir(parents=True)
    left_over.touch()
    index, built = joined(context, TRAY)
    assert not left_over.exists()
    image = verify_layout(built.path)
    tray = verify_layout(context.workspace.output / context.artifacts[TRAY].folder / "image")
    assert (built.inputs, built.files, built.external, built.build_type) == ({}, {}, EXTERNAL, BUILD_TYPE)
    with opened_layout(built.path) as layout:
        found = layout.manifest(layout.root)
    assert isinstance(found, Index)
    assert [(str(one.platform), one.digest) for one in found.manifests] == [("linux/amd64", str(tray.digest))]
    assert found.annotations == {TITLE: "Tray"}
    inventory, (material,) = describe(context, index, built.path, image.digest)
    assert [component.hashes["sha256"] for component in inventory.components] == [tray.digest.sha256]
    assert (material.name, material.digest["sha256"]) == (TRAY, tray.digest.sha256)


def test_index_of_other_images_is_not_described(context: Context) -> None:
    _, built = joined(context, TRAY)
    other = index_artifact([context.artifacts["kettle:cup@linux/amd64"]])
    with pytest.raises(InputChangedError, match="`kettle:cup@linux/amd64` changed while"):
        describe(context, other, built.path, verify_layout(built.path).digest)


def test_two_images_for_one_platform(context: Context) -> None:
    with pytest.raises(UnreadableError, match="one image for each platform"):
        joined(context, TRAY, "kettle:cup@linux/amd64")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T05:04:05+02:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("", None),
        ("today", None),
    ],
)
def test_times_of_images(text: str, expected: datetime | None) -> None:
    assert index_module._time(text) == expected
