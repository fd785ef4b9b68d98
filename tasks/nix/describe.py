"""The inventory of an artifact that Nix built: a file of an output, or an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...provenance.sbom.nix.closure import PackageMetadata
from ...provenance.sbom.nix.compose import Shipped, compose
from ..artifacts import Form
from .store import Origin

if TYPE_CHECKING:
    from pathlib import Path

    from ...provenance.digest import Digest
    from ...provenance.sbom.inventory import Inventory
    from ..artifacts import Artifact
    from ..context import Context
    from .build import NixBuild

_UNBUILT = {
    Origin.BUILT: "",
    Origin.SUBSTITUTED: "The run that wrote this did not build it: it was copied from a binary cache.",
    Origin.PRESENT: "The run that wrote this did not build it: it was in the store already.",
}


def describe(context: Context, artifact: Artifact, path: Path, digest: Digest, build: NixBuild) -> Inventory:
    """Return the inventory of an artifact, of which `path` is a copy with this digest.

    Raises:
        UnreadableError: the artifact, a store path or a lock file can't be read, or the closure is incomplete.
        VerificationError: the bytes of an image's layout do not match its digests.
    """
    if artifact.form is Form.IMAGE:
        from ..images.describe import describe_image

        return describe_image(context, artifact, path, digest, created=build.created, sources={}, upstream=())
    facts = build.facts
    shipped = Shipped(
        artifact=artifact.id,
        name=artifact.name,
        filename=path.name,
        path=path,
        digest=digest,
        output=facts.output,
        place=build.place,
        derivation=facts.derivation,
        system=facts.system,
        closure=facts.closure,
        build_closure=facts.build_closure,
        unbuilt=_UNBUILT[facts.origin],
    )
    return compose(
        shipped,
        PackageMetadata(derivations=facts.derivations, meta=facts.meta),
        project_source=context.workspace.source_url,
        created=build.created,
        author=context.workspace.project,
    )
