from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import UnreadableError, VerificationError
from doit_provenance.provenance.oci.archive import read_archive
from doit_provenance.provenance.oci.export import export
from doit_provenance.provenance.oci.layout import verify_layout
from doit_provenance.provenance.oci.reference import Reference
from doit_provenance.provenance.oci.select import name_of
from doit_provenance.provenance.oci.writer import LayoutWriter

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Made

NAME = Reference.parse("ghcr.io/tea/pot:1")


def exported(made: Made, name: Reference | None = NAME) -> bytes:
    target = io.BytesIO()
    export(made.path, verify_layout(made.path), name, target)
    return target.getvalue()


def files(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {one.name: content.read() for one in archive if (content := archive.extractfile(one))}


def test_archive_is_the_layout_with_names_beside(single: Made) -> None:
    found = files(exported(single))
    blobs = {name: content for name, content in found.items() if name.startswith("blobs/")}
    assert blobs == {
        f"blobs/sha256/{one.sha256}": single.blob(one).read_bytes()
        for one in (single.root, single.config, single.layer)
    }
    (entry,) = json.loads(found["manifest.json"])
    assert entry == {
        "Config": f"blobs/sha256/{single.config.sha256}",
        "RepoTags": ["ghcr.io/tea/pot:1"],
        "Layers": [f"blobs/sha256/{single.layer.sha256}"],
    }


@pytest.mark.parametrize("which", ["single", "multi"])
def test_it_is_read_back_as_the_same_image(which: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    made = request.getfixturevalue(which)
    (tmp_path / "a.tar").write_bytes(exported(made))
    writer = LayoutWriter(tmp_path / "x")
    (entry,) = read_archive(tmp_path / "a.tar", writer)
    assert (entry.digest, name_of(entry)) == (made.root.digest, "ghcr.io/tea/pot:1")
    writer.finish(made.root)
    assert verify_layout(tmp_path / "x") == verify_layout(made.path)


def test_equal_images_are_equal_archives(single: Made) -> None:
    first = exported(single)
    single.blob(single.layer).touch()
    single.blob(single.layer).chmod(0o600)
    assert exported(single) == first
    assert exported(single, None) != first


def test_without_a_name(single: Made) -> None:
    found = files(exported(single, None))
    assert json.loads(found["manifest.json"])[0]["RepoTags"] is None
    assert "annotations" not in json.loads(found["index.json"])["manifests"][0]


def test_dockers_format_has_no_index(multi: Made) -> None:
    assert "manifest.json" not in files(exported(multi))


@pytest.mark.parametrize("content", [b"Layer", b"lay", b"longer"])
def test_what_changed_since_it_was_verified(single: Made, content: bytes) -> None:
    image = verify_layout(single.path)
    single.blob(single.layer).write_bytes(content)
    with pytest.raises(VerificationError, match="changed while it was copied"):
        export(single.path, image, NAME, io.BytesIO())
    single.blob(single.layer).unlink()
    with pytest.raises(UnreadableError, match=": missing"):
        export(single.path, image, NAME, io.BytesIO())
