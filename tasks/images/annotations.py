"""What the images of this workspace say of themselves: from provenance.toml, from their labels, and from git."""

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
    """From this workspace's sources: what git says of them is said of it."""
    ELSEWHERE = "elsewhere"
    """Nobody knows from what: it is said when it was made, as its configuration has it."""


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
    """Return the annotations that follow from provenance.toml alone; git, which takes its time, is not asked.

    Args:
        workspace: of the image.
        name: the image's, which is its title where nothing else is said.
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
    """Return what the user has chosen of annotations, as the value of an input.

    Git is not asked, which takes time in every run: an address that is that of the remote, and changes, is said of an
    image when something else changes.
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
    """Return the annotations that an image's manifest shall have where it has none of that key.

    provenance.toml counts more than labels, and labels more than what is known without them. The time is that of
    `files`, and so is the revision, which is left out where git does not know each of them as it is: equal sources give
    equal annotations, whatever was committed beside them since.

    Args:
        workspace: whose sources it was built from.
        name: the image's.
        configured: `annotations` of its table.
        config: its configuration.
        files: the user's that went in, as paths from the repository's root.
        base: what it is built on.

    Raises:
        ProvenanceError: SOURCE_DATE_EPOCH is no time, or git can't tell.
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
    """Return the same of an image that was not built from the workspace's sources, of which these say nothing."""
    from ...provenance.oci.annotations import labels

    known = from_config(workspace, name, {}, Origin.ELSEWHERE)
    created = config.get("created")
    if isinstance(created, str) and created:
        known[keys.CREATED] = created
    return {**known, **labels(config), **configured}
