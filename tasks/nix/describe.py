"""What is in an artifact that Nix has made: a file of an output, or an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...provenance.sbom.nix.closure import PackageMetadata
from ...provenance.sbom.nix.compose import Shipped, compose
from ..builder import Form
from .facts import Origin

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from ...provenance.digest import Digest
    from ...provenance.sbom.inventory import Inventory
    from ..builder import Artifact
    from ..context import Context
    from .facts import NixFacts

_UNBUILT = {
    Origin.BUILT: "",
    Origin.SUBSTITUTED: "The run that wrote this did not build it: it was copied from a binary cache.",
    Origin.PRESENT: "The run that wrote this did not build it: it was in the store already.",
}


def describe(  # noqa: PLR0913 - the things that an artifact was made of
    context: Context,
    artifact: Artifact,
    path: Path,
    digest: Digest,
    facts: NixFacts,
    *,
    place: str,
    created: datetime,
) -> Inventory:
    """Return the inventory of an artifact, of which a copy with this digest lies at `path`.

    `place` is the path of its file in the output, empty where the output is the file; of an image it is not asked.

    Raises:
        UnreadableError: the artifact, a store path or a lock file can't be read, or what nix said is no closure.
        VerificationError: an image's layout has other bytes than its digests say.
    """
    if artifact.form is Form.IMAGE:
        from ..image.describe import describe_image

        return describe_image(context, artifact, path, digest, created=created, sources={}, upstream=())
    shipped = Shipped(
        artifact=artifact.id,
        name=artifact.name,
        filename=path.name,
        path=path,
        digest=digest,
        output=facts.output,
        place=place,
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
        created=created,
        author=context.workspace.project,
    )
