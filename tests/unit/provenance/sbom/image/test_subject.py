from __future__ import annotations

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.platform import Platform
from doit_provenance.provenance.sbom.image.subject import image_component, package_url
from doit_provenance.provenance.sbom.inventory import Kind, Role
from doit_provenance.provenance.sbom.party import Party

DIGEST = digest_bytes(b"manifest")
PREFIX = "org.opencontainers.image."


def test_an_image_is_called_by_its_digest() -> None:
    platform = Platform(os="linux", architecture="arm64")
    found = image_component("Team/Tea", DIGEST, platform=platform, annotations={}, supplier=None)
    assert found.purl == found.ref == f"pkg:oci/tea@sha256%3A{DIGEST.sha256}?arch=arm64".replace("%3A", ":")
    assert (found.kind, found.role, found.name, found.version) == (Kind.CONTAINER, Role.SUBJECT, "Team/Tea", None)
    assert found.hashes == {"sha256": DIGEST.sha256, "sha512": DIGEST.sha512}
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
    found = image_component("tea", DIGEST, platform=None, annotations=annotations, supplier=Party(name="Tea"))
    assert (found.version, found.licence, found.description) == ("1.2", "MIT OR Apache-2.0", "serves tea")
    assert (found.homepage, found.repository) == ("https://tea.example/", "https://tea.example/src")
    assert found.authors == (Party(name="Ada Brewer"),)
    assert found.properties["image:base.name"] == "docker.io/library/water:1"
    assert "example.other" not in str(found)


def test_an_index_has_no_platform() -> None:
    assert "?" not in package_url("tea", str(DIGEST), None)
