"""The inventories of an image for one platform and of an index, and the evidence of artifacts that lie in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...provenance.digest import digest_bytes
from ...provenance.errors import ProvenanceError, UnreadableError, VerificationError, quoted
from ...provenance.fs.folder import read_file
from ...provenance.oci.layout import opened_layout
from ...provenance.oci.model import CONFIGS, Index, Manifest, platform_of
from ...provenance.sbom.image.attribution import attribute
from ...provenance.sbom.image.compose import Included, compose, image_component, package_url
from ...provenance.sbom.image.scan import scan
from ...provenance.sbom.inventory import Completeness, Component, Inventory, Kind, Role
from ...provenance.sbom.reference import refer
from ...provenance.verify.evidence import INVENTORY_LIMIT
from ...provenance.verify.verifier import verify_folder
from ..artifacts import Form

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from pathlib import Path

    from ...provenance.digest import Digest
    from ...provenance.oci.layout import Layout
    from ...provenance.oci.model import Descriptor
    from ...provenance.verify.trust import Trust
    from ..artifacts import Artifact
    from ..context import Context
    from ..workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """An artifact whose evidence was verified, by its very bytes.

    Attributes:
        file: the name of its file.
        digest: of that file; of an image of its manifest.
        inventory: what is in it.
        spdx, cyclonedx: its SBOMs, as they were signed.
    """

    id: str
    name: str
    file: str
    digest: Digest
    inventory: Inventory
    spdx: bytes
    cyclonedx: bytes


def shipped(context: Context, sha256s: Collection[str]) -> dict[str, Shipped]:
    """Return the files that this workspace ships among those with these digests, by sha256.

    Of two artifacts with the same bytes, the first by id stands for both. Artifacts that do not verify are left out.
    """
    found: dict[str, Shipped] = {}
    for id_ in sorted(context.artifacts):
        artifact = context.artifacts[id_]
        if artifact.form is Form.FILE and (each := _shipped(context, artifact, sha256s)):
            found.setdefault(each.digest.sha256, each)
    return found


def evidence_of(context: Context, artifact: Artifact) -> Shipped:
    """Return the verified evidence of an artifact of this workspace.

    Raises:
        ProvenanceError: it does not verify.
    """
    trust = context.signer.trust
    if trust is None:
        raise VerificationError(f"`{artifact.id}` can't be verified: there is no key to verify with")
    return _read(context.workspace, artifact, trust)


def _shipped(context: Context, artifact: Artifact, sha256s: Collection[str]) -> Shipped | None:
    from ..freshness.evidence_check import read_record

    trust = context.signer.trust
    try:
        if trust is None or read_record(context.workspace.output / artifact.folder).digest.sha256 not in sha256s:
            return None
        return _read(context.workspace, artifact, trust)
    except ProvenanceError:  # not built, or not verified
        return None


def _read(workspace: Workspace, artifact: Artifact, trust: Trust) -> Shipped:
    place = workspace.output / artifact.folder
    verified = verify_folder(place, trust=trust)
    if verified.record.artifact != artifact.id:
        raise VerificationError(f"the folder of `{artifact.id}` holds `{verified.record.artifact}`")
    names = verified.record.names

    def read(name: str) -> bytes:
        data = read_file(place / name, INVENTORY_LIMIT)
        if digest_bytes(data).sha256 != verified.record.evidence[name]:  # replaced since it was verified
            raise VerificationError(f"`{name}` of `{artifact.id}` changed while it was read")
        return data

    return Shipped(
        id=artifact.id,
        name=artifact.name,
        file=verified.record.file,
        digest=verified.digest,
        inventory=Inventory.from_json(read(names.inventory)),
        spdx=read(names.spdx),
        cyclonedx=read(names.cyclonedx),
    )


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

    `sources` maps the sha256 (hex) of each file that it was built from to its path; `upstream` has the ids of the
    artifacts that its build was given. Artifacts that lie in the image as files are found by digest, whether they are
    in `upstream` or not; of the others it is only known that they were given.

    Raises:
        UnreadableError: the layout, a layer or an SBOM of an artifact in it is missing, damaged or too large.
        VerificationError: the layout's bytes do not match its digests, or an upstream artifact does not verify.
    """
    with opened_layout(path) as layout:
        manifest = layout.manifest(_root(layout, digest))
        if not isinstance(manifest, Manifest):
            raise UnreadableError(f"{quoted(str(path))} is an index, not an image for one platform")
        scanned = scan(layout, manifest)
        platform = platform_of(layout.config(manifest)) if manifest.config.media_type in CONFIGS else None
    sizes = {file.sha256: file.size for file in scanned.files.values() if file.size}
    inside = {sha256: each for sha256, each in shipped(context, sizes).items() if sizes.get(sha256) == each.digest.size}
    elsewhere = sorted(set(upstream) - {each.id for each in inside.values()})
    return compose(
        attribute(scanned, {sha256: each.id for sha256, each in inside.items()}, sources),
        artifact.id,
        digest,
        subject=image_component(
            artifact.name,
            digest,
            platform=platform,
            annotations=manifest.annotations,
            supplier=context.workspace.project,
        ),
        included={sha256: _included(each) for sha256, each in inside.items()},
        given=tuple(_included(evidence_of(context, context.artifacts[id_])) for id_ in elsewhere),
        created=created,
        author=context.workspace.project,
    )


def describe_index(context: Context, artifact: Artifact, path: Path, digest: Digest, *, created: datetime) -> Inventory:
    """Return the inventory of the index whose layout lies at `path`: an image for each platform, and its SBOMs.

    Manifests that are artifacts of this workspace are recognised by digest.

    Raises:
        UnreadableError: the layout is missing, damaged, or has no index.
        VerificationError: its bytes do not match its digests, or an artifact in it does not verify.
    """
    with opened_layout(path) as layout:
        index = layout.manifest(_root(layout, digest))
    if not isinstance(index, Index):
        raise UnreadableError(f"{quoted(str(path))} holds one image and no index")
    platforms = (evidence_of(context, context.artifacts[id_]) for id_ in artifact.upstream)
    known = {each.digest.sha256: each for each in platforms}
    parts = {
        part.ref: part
        for part in (_platform(artifact.name, entry, known.get(entry.sha256)) for entry in index.manifests)
    }
    subject = image_component(
        artifact.name, digest, platform=None, annotations=index.annotations, supplier=context.workspace.project
    )
    return Inventory.for_artifact(
        artifact.id,
        subject,
        parts.values(),
        {subject.ref: parts.keys()},
        digest=digest,
        completeness=Completeness.COMPLETE,
        note=_INDEX_NOTE,
        created=created,
        author=context.workspace.project,
    )


def _root(layout: Layout, digest: Digest) -> Descriptor:
    root = layout.root
    if (root.sha256, root.size) != (digest.sha256, digest.size):
        raise VerificationError(f"{quoted(str(layout.path))} holds {root.digest}, and not {digest}")
    return root


def _platform(name: str, entry: Descriptor, evidence: Shipped | None) -> Component:
    """Return an image of an index; an image of this workspace is named as in its own SBOMs."""
    if evidence is not None:
        included = _included(evidence)
        return replace(
            included.inventory.subject,
            role=Role.CONTAINED,
            hashes=evidence.digest.as_digest_set(),
            sbom=included.reference,
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


def _included(evidence: Shipped) -> Included:
    reference = refer(evidence.id, spdx=evidence.spdx, cyclonedx=evidence.cyclonedx)
    return Included(inventory=evidence.inventory, reference=reference)
