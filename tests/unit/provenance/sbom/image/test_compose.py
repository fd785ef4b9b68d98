"""Inventories of images that hold artifacts, packages, and what nobody explains."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from ntia_conformance_checker import SbomChecker
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.platform import Platform
from doit_provenance.provenance.sbom import cyclonedx, spdx
from doit_provenance.provenance.sbom.image import compose as module
from doit_provenance.provenance.sbom.image.compose import Included, compose, image_component, package_url
from doit_provenance.provenance.sbom.inventory import Completeness, Component, Inventory, Kind, Role
from doit_provenance.provenance.sbom.party import Party
from doit_provenance.provenance.sbom.reference import refer

from ..program.test_embedded import elf

if TYPE_CHECKING:
    from pathlib import Path

TEA = Party(name="Tea Guild", url="https://tea.example")
CREATED = datetime(2024, 5, 17, tzinfo=UTC)
MANIFEST = digest_bytes(b"manifest")
PREFIX = "org.opencontainers.image."
ID = "docker:shop@linux/amd64"
LEAF = Component(
    ref="pkg:cargo/leaf@1.0.0",
    kind=Kind.LIBRARY,
    role=Role.LINKED,
    name="leaf",
    version="1.0.0",
    purl="pkg:cargo/leaf@1.0.0",
    supplier=Party(name="crates.io"),
    properties={"cargo:features": "std"},
)
LIBC = Component(ref="lib:libc.so.6", kind=Kind.LIBRARY, role=Role.DYNAMIC, name="libc.so.6", filename="libc.so.6")
RUSTC = Component(ref="tool:rustc", kind=Kind.APPLICATION, role=Role.BUILD, name="rustc")
DEB = b"""Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36
"""
BASE = {
    "etc/os-release": b'ID=debian\nVERSION_ID="12"\nNAME="Debian GNU/Linux"\n',
    "var/lib/dpkg/status": DEB,
    "var/lib/dpkg/info/libc6.list": b"/lib/x86_64-linux-gnu/libc.so.6\n",
    "lib": "usr/lib",
    "usr/lib/x86_64-linux-gnu/libc.so.6": b"\x7fELF libc",
}
LIBC6 = "pkg:deb/debian/libc6@2.36?arch=amd64&distro=debian-12"


def binary(name: str, data: bytes, *parts: Component, **changes: Any) -> Included:
    """Return a binary of the workspace that uses all these components."""
    digest = digest_bytes(data)
    subject = Component(
        ref=f"pkg:cargo/{name}@0.1.0#bin",
        kind=Kind.APPLICATION,
        role=Role.SUBJECT,
        name=name,
        version="0.1.0",
        supplier=TEA,
        filename=name,
    )
    found = Inventory(
        artifact=f"cargo:{name}@any",
        digest=digest,
        subject=subject,
        components=tuple(sorted(parts, key=lambda part: part.ref)),
        dependencies={subject.ref: tuple(sorted(part.ref for part in parts)), **{part.ref: () for part in parts}},
        completeness=Completeness.COMPLETE,
        note="",
        created=CREATED,
        author=TEA,
        generator=("doit-provenance", "0.1.0"),
    )
    found = replace(found, **changes)
    written = cyclonedx.write(found, inventory_sha256=digest_bytes(found.to_json()).sha256)
    return Included(inventory=found, reference=refer(found.artifact, spdx=spdx.write(found), cyclonedx=written))


def composed(images: Any, *layers: dict[str, Any], artifacts: tuple[Included, ...] = (), **rest: Any) -> Inventory:
    included = {one.inventory.digest.sha256: one for one in artifacts}
    known = {sha256: one.inventory.artifact for sha256, one in included.items()}
    return compose(
        images.survey(*layers, known=known, sources=rest.pop("sources", None)),
        ID,
        MANIFEST,
        subject=image_component("shop", MANIFEST, platform=None, annotations={}, supplier=TEA),
        included=included,
        created=CREATED,
        author=TEA,
        **rest,
    )


def part(inventory: Inventory, name: str) -> Component:
    (found,) = [component for component in inventory.components if component.name == name]
    return found


@pytest.fixture
def shop(images: Any) -> Inventory:
    """Return the inventory of an image with a base, two binaries that share a crate, and a program of nobody."""
    tea = binary("tea", b"\x7fELF tea", LEAF, LIBC, RUSTC)
    pot = binary("pot", b"\x7fELF pot", replace(LEAF, properties={"cargo:features": "alloc"}))
    return composed(
        images,
        BASE,
        {"app/tea": (b"\x7fELF tea", 0o755), "app/pot": b"\x7fELF pot", "usr/local/bin/odd": (b"\x7fELF odd", 0o755)},
        {"app/tea2": b"\x7fELF tea", "app/notes": b"text"},
        artifacts=(tea, pot),
    )


def test_an_artifact_is_there_with_its_sboms(shop: Inventory) -> None:
    tea = part(shop, "tea")
    digest = digest_bytes(b"\x7fELF tea")
    assert (tea.role, tea.kind, tea.hashes) == (Role.CONTAINED, Kind.APPLICATION, digest.as_digest_set())
    assert tea.sbom is not None
    assert tea.sbom.artifact == "cargo:tea@any"
    assert tea.properties["image:path"] == "app/tea\napp/tea2"


def test_what_is_linked_into_artifacts_is_there_once(shop: Inventory) -> None:
    """Build tools are left to the artifact's own SBOM; a fact that differs between two is left out."""
    assert {c.name for c in shop.components if c.role is Role.LINKED} == {"leaf"}
    assert part(shop, "leaf").properties == {}
    assert LEAF.ref in shop.dependencies[part(shop, "tea").ref]
    assert shop.dependencies[part(shop, "pot").ref] == (LEAF.ref,)
    assert "rustc" not in {c.name for c in shop.components}


