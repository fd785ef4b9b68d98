"""What the images of this workspace say of themselves: from provenance.toml, from their labels, and from git."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...provenance.oci import annotate
from ...provenance.source import revision_of, time_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..builder import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The image that another one is built on.

    Attributes:
        name: its reference, in full.
        digest: `sha256:…` of its manifest or index.
    """

    name: str
    digest: str


def settled(workspace: Workspace, name: str, configured: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations that follow from provenance.toml and the repository's address alone.

    Args:
        workspace: of the image.
        name: the image's, which is its title where nothing else is said.
        configured: `annotations` of its table.
    """
    supplier = workspace.config.project.supplier
    own = {
        annotate.TITLE: name,
        annotate.SOURCE: workspace.source_url,
        annotate.VENDOR: supplier.name if supplier else None,
    }
    return {key: value for key, value in {**own, **configured}.items() if value}


def as_input(annotations: Mapping[str, str]) -> str:
    """Return `settled` annotations as the value of an input."""
    return json.dumps(dict(annotations), sort_keys=True, ensure_ascii=True)


def wanted(
    workspace: Workspace,
    name: str,
    configured: Mapping[str, str],
    *,
    labels: Mapping[str, str],
    files: Collection[str],
    base: Base | None = None,
) -> dict[str, str]:
    """Return the annotations that an image's manifest shall have where it has none of that key.

    provenance.toml counts more than labels, and labels more than what is known without them. The time is that of
    `files`, and so is the revision: equal sources give equal annotations, whatever was committed beside them since.

    Args:
        workspace: of the image.
        name: the image's.
        configured: `annotations` of its table.
        labels: of its configuration (`annotate.labels`).
        files: the user's that went in, as paths from the repository's root.
        base: what it is built on.

    Raises:
        ProvenanceError: SOURCE_DATE_EPOCH is no time, or git can't tell.
    """
    listed = sorted(files)
    revision = revision_of(workspace.source, listed)
    known = {
        **settled(workspace, name, {}),
        annotate.CREATED: annotate.rendered(time_of(workspace.source, listed)),
        **({annotate.REVISION: revision} if revision else {}),
        **({annotate.BASE_NAME: base.name, annotate.BASE_DIGEST: base.digest} if base else {}),
    }
    return {**known, **labels, **configured}
