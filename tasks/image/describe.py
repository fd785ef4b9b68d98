"""The inventories of an image for one platform, and of an index over several."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...provenance import VERSION
from ...provenance.errors import UnreadableError, VerificationError, quoted
from ...provenance.oci.layout import opened_layout
from ...provenance.oci.model import CONFIGS, Index, Manifest, platform_of
from ...provenance.sbom.image.attribution import attribute
from ...provenance.sbom.image.compose import Included, compose, image_component, package_url
from ...provenance.sbom.image.scan import scan
from ...provenance.sbom.inventory import Completeness, Component, Inventory, Kind, Role
from ...provenance.sbom.reference import refer
from .shipped import evidence_of, shipped

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from pathlib import Path

    from ...provenance.digest import Digest
    from ...provenance.oci.layout import Layout
    from ...provenance.oci.model import Descriptor
    from ..builder import Artifact
    from ..context import Context
    from .shipped import Shipped

_INDEX_NOTE = (
    "An index over images, one for each platform. Listed are these, by digest; what is in each its own SBOM says."
)


def describe_image(  # noqa: PLR0913 - the things that an image was made of
    context: Context,
    artifact: Artifact,
    path: Path,
    digest: Digest,
    *,
    created: datetime,
    sources: Mapping[str, str],
    upstream: Collection[str],
) -> Inventory:
    """Return the inventory of the image whose layout lies at `path`, with the digest of its manifest.

    `sources` has the files that it was built from, by sha256 in hex, with their paths; `upstream` names the artifacts
    that its build was given. Those that lie in it as files are found by their digest, whether they are named or not; of
    the others nothing is known but that they were given.

    Raises:
        UnreadableError: the layout, a layer or an SBOM of an artifact in it is missing, damaged or too large.
        VerificationError: the layout has other bytes than its digests say, or an upstream artifact does not verify.
    """
    with opened_layout(path) as layout:
        manifest = layout.manifest(_root(layout, digest))
        if not isinstance(manifest, Manifest):
            raise UnreadableError(f"{quoted(str(path))} is an index, not an image for one platform")
        scanned = scan(layout, manifest)
        platform = platform_of(layout.config(manifest)) if manifest.config.media_type in CONFIGS else None
    sizes = {file.sha256: file.size for file in scanned.files.values() if file.size}
    inside = {sha256: one for sha256, one in shipped(context, sizes).items() if sizes.get(sha256) == one.digest.size}
    elsewhere = sorted(set(upstream) - {one.id for one in inside.values()})
    return compose(
        attribute(scanned, {sha256: one.id for sha256, one in inside.items()}, sources),
        artifact.id,
        digest,
        subject=image_component(
            artifact.name,
            digest,
            platform=platform,
            annotations=manifest.annotations,
            supplier=context.workspace.project,
        ),
        included={sha256: _included(one) for sha256, one in inside.items()},
        given=tuple(_included(evidence_of(context, context.artifacts[id_])) for id_ in elsewhere),
        created=created,
        author=context.workspace.project,
    )


def describe_index(context: Context, artifact: Artifact, path: Path, digest: Digest, *, created: datetime) -> Inventory:
    """Return the inventory of the index whose layout lies at `path`: an image for each platform, and its SBOMs.

    Which of its manifests are artifacts of this workspace is told by their digests.

    Raises:
        UnreadableError: the layout is missing, damaged, or holds no index.
        VerificationError: it has other bytes than its digests say, or an artifact that it holds does not verify.
    """
    with opened_layout(path) as layout:
        index = layout.manifest(_root(layout, digest))
    if not isinstance(index, Index):
        raise UnreadableError(f"{quoted(str(path))} holds one image and no index")
    platforms = (evidence_of(context, context.artifacts[id_]) for id_ in artifact.upstream)
    known = {one.digest.sha256: one for one in platforms}
    parts = {
        part.ref: part
        for part in (_platform(artifact.name, entry, known.get(entry.sha256)) for entry in index.manifests)
    }
    subject = image_component(
        artifact.name, digest, platform=None, annotations=index.annotations, supplier=context.workspace.project
    )
    return Inventory(
        artifact=artifact.id,
        digest=digest,
        subject=subject,
        components=tuple(parts[ref] for ref in sorted(parts)),
        dependencies={subject.ref: tuple(sorted(parts)), **dict.fromkeys(sorted(parts), ())},
        completeness=Completeness.COMPLETE,
        note=_INDEX_NOTE,
        created=created,
        author=context.workspace.project,
        generator=("doit-provenance", VERSION),
    )


def _root(layout: Layout, digest: Digest) -> Descriptor:
    root = layout.root
    if (root.sha256, root.size) != (digest.sha256, digest.size):
        raise VerificationError(f"{quoted(str(layout.path))} holds {root.digest}, and not {digest}")
    return root


def _platform(name: str, entry: Descriptor, one: Shipped | None) -> Component:
    """Return an image of an index; one of this workspace is called as its own SBOMs call it."""
    if one is not None:
        found = _included(one)
        return replace(
            found.inventory.subject, role=Role.CONTAINED, hashes=one.digest.as_digest_set(), sbom=found.reference
        )
    purl = package_url(name, entry.digest, entry.platform)
    return Component(
        ref=purl,
        kind=Kind.CONTAINER,
        role=Role.CONTAINED,
        name=name,
        purl=purl,
        hashes={"sha256": entry.sha256},
        properties={"image:platform": str(entry.platform)} if entry.platform else {},
    )


def _included(one: Shipped) -> Included:
    return Included(inventory=one.inventory, reference=refer(one.id, spdx=one.spdx, cyclonedx=one.cyclonedx))