def test_a_shared_library_is_the_package_that_has_it(shop: Inventory) -> None:
    assert shop.dependencies[part(shop, "tea").ref] == (LEAF.ref, LIBC6)
    assert not shop.of_role(Role.DYNAMIC)


def test_a_shared_library_that_nothing_supplies_is_still_asked_for(images: Any) -> None:
    found = composed(images, {"tea": b"\x7fELF tea"}, artifacts=(binary("tea", b"\x7fELF tea", LIBC),))
    assert found.of_role(Role.DYNAMIC) == (LIBC,)
    assert found.dependencies[part(found, "tea").ref] == (LIBC.ref,)


def test_an_artifact_may_be_the_library_of_another(images: Any) -> None:
    libtea = Component(ref="lib:libtea.so", kind=Kind.LIBRARY, role=Role.DYNAMIC, name="libtea.so")
    artifacts = (binary("a", b"\x7fELF a", libtea), binary("z", b"\x7fELF z"))
    found = composed(images, {"a": b"\x7fELF a", "usr/lib/libtea.so": b"\x7fELF z"}, artifacts=artifacts)
    assert found.dependencies[part(found, "a").ref] == (part(found, "z").ref,)


def test_the_image_holds_all_that_is_in_it_as_files(shop: Inventory) -> None:
    assert set(shop.dependencies[shop.subject.ref]) == {c.ref for c in shop.of_role(Role.CONTAINED)}
    assert {c.name for c in shop.of_role(Role.CONTAINED)} == {"debian", "libc6", "tea", "pot", "usr/local/bin/odd"}


def test_known_unknowns_are_told(shop: Inventory) -> None:
    odd = part(shop, "usr/local/bin/odd")
    assert (odd.kind, odd.role, odd.ref) == (Kind.FILE, Role.CONTAINED, "file:usr/local/bin/odd")
    assert odd.hashes == {"sha256": hashlib.sha256(b"\x7fELF odd").hexdigest()}
    assert odd.properties["image:layer"].startswith("sha256:")
    assert shop.completeness is Completeness.INCOMPLETE
    facts = shop.subject.properties
    assert (facts["image:unexplained-programs"], facts["image:unexplained-files"]) == ("1", "1")
    assert facts["image:unexplained-names"] == "app/notes"
    assert "1 executable files that nobody explains" in shop.note


