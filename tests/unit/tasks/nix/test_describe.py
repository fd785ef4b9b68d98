"""What an artifact's inventory takes from what nix said of its output."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doit_provenance.provenance.config import load
from doit_provenance.provenance.digest import digest_bytes, digest_file
from doit_provenance.provenance.oci.model import OCI_CONFIG, OCI_MANIFEST
from doit_provenance.provenance.oci.writer import LayoutWriter
from doit_provenance.provenance.sbom.inventory import Inventory, Kind, Role
from doit_provenance.provenance.sbom.nix.store import Meta, PathInfo
from doit_provenance.tasks.artifacts import Artifact, Form
from doit_provenance.tasks.context import Context
from doit_provenance.tasks.nix.build import NixBuild
from doit_provenance.tasks.nix.describe import describe
from doit_provenance.tasks.nix.store import NixFacts, Origin
from doit_provenance.tasks.workspace import Workspace

CREATED = datetime(2024, 5, 17, tzinfo=UTC)
TEA = Artifact(builder="nix", name="tea", platform="x86_64-linux", group="nix:x86_64-linux", file="tea")
HASH, OTHER = "h0cnbmfcn93xm5dg2x27ixhag1cwndga", "aaaabbbbccccddddffffgggghhhhiiii"


@pytest.fixture
def facts(tmp_path: Path) -> NixFacts:
    """Return what is said of an output with the script `bin/tea`, which names a library."""
    library, output = (f"{tmp_path}/store/{name}" for name in (f"{OTHER}-leaf-0.3", f"{HASH}-tea-1.4"))
    path = Path(output, "bin", "tea")
    path.parent.mkdir(parents=True)
    path.write_text(f"#!{library}/bin/leaf\n")
    return NixFacts(
        output=output,
        derivation=f"{tmp_path}/store/{OTHER}-tea-1.4.drv",
        system="x86_64-linux",
        origin=Origin.BUILT,
        closure={
            library: PathInfo(path=library, nar_hash="11" * 32, nar_size=1),
            output: PathInfo(path=output, nar_hash="22" * 32, nar_size=2, references=(library,)),
        },
        derivations={},
        meta={output: Meta(name="tea", version="1.4", licences=("MIT",))},
    )


def nix_build(facts: NixFacts, place: str = "") -> NixBuild:
    return NixBuild(facts=facts, place=place, created=CREATED, materials=())


def described(root: Path, facts: NixFacts) -> Inventory:
    (root / "provenance.toml").write_text('[project]\nname = "pots"\nsource = "https://git.example/pots"\n')
    context = Context(workspace=Workspace(root=root, config=load(root)))
    path = Path(facts.output, "bin", "tea")
    return describe(context, TEA, path, digest_file(path), nix_build(facts, "bin/tea"))


def test_file_of_an_output(root: Path, facts: NixFacts) -> None:
    found = described(root, facts)
    subject = found.subject
    assert (found.artifact, found.created, found.author.name) == (TEA.id, CREATED, "pots")
    assert (subject.name, subject.version, subject.licence, subject.filename) == ("tea", "1.4", "MIT", "tea")
    assert subject.purl == f"pkg:nix/tea@1.4?output=out&outputhash={HASH}#bin/tea"
    assert subject.properties["nix:system"] == "x86_64-linux"
    assert [part.name for part in found.of_role(Role.DYNAMIC)] == ["leaf"]
    assert "did not build" not in found.note


@pytest.mark.parametrize(
    ("origin", "words"), [(Origin.SUBSTITUTED, "copied from a binary cache"), (Origin.PRESENT, "in the store already")]
)
def test_what_the_run_did_not_build_is_not_called_built(
    root: Path, facts: NixFacts, origin: Origin, words: str
) -> None:
    assert words in described(root, replace(facts, origin=origin)).note


def test_image_is_looked_into_as_any_image(root: Path, facts: NixFacts, tmp_path: Path) -> None:
    """Its inventory is that of its layers, whatever the archive's own closure was."""
    layout = LayoutWriter(tmp_path / "image")
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": layout.add(b'{"architecture":"arm64","os":"linux"}', OCI_CONFIG).to_json(),
        "layers": [],
    }
    data = json.dumps(manifest).encode()
    layout.finish(layout.add(data, OCI_MANIFEST))
    image = replace(TEA, name="pot", file="image", form=Form.IMAGE)
    context = Context(workspace=Workspace(root=root, config=load(root)))
    found = describe(context, image, tmp_path / "image", digest_bytes(data), nix_build(facts))
    assert (found.artifact, found.subject.kind) == (image.id, Kind.CONTAINER)
    assert found.subject.properties["image:platform"] == "linux/arm64"
    assert not found.components
