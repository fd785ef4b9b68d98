"""Paths of a Nix store in an image."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.sbom.image.attribution import AttributedTo
from doit_provenance.provenance.sbom.image.compose import Included, compose, image_component
from doit_provenance.provenance.sbom.image.nix import References, store_paths
from doit_provenance.provenance.sbom.inventory import Completeness, Component, Inventory, Kind, Role
from doit_provenance.provenance.sbom.party import Party
from doit_provenance.provenance.sbom.reference import CycloneDXReference, Reference, SPDXReference

ONE, OTHER, THIRD = ("h0cnbmfcn93xm5dg2x27ixhag1cwndga", "aaaabbbbccccddddffffgggghhhhiiii", "z" * 32)
TEA, LEAF, ENV = f"nix/store/{ONE}-tea-1.4", f"nix/store/{OTHER}-leaf-0.3-lib", f"nix/store/{THIRD}-env"


@pytest.mark.parametrize("size", [1, 7, 43, 44, 4096])
def test_references_are_found_wherever_pieces_end(size: int) -> None:
    data = f"x/{TEA}/bin\0nix/store/short-\n/{LEAF}".encode()
    references = References()
    for start in range(0, len(data), size):
        references.add(memoryview(data)[start : start + size])
    assert references.hashes() == {ONE, OTHER}


def test_store_paths_are_packages() -> None:
    """Files and folders; with what they refer to, in bytes or by links, and not to themselves."""
    files = {f"{TEA}/bin/tea": frozenset({ONE, OTHER}), LEAF: frozenset[str](), "usr/bin/tea": frozenset({OTHER})}
    links = [(f"{ENV}/bin", f"/{TEA}/bin"), ("bin/sh", f"/{TEA}/bin/tea"), (f"{ENV}/\udc80", "\udc80")]
    leaf, tea, env = store_paths(files, links)
    assert (tea.component.name, tea.component.version, tea.component.purl) == (
        "tea",
        "1.4",
        f"pkg:nix/tea@1.4?outputhash={ONE}",
    )
    assert tea.component.properties == {"nix:store-path": f"/{TEA}"}
    assert (tea.folder, dict(tea.files), tea.requires) == (TEA, {}, ((f"nix:{OTHER}",),))
    assert (leaf.folder, dict(leaf.files), leaf.requires) == (None, {LEAF: None}, ())
    assert (env.component.version, env.requires) == (None, ((f"nix:{ONE}",),))


def test_other_names_in_the_store_are_no_packages() -> None:
    assert list(store_paths({"nix/store/.links/x": frozenset(), "nix/store/tea": frozenset()}, [])) == []


def test_files_of_store_paths_are_explained(images: Any) -> None:
    """AttributedTo the store path that they lie in; what else lies about is nobody's still."""
    found = images.survey(
        {
            f"{TEA}/bin/tea": (f"#!/bin/sh\n/{LEAF}".encode(), 0o755),
            f"{TEA}/bin/pot": "tea",
            LEAF: b"leaf",
            "bin/other": (b"#!", 0o755),
        }
    )
    explained = {file.path: (file.attributed_to, file.name) for file in found.files}
    assert explained == {
        f"{TEA}/bin/tea": (AttributedTo.SYSTEM, f"pkg:nix/tea@1.4?outputhash={ONE}"),
        LEAF: (AttributedTo.SYSTEM, f"pkg:nix/leaf@0.3-lib?outputhash={OTHER}"),
        "bin/other": (AttributedTo.NOBODY, None),
    }


def test_what_a_later_layer_puts_into_a_store_path_is_not_of_it(images: Any) -> None:
    """Nix lays a path once; its name alone would hide whatever is put there afterwards."""
    found = images.survey({f"{TEA}/bin/tea": (b"#!tea", 0o755)}, {f"{TEA}/bin/evil": (b"#!evil", 0o755)})
    assert [file.path for file in found.unexplained] == [f"{TEA}/bin/evil"]


def test_inventory_has_their_relationships(images: Any) -> None:

    survey = images.survey({f"{TEA}/bin/tea": f"/{LEAF}".encode(), f"{LEAF}/lib": b"leaf"})
    digest = digest_bytes(b"")
    subject = image_component("pot", digest, platform=None, annotations={}, supplier=None)
    moment, author = datetime(2024, 5, 17, tzinfo=UTC), Party(name="tea")
    found = compose(survey, "nix:pot@any", digest, subject=subject, included={}, created=moment, author=author)
    tea, leaf = f"pkg:nix/tea@1.4?outputhash={ONE}", f"pkg:nix/leaf@0.3-lib?outputhash={OTHER}"
    assert found.dependencies == {subject.ref: (leaf, tea), tea: (leaf,), leaf: ()}
    assert "Paths of a Nix store: by their names" in found.note


def test_store_path_of_an_artifact_is_the_one_in_the_image(images: Any) -> None:
    """An artifact's inventory names the store paths that it uses: those that lie in the image stand there once."""
    program = digest_bytes(b"tea")
    moment, author = datetime(2024, 5, 17, tzinfo=UTC), Party(name="tea")
    subject = Component(ref="nix:tea@any", kind=Kind.APPLICATION, role=Role.SUBJECT, name="tea")
    parts = [
        Component(ref=ref, kind=Kind.LIBRARY, role=Role.DYNAMIC, name="x", properties={"nix:store-path": f"/{path}"})
        for ref, path in (("pkg:nix/absent", f"nix/store/{THIRD}-absent"), ("pkg:nix/leaf@0.3?output=lib", LEAF))
    ]
    inventory = Inventory(
        artifact="nix:tea@any",
        digest=program,
        subject=subject,
        components=tuple(parts),
        dependencies={subject.ref: tuple(part.ref for part in parts), **{part.ref: () for part in parts}},
        completeness=Completeness.COMPLETE,
        note="",
        created=moment,
        author=author,
        generator=("doit-provenance", "0"),
    )
    reference = Reference(
        artifact="nix:tea@any",
        spdx=SPDXReference(namespace="https://tea.example", id="SPDXRef-tea", sha256="0" * 64),
        cyclonedx=CycloneDXReference(
            serial="3e671687-395b-41f5-a30f-a58921a69b79", version=1, ref="tea", sha256="0" * 64
        ),
    )
    survey = images.survey({"bin/tea": b"tea", LEAF: b"leaf"}, known={program.sha256: "nix:tea@any"})
    found = compose(
        survey,
        "nix:pot@any",
        program,
        subject=replace(subject, ref="pot", kind=Kind.CONTAINER),
        included={program.sha256: Included(inventory=inventory, reference=reference)},
        created=moment,
        author=author,
    )
    leaf = f"pkg:nix/leaf@0.3-lib?outputhash={OTHER}"
    assert found.dependencies["nix:tea@any"] == ("pkg:nix/absent", leaf)
    assert {part.ref for part in found.components} == {"nix:tea@any", "pkg:nix/absent", leaf}
