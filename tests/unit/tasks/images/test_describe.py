"""Inventories of images in a workspace whose artifacts lie in them."""

from __future__ import annotations

import io
import json
import tarfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.digest import Digest, digest_bytes
from doit_provenance.provenance.errors import ProvenanceError, UnreadableError, VerificationError
from doit_provenance.provenance.oci.model import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from doit_provenance.provenance.oci.writer import LayoutWriter
from doit_provenance.provenance.sbom.inventory import Completeness, Inventory, Kind, Role
from doit_provenance.tasks.artifacts import Artifact, Form
from doit_provenance.tasks.images.describe import describe_image, describe_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from doit_provenance.tasks.context import Context
    from doit_provenance.tasks.session import Session
    from doit_provenance.tasks.workspace import Workspace

CREATED = datetime(2024, 5, 17, tzinfo=UTC)
ANNOTATIONS = {"org.opencontainers.image.version": "1.4", "org.opencontainers.image.licenses": "mit"}
SHOP = Artifact(builder="docker", name="shop", platform="linux/amd64", group="shop", file="image", form=Form.IMAGE)


def bake(folder: Path, files: dict[str, bytes]) -> Digest:
    """Write an image of one layer with these files, and return the digest of its manifest."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, data in files.items():
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(data), 0o755
            archive.addfile(info, io.BytesIO(data))
    layout = LayoutWriter(folder)
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": layout.add(b'{"architecture":"arm64","os":"linux"}', OCI_CONFIG).to_json(),
        "layers": [layout.add(buffer.getvalue(), OCI_LAYER).to_json()],
        "annotations": ANNOTATIONS,
    }
    data = json.dumps(manifest).encode()
    layout.finish(layout.add(data, OCI_MANIFEST))
    return digest_bytes(data)


@pytest.fixture
def context(kitchen: Any) -> Iterator[Workspace]:
    """Return a workspace where `tea` and the image `tray` are built; `water` is not."""
    kitchen.kettle.names, kitchen.kettle.images = ["tea", "tray", "water"], {"tray"}
    kitchen.selected = ("tea", "tray")
    kitchen.run()
    session: Session = kitchen.session(runs=False)
    yield session.context
    session.close()


def described(context: Context, folder: Path, files: dict[str, bytes], **rest: Any) -> Inventory:
    digest = bake(folder / "image", files)
    arguments = {"created": CREATED, "sources": {}, "upstream": ()} | rest
    return describe_image(context, SHOP, folder / "image", digest, **arguments)


def test_an_artifact_in_the_image_is_found_by_its_bytes(context: Context, tmp_path: Path) -> None:
    """Whether the build was given it or not, and whatever it is called there."""
    found = described(context, tmp_path, {"usr/bin/other": b"tea", "usr/bin/tea": b"something else"})
    contained = {c.name: c for c in found.of_role(Role.CONTAINED)}
    assert contained.keys() == {"tea", "usr/bin/tea"}
    assert contained["tea"].sbom is not None
    assert contained["tea"].sbom.artifact == "kettle:tea@linux/amd64"
    assert [c.name for c in found.of_role(Role.LINKED)] == ["leaf"]


def test_the_image_is_what_its_manifest_says(context: Context, tmp_path: Path) -> None:
    found = described(context, tmp_path, {"tea": b"tea"})
    subject = found.subject
    assert (subject.kind, subject.name, subject.version, subject.licence) == (Kind.CONTAINER, "shop", "1.4", "MIT")
    assert subject.purl == f"pkg:oci/shop@{found.digest}?arch=arm64"
    assert subject.properties["image:platform"] == "linux/arm64"
    assert (found.artifact, found.created, found.completeness) == (SHOP.id, CREATED, Completeness.COMPLETE)


def test_files_of_the_sources_are_known(context: Context, tmp_path: Path) -> None:
    sources = {digest_bytes(b"print()").sha256: "src/a.py"}
    assert described(context, tmp_path, {"a.py": b"print()"}, sources=sources).completeness is Completeness.COMPLETE


def test_what_was_given_and_is_not_there_as_a_file(context: Context, tmp_path: Path) -> None:
    given = ["kettle:tea@linux/amd64", "kettle:tray@linux/amd64"]
    found = described(context, tmp_path, {"tea": b"tea"}, upstream=given)
    (tray,) = found.of_role(Role.INPUT)
    assert tray.name == "tray"
    assert tray.sbom is not None
    assert [c.name for c in found.of_role(Role.CONTAINED)] == ["tea"]


def test_what_was_given_must_be_there_and_verify(context: Context, tmp_path: Path) -> None:
    with pytest.raises(ProvenanceError):
        described(context, tmp_path, {}, upstream=["kettle:water@linux/amd64"])


def test_an_artifact_that_does_not_verify_is_nobody_s(context: Context, tmp_path: Path) -> None:
    evidence = context.workspace.output / "kettle/tea/linux-amd64/tea.spdx.json"
    evidence.write_bytes(evidence.read_bytes() + b" ")
    (found,) = described(context, tmp_path, {"tea": b"tea"}).components
    assert (found.kind, found.sbom) == (Kind.FILE, None)


def test_another_image_is_refused(context: Context, tmp_path: Path) -> None:
    bake(tmp_path / "image", {})
    with pytest.raises(VerificationError, match=r"holds sha256:.*, and not sha256:"):
        describe_image(context, SHOP, tmp_path / "image", digest_bytes(b"x"), created=CREATED, sources={}, upstream=())


def compose_index(context: Context, folder: Path, upstream: tuple[str, ...]) -> tuple[Artifact, Digest]:
    """Write an index over the image `tray` and one of nobody."""
    (tray,) = [a for a in context.artifacts.values() if a.name == "tray"]
    image = context.workspace.output / tray.folder / "image"
    entry = json.loads((image / "index.json").read_bytes())["manifests"][0]
    layout = LayoutWriter(folder)
    for blob in (image / "blobs/sha256").iterdir():
        layout.add(blob.read_bytes(), OCI_MANIFEST)
    strange = layout.add(b'{"schemaVersion":2,"config":' + json.dumps(entry).encode() + b',"layers":[]}', OCI_MANIFEST)
    entries = [entry | {"platform": {"os": "linux", "architecture": "amd64"}}, strange.to_json()]
    data = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
    layout.finish(layout.add(data, OCI_INDEX))
    index = Artifact(
        builder="docker", name="tray", platform="index", group="i", file="image", form=Form.IMAGE, upstream=upstream
    )
    return index, digest_bytes(data)


def test_an_index_lists_its_images_with_their_sboms(context: Context, tmp_path: Path) -> None:
    index, digest = compose_index(context, tmp_path / "index", ("kettle:tray@linux/amd64",))
    found = describe_index(context, index, tmp_path / "index", digest, created=CREATED)
    assert found.subject.kind is Kind.CONTAINER
    assert found.digest == digest
    own, strange = sorted(found.components, key=lambda c: c.sbom is None)
    assert own.role is strange.role is Role.CONTAINED
    assert own.sbom is not None
    assert own.sbom.artifact == "kettle:tray@linux/amd64"
    assert strange.purl == f"pkg:oci/tray@sha256:{strange.hashes['sha256']}"
    assert Inventory.from_json(found.to_json()) == found


def test_an_index_needs_its_images(context: Context, tmp_path: Path) -> None:
    index, digest = compose_index(context, tmp_path / "index", ("kettle:water@linux/amd64",))
    with pytest.raises(ProvenanceError):
        describe_index(context, index, tmp_path / "index", digest, created=CREATED)


def test_an_index_is_no_image_and_an_image_no_index(context: Context, tmp_path: Path) -> None:
    index, digest = compose_index(context, tmp_path / "index", ())
    with pytest.raises(UnreadableError, match="is an index, not an image"):
        describe_image(context, index, tmp_path / "index", digest, created=CREATED, sources={}, upstream=())
    digest = bake(tmp_path / "image", {})
    with pytest.raises(UnreadableError, match="holds one image and no index"):
        describe_index(context, index, tmp_path / "image", digest, created=CREATED)
