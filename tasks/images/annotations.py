"""The annotations of images: from provenance.toml, from their labels, and from git."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ...provenance.oci import annotations as keys

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ...provenance.json import JSONValue
    from ..workspace import Workspace


class Origin(StrEnum):
    """Where an image was built."""

    WORKSPACE = "workspace"
    """From this workspace's sources: annotated with the time and revision that git has for them."""
    ELSEWHERE = "elsewhere"
    """From unknown sources: annotated with `created` of its image configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The image that another one is built on.

    Attributes:
        name: its reference, in full.
        digest: `sha256:…` of its manifest or index.
    """

    name: str
    digest: str


def from_config(
    workspace: Workspace, name: str, configured: Mapping[str, str], origin: Origin = Origin.WORKSPACE
) -> dict[str, str]:
    """Return the annotations that follow from provenance.toml alone, without the cost of asking git.

    Args:
        workspace: of the image.
        name: of the image; its default title.
        configured: `annotations` of its table.
        origin: where it was built.
    """
    supplier = workspace.config.project.supplier
    own = {
        keys.TITLE: name,
        keys.SOURCE: workspace.config.project.source if origin is Origin.WORKSPACE else None,
        keys.VENDOR: supplier.name if supplier else None,
    }
    return {key: value for key, value in {**own, **configured}.items() if value}


def as_input(workspace: Workspace, name: str, configured: Mapping[str, str]) -> str:
    """Return the settings that determine annotations, as the value of an input.

    Git is not asked, to save time in every run: a changed remote URL gets into the annotations when the image is built
    again for another reason.
    """
    supplier = workspace.config.project.supplier
    own = [name, workspace.config.project.source, supplier.name if supplier else None]
    return json.dumps([*own, dict(sorted(configured.items()))], ensure_ascii=True)


def wanted(
    workspace: Workspace,
    name: str,
    configured: Mapping[str, str],
    *,
    config: Mapping[str, JSONValue],
    files: Collection[str],
    base: Base | None = None,
) -> dict[str, str]:
    """Return the annotations for an image's manifest, used for keys that it does not have yet.

    provenance.toml takes precedence over labels, and labels over what is known otherwise. Time and revision are those
    of `files`; the revision is left out unless git has each of them unchanged. So equal sources give equal annotations,
    whatever else was committed since.

    Args:
        workspace: whose sources it was built from.
        name: of the image.
        configured: `annotations` of its table.
        config: its configuration.
        files: the user's files that went in, as paths from the repository's root.
        base: what it is built on.

    Raises:
        ProvenanceError: SOURCE_DATE_EPOCH is malformed, or git fails.
    """
    from ...provenance.oci.annotations import labels, rendered
    from ...provenance.source import revision_of, time_of

    listed = sorted(files)
    known = {**from_config(workspace, name, {}), keys.CREATED: rendered(time_of(workspace.source, listed))}
    if workspace.source_url:
        known[keys.SOURCE] = workspace.source_url
    is_known = workspace.source.commit is not None and workspace.committed.issuperset(listed)
    if is_known and (revision := revision_of(workspace.source, listed)):
        known[keys.REVISION] = revision
    if base is not None:
        known |= {keys.BASE_NAME: base.name, keys.BASE_DIGEST: base.digest}
    return {**known, **labels(config), **configured}


def wanted_elsewhere(
    workspace: Workspace, name: str, configured: Mapping[str, str], *, config: Mapping[str, JSONValue]
) -> dict[str, str]:
    """Return the same for an image that was not built from the workspace's sources."""
    from ...provenance.oci.annotations import labels

    known = from_config(workspace, name, {}, Origin.ELSEWHERE)
    created = config.get("created")
    if isinstance(created, str) and created:
        known[keys.CREATED] = created
    return {**known, **labels(config), **configured}