def test_more_unknown_programs_than_are_listed_are_counted(images: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LISTED", 2)
    found = composed(images, {str(number): (b"x", 0o755) for number in range(5)})
    assert [c.name for c in found.components] == ["0", "1"]
    assert found.subject.properties["image:unexplained-programs-not-listed"] == "3"
    assert "5 executable files that nobody explains are listed by digest, 3 of them only counted" in found.note


def test_an_image_of_artifacts_and_sources_alone_is_complete(images: Any) -> None:
    sources = {hashlib.sha256(b"conf").hexdigest(): "tea.conf"}
    tea = binary("tea", b"\x7fELF tea", LEAF)
    found = composed(images, {"tea": b"\x7fELF tea", "etc/tea": b"conf"}, artifacts=(tea,), sources=sources)
    assert found.completeness is Completeness.COMPLETE
    assert "1 artifacts of this workspace, 1 from the sources." in found.note


@pytest.mark.parametrize("completeness", [Completeness.UNKNOWN, Completeness.INCOMPLETE])
def test_an_artifact_that_is_not_known_is_none_here_either(images: Any, completeness: Completeness) -> None:
    tea = binary("tea", b"tea", completeness=completeness)
    found = composed(images, {"tea": b"tea"}, artifacts=(tea,))
    assert found.completeness is Completeness.INCOMPLETE
    assert "Not completely known themselves: cargo:tea@any." in found.note
    assert found.subject.properties["image:partly-known"] == "cargo:tea@any"


@pytest.mark.parametrize(
    ("completeness", "leaves"), [(Completeness.UNKNOWN, 1), (Completeness.INCOMPLETE, 0), (Completeness.COMPLETE, 0)]
)
def test_of_an_artifact_that_nobody_knows_that_counts_which_it_says_itself(
    images: Any, completeness: Completeness, leaves: int
) -> None:
    crates = [
        {"name": "leaf", "version": "1.0.0", "source": "crates.io"},
        {"name": "tea", "version": "0.1.0", "source": "local", "dependencies": [0], "root": True},
    ]
    program = elf({".dep-v0": zlib.compress(json.dumps({"packages": crates}).encode())})
    tea = binary("tea", program, completeness=completeness)
    found = composed(images, {"bin/tea": program, "usr/bin/tea": program}, artifacts=(tea,))
    assert [leaf.purl for leaf in found.of_role(Role.LINKED)] == leaves * ["pkg:cargo/leaf@1.0.0"]
    assert found.dependencies["pkg:cargo/tea@0.1.0#bin"] == leaves * ("pkg:cargo/leaf@1.0.0",)
    assert {part.role for part in found.components} <= {Role.CONTAINED, Role.LINKED}


def test_what_can_not_be_read_is_told(images: Any) -> None:
    found = composed(images, {"var/lib/rpm/Packages": b"x", "lib/apk/db/installed": b"nonsense\n"})
    assert found.completeness is Completeness.INCOMPLETE
    assert "Not read: `lib/apk/db/installed`: " in found.note
    assert "`var/lib/rpm/Packages`: no hash of Berkeley DB." in found.note
    assert found.subject.properties["image:unread"].count("\n") == 1


def test_what_was_given_and_is_no_file_may_be_inside(images: Any) -> None:
    wheel = binary("wheel", b"wheel")
    found = composed(images, {}, given=(wheel,))
    (component,) = found.of_role(Role.INPUT)
    assert component.hashes == wheel.inventory.digest.as_digest_set()
    assert component.sbom == wheel.reference
    assert found.dependencies[found.subject.ref] == (component.ref,)


def test_two_artifacts_of_one_name_stay_apart(images: Any) -> None:
    """As a program for two targets."""
    one, other = binary("tea", b"1"), binary("tea", b"2", artifact="cargo:tea@other")
    found = composed(images, {"a": b"1", "b": b"2"}, artifacts=(one, other))
    assert [c.ref for c in found.components] == ["pkg:cargo/tea@0.1.0#bin", "pkg:cargo/tea@0.1.0#bin#cargo:tea@other"]


def test_names_that_are_no_text_can_be_written(images: Any) -> None:
    files = {b"caf\xe9".decode("utf-8", "surrogateescape"): (b"x", 0o755), "caf\\xe9": (b"y", 0o755)}
    found = composed(images, files)
    assert len(found.components) == 2
    assert {c.name for c in found.components} == {"caf\\xe9"}
    assert Inventory.from_json(found.to_json()) == found


def test_it_is_written_and_read_again(shop: Inventory) -> None:
    data = shop.to_json()
    assert Inventory.from_json(data) == shop
    assert Inventory.from_json(data).to_json() == data


def test_the_order_of_what_is_known_does_not_matter(images: Any) -> None:
    files = {"a": b"1", "b": b"2", "c": (b"x", 0o755)}
    artifacts = (binary("tea", b"1", LEAF), binary("tea", b"2", LEAF, LIBC, artifact="cargo:tea@other"))
    one, other = (composed(images, files, artifacts=chosen) for chosen in (artifacts, artifacts[::-1]))
    assert one.to_json() == other.to_json()


def related(document: Any) -> set[tuple[str, str, str]]:
    names = {package["SPDXID"]: package["name"] for package in document["packages"]}
    return {
        (names.get(r["spdxElementId"], "document"), r["relationshipType"], names.get(target, target))
        for r in document["relationships"]
        for target in [r["relatedSpdxElement"]]
    }


def test_spdx(shop: Inventory) -> None:
    written = spdx.write(shop)
    document = json.loads(written)
    assert validate_full_spdx_document(JsonLikeDictParser().parse(document)) == []
    found = related(document)
    assert {(s, k, t) for s, k, t in found if k in {"CONTAINS", "STATIC_LINK"}} == {
        ("shop", "CONTAINS", "debian"),
        ("shop", "CONTAINS", "libc6"),
        ("shop", "CONTAINS", "tea"),
        ("shop", "CONTAINS", "pot"),
        ("shop", "CONTAINS", "usr/local/bin/odd"),
        ("shop", "CONTAINS", "NOASSERTION"),
        ("tea", "STATIC_LINK", "leaf"),
        ("pot", "STATIC_LINK", "leaf"),
    }
    assert ("tea", "DEPENDS_ON", "libc6") in found
    external = {one["externalDocumentId"]: one for one in document["externalDocumentRefs"]}
    copies = {source: target.split(":") for source, kind, target in found if kind == "COPY_OF"}
    assert copies.keys() == {"tea", "pot"}
    reference = part(shop, "tea").sbom
    assert reference is not None
    assert copies["tea"][1] == reference.spdx.id
    assert external[copies["tea"][0]]["spdxDocument"] == reference.spdx.namespace
    assert external[copies["tea"][0]]["checksum"] == {"algorithm": "SHA256", "checksumValue": reference.spdx.sha256}
    purposes = {package["name"]: package["primaryPackagePurpose"] for package in document["packages"]}
    assert (purposes["shop"], purposes["debian"]) == ("CONTAINER", "OPERATING_SYSTEM")


def test_the_minimum_elements_are_there(images: Any, tmp_path: Path) -> None:
    """NTIA 2021; of what nobody explains there is no supplier that could be named."""
    tea = binary("tea", b"\x7fELF tea", LEAF, LIBC)
    path = tmp_path / "image.spdx.json"
    path.write_bytes(spdx.write(composed(images, BASE, {"tea": b"\x7fELF tea"}, artifacts=(tea,))))
    checker = SbomChecker(str(path), compliance="ntia")
    assert checker.compliant
    assert len(checker.reachable_component_ids) == 5


def test_cyclonedx(shop: Inventory) -> None:
    written = cyclonedx.write(shop, inventory_sha256="5" * 64).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written) is None
    document = json.loads(written)
    components = {component["name"]: component for component in document["components"]}
    assert document["metadata"]["component"]["type"] == "container"
    assert {component["scope"] for component in components.values()} == {"required"}
    (link,) = components["tea"]["externalReferences"]
    reference = part(shop, "tea").sbom
    assert reference is not None
    assert link["type"] == "bom"
    serial = reference.cyclonedx.serial
    assert link["url"] == f"urn:cdx:{serial}/1#pkg%3Acargo%2Ftea%400.1.0%23bin"
    assert link["hashes"] == [{"alg": "SHA-256", "content": reference.cyclonedx.sha256}]
    inside, outside = document["compositions"]
    assert (inside["aggregate"], inside["assemblies"]) == ("incomplete", [shop.subject.ref])
    assert LIBC6 in outside["dependencies"]


