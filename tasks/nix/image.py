"""An output that is an image: taken over as an OCI image layout."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.errors import BuildError, UnreadableError, quoted
from ...provenance.oci import LAYOUT_FILE
from ...provenance.oci import annotations as keys
from ...provenance.oci.annotations import annotate
from ...provenance.oci.archive import read_archive
from ...provenance.oci.convert import to_oci
from ...provenance.oci.select import select
from ...provenance.oci.writer import LayoutWriter, copy_layout
from ...provenance.record import IMAGE
from ..images.annotations import wanted_elsewhere
from .outputs import inside

if TYPE_CHECKING:
    from collections.abc import Collection

    from ...provenance.oci.model import Descriptor
    from ...provenance.oci.select import Selection
    from ..workspace import Workspace
    from .units import Unit


def take_image(workspace: Workspace, unit: Unit, output: str, folder: Path, *, closure: Collection[str]) -> Path:
    """Make the layout of the image that an output is, for one platform; return where it lies.

    What git says of the commit is not said of the image: equal derivations shall give equal images, whatever else was
    committed meanwhile. The time is the one that the image has.

    Args:
        workspace: of the package.
        unit: the artifact.
        output: the store path: an archive or a layout.
        folder: receives the layout; what was there is removed.
        closure: the store paths that links may lead to.

    Raises:
        BuildError: it is no image, or one for several platforms; or a link leads out of the closure.
        ProvenanceError: it is damaged, or can't be written.
    """
    shutil.rmtree(folder, ignore_errors=True)
    scratch = LayoutWriter(folder / "source")
    try:
        selection = select(_bring(unit, inside(unit, Path(output), closure), scratch, closure), scratch)
        return _write(workspace, unit, _only(unit, selection), scratch, LayoutWriter(folder / IMAGE))
    finally:
        shutil.rmtree(scratch.folder, ignore_errors=True)


def _bring(unit: Unit, path: Path, writer: LayoutWriter, closure: Collection[str]) -> tuple[Descriptor, ...]:
    if path.is_dir() and (path / LAYOUT_FILE).is_file():
        for base, folders, files in os.walk(path):
            for name in (*folders, *files):
                inside(unit, Path(base, name), closure)
        return copy_layout(path, writer)
    if not path.is_file():
        raise _no_image(unit, "it is a folder, and no image layout")
    try:
        return read_archive(path, writer)
    except UnreadableError as error:
        raise _no_image(unit, error.message) from error


def _no_image(unit: Unit, why: str) -> BuildError:
    return BuildError(
        f"the output of {quoted(unit.package.name)} is no image: {why}",
        hint="take it out of `images` in `[nix]`; of what writes an image when it runs (`streamLayeredImage`), let a "
        "package take what it writes",
    )


def _only(unit: Unit, selection: Selection) -> Descriptor:
    if len(selection.images) != 1:
        held = ", ".join(sorted(f"`{platform}`" for platform in selection.images)) or "none"
        raise BuildError(
            f"`{unit.artifact.id}` is an image for one platform, but its output holds {held}",
            hint="let a package for each platform make one; `[oci.NAME]` takes such an image over as it is",
        )
    return next(iter(selection.images.values()))


def _write(workspace: Workspace, unit: Unit, held: Descriptor, source: LayoutWriter, writer: LayoutWriter) -> Path:
    manifest = writer.take_image(source, held)
    said = wanted_elsewhere(workspace, unit.artifact.name, {}, config=writer.config(manifest))
    if workspace.source_url:
        said = {keys.SOURCE: workspace.source_url, **said}
    writer.finish(annotate(to_oci(held, writer), said, writer))
    return writer.folder
