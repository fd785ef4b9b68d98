"""An image as a component: its package URL, and what its annotations say of it (image-spec v1.1, annotations.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import licence
from ..inventory import Component, Kind, Role
from ..party import Party

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...digest import Digest
    from ...platform import Platform

_PREFIX = "org.opencontainers.image."
_BSI = {
    "bsi:component:executable": "non-executable",
    "bsi:component:archive": "archive",
    "bsi:component:structured": "structured",
}
"""BSI TR-03183-2, 5.2.2: what an image consists of can be told apart again."""


def image_component(
    name: str, digest: Digest, *, platform: Platform | None, annotations: Mapping[str, str], supplier: Party | None
) -> Component:
    """Return an image, or an index, as the subject of its inventory; `digest` is that of its manifest."""
    said = {key.removeprefix(_PREFIX): text for key, text in annotations.items() if key.startswith(_PREFIX) and text}
    declared = said.get("licenses")
    properties = {f"image:{key}": said[key] for key in ("base.name", "base.digest", "revision") if key in said}
    purl = package_url(name, str(digest), platform)
    return Component(
        ref=purl,
        kind=Kind.CONTAINER,
        role=Role.SUBJECT,
        name=name,
        version=said.get("version"),
        purl=purl,
        hashes=digest.as_digest_set(),
        licence=licence.normalise(declared) if declared else None,
        supplier=supplier,
        authors=(Party(name=" ".join(said["authors"].split())),) if said.get("authors", "").strip() else (),
        description=" ".join(said["description"].split()) if "description" in said else None,
        homepage=said.get("url"),
        repository=said.get("source"),
        properties=_BSI | properties | ({"image:platform": str(platform)} if platform else {}),
    )


def package_url(name: str, digest: str, platform: Platform | None) -> str:
    """Return the package URL of an image (purl-spec, type `oci`): its version is the digest of its manifest."""
    from packageurl import PackageURL

    qualifiers = {"arch": platform.architecture} if platform else {}
    return PackageURL("oci", None, name.rpartition("/")[2].lower(), digest, qualifiers).to_string()