def test_an_image_is_called_by_its_digest() -> None:
    platform = Platform(os="linux", architecture="arm64")
    found = image_component("Team/Tea", MANIFEST, platform=platform, annotations={}, supplier=None)
    assert found.purl == found.ref == f"pkg:oci/tea@sha256%3A{MANIFEST.sha256}?arch=arm64".replace("%3A", ":")
    assert (found.kind, found.role, found.name, found.version) == (Kind.CONTAINER, Role.SUBJECT, "Team/Tea", None)
    assert found.hashes == {"sha256": MANIFEST.sha256, "sha512": MANIFEST.sha512}
    assert found.properties["image:platform"] == "linux/arm64"
    assert found.properties["bsi:component:archive"] == "archive"


def test_annotations_are_facts() -> None:
    said = {
        "version": "1.2",
        "licenses": "mit or apache-2.0",
        "description": "serves\n tea",
        "url": "https://tea.example/",
        "source": "https://tea.example/src",
        "authors": "Ada  Brewer",
        "base.name": "docker.io/library/water:1",
        "base.digest": "sha256:00",
        "title": "",
    }
    annotations = {PREFIX + key: text for key, text in said.items()} | {"example.other": "x"}
    found = image_component("tea", MANIFEST, platform=None, annotations=annotations, supplier=Party(name="Tea"))
    assert (found.version, found.licence, found.description) == ("1.2", "MIT OR Apache-2.0", "serves tea")
    assert (found.homepage, found.repository) == ("https://tea.example/", "https://tea.example/src")
    assert found.authors == (Party(name="Ada Brewer"),)
    assert found.properties["image:base.name"] == "docker.io/library/water:1"
    assert "example.other" not in str(found)


def test_an_index_has_no_platform() -> None:
    assert "?" not in package_url("tea", str(MANIFEST), None)
