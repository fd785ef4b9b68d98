"""What ships of an output: one of its files, or the image that it is, as an OCI image layout."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.errors import BuildError, UnreadableError, quoted
from ...provenance.oci import LAYOUT_FILE
from ...provenance.oci import annotations as keys
from ...provenance.oci.annotations import annotate
from ...provenance.oci.archive import is_image_archive, read_archive
from ...provenance.oci.convert import to_oci
from ...provenance.oci.select import select
from ...provenance.oci.writer import LayoutWriter, copy_layout
from ...provenance.record import IMAGE
from ..freshness import patterns
from ..images.annotations import wanted_elsewhere
from .log import name_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ...provenance.oci.model import Descriptor
    from ...provenance.oci.select import Selection
    from ..workspace import Workspace
    from .artifacts import NixArtifact

_LISTED = 10


def place_of(artifact: NixArtifact, output: str, closure: Collection[str]) -> str:
    """Return the path, in an output, of the file that ships; empty: the output itself is the file.

    Args:
        artifact: of the file.
        output: the store path.
        closure: the store paths that links may lead to.

    Raises:
        BuildError: no file matches, or several do; or a link leads out of the closure.
        ToolError: a folder can't be read.
    """
    root, id_ = Path(output), artifact.artifact.id
    if artifact.pattern is None and not root.is_dir():
        _regular_file(id_, root, closure)
        if is_image_archive(root):  # as a file its inventory would lack its contents
            raise BuildError(
                f"the output of {quoted(artifact.package.name)} is an image",
                hint=f'write `images = ["{artifact.package.name}"]` into `[nix]`',
            )
        return ""
    pattern = "bin/*" if artifact.pattern is None else artifact.pattern
    names = patterns.expand(root, pattern) if root.is_dir() else []
    if artifact.pattern is None:  # the originals of wrapped programs have names that begin with a dot
        names = [name for name in names if not name.startswith("bin/.")]
    files: dict[Path, str] = {}
    for name in names:
        files.setdefault(_regular_file(id_, root / name, closure), name)
    if len(files) != 1:
        raise _not_one(artifact, root, pattern, files)
    place = next(iter(files.values()))
    if not place.isprintable():  # lists of files have one file a line
        raise BuildError(
            f"the file {quoted(place)} of `{id_}` has a name that can't be written on a line",
            hint="let the package rename it",
        )
    return place


def path_of(output: str, place: str) -> Path:
    """Return the absolute path of a file, links resolved."""
    return Path(os.path.realpath(Path(output) / place))


def file_name(output: str, place: str) -> str:
    """Return the name of the file; if it is the output itself, the store path's name without the hash."""
    return place.rpartition("/")[2] or name_of(output)


def _inside(id_: str, path: Path, closure: Collection[str]) -> Path:
    """Return where a path of an output really is: in the closure, wherever its links lead.

    Raises:
        BuildError: it leads out of the closure, to a file of this machine that no NAR hash covers.
    """
    real = os.path.realpath(path)
    if not any(real == store_path or real.startswith(f"{store_path}/") for store_path in closure):
        raise BuildError(
            f"{quoted(path.name)} of `{id_}` leads to {quoted(real)}, which is not in its closure",
            hint="let the package copy the file",
        )
    return Path(real)


def _regular_file(id_: str, path: Path, closure: Collection[str]) -> Path:
    """Return where a regular file of an output really is; refuse everything else."""
    real = _inside(id_, path, closure)
    try:
        regular = stat.S_ISREG(os.stat(real).st_mode)  # noqa: PTH116 - `Path.is_file` hides errors
    except OSError as error:
        raise BuildError(f"{quoted(path.name)} of `{id_}` can't be read: {error.strerror}") from error
    if not regular:
        raise BuildError(f"{quoted(path.name)} of `{id_}` is no file")
    return real


def _not_one(artifact: NixArtifact, root: Path, pattern: str, files: Mapping[Path, str]) -> BuildError:
    package = artifact.package.name
    if files:
        names = list(files.values())
        hint = f"write `files = [{_entries(package, names)}]` into `[nix]`, with those that ship"
        if artifact.pattern is not None:
            hint = "make the entry of `files` in `[nix]` narrower"
        matching = f"{len(names)} files match {quoted(pattern)} in the output of {quoted(package)}: {_listed(names)}"
        return BuildError(f"`{artifact.artifact.id}` is one file, but {matching}", hint=hint)
    there = patterns.expand(root, "**/*") if root.is_dir() else []
    holds = f"it holds {_listed(there)}" if there else "it is empty" if root.is_dir() else "it is a file itself"
    return BuildError(
        f"no file matches {quoted(pattern)} in the output of {quoted(package)}; {holds}",
        hint=f"write `files = [{_entries(package, there)}]` into `[nix]`, with those that ship"
        if there
        else "correct `files` in `[nix]`",
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(quoted, names[:_LISTED])) + more


def _entries(package: str, names: Sequence[str]) -> str:
    more = ", …" if len(names) > _LISTED else ""
    return ", ".join(f'"{package}/{name}"' for name in names[:_LISTED] if name.isprintable()) + more


def take_image(
    workspace: Workspace, artifact: NixArtifact, output: str, folder: Path, *, closure: Collection[str]
) -> Path:
    """Write the layout of the image that an output is, for one platform; return its path.

    It gets no annotations about the commit: equal derivations have equal images, whatever else was committed meanwhile.
    Its creation time is the image's own.

    Args:
        workspace: of the package.
        artifact: the image.
        output: the store path: an archive or a layout.
        folder: receives the layout; its previous content is removed.
        closure: the store paths that links may lead to.

    Raises:
        BuildError: it is no image, or one for several platforms; or a link leads out of the closure.
        ProvenanceError: it is damaged, or can't be written.
    """
    shutil.rmtree(folder, ignore_errors=True)
    source = LayoutWriter(folder / "source")
    try:
        image = _only(artifact, select(_read_image(artifact, Path(output), source, closure), source))
        writer = LayoutWriter(folder / IMAGE)
        manifest = writer.take_image(source, image)
        values = wanted_elsewhere(workspace, artifact.artifact.name, {}, config=writer.config(manifest))
        if workspace.source_url:
            values = {keys.SOURCE: workspace.source_url, **values}
        writer.finish(annotate(to_oci(image, writer), values, writer))
        return writer.folder
    finally:
        shutil.rmtree(source.folder, ignore_errors=True)


def _read_image(
    artifact: NixArtifact, output: Path, writer: LayoutWriter, closure: Collection[str]
) -> tuple[Descriptor, ...]:
    path = _inside(artifact.artifact.id, output, closure)
    if path.is_dir() and (path / LAYOUT_FILE).is_file():
        for parent, folders, files in os.walk(path):
            for name in (*folders, *files):
                _inside(artifact.artifact.id, Path(parent, name), closure)
        return copy_layout(path, writer)
    if not path.is_file():
        raise _no_image(artifact, "it is a folder, and no image layout")
    try:
        return read_archive(path, writer)
    except UnreadableError as error:
        raise _no_image(artifact, error.message) from error


def _no_image(artifact: NixArtifact, reason: str) -> BuildError:
    return BuildError(
        f"the output of {quoted(artifact.package.name)} is no image: {reason}",
        hint="take it out of `images` in `[nix]`; of what writes an image when it runs (`streamLayeredImage`), let a "
        "package take what it writes",
    )


def _only(artifact: NixArtifact, selection: Selection) -> Descriptor:
    if len(selection.images) != 1:
        held = ", ".join(sorted(f"`{platform}`" for platform in selection.images)) or "none"
        raise BuildError(
            f"`{artifact.artifact.id}` is an image for one platform, but its output holds {held}",
            hint="let a package for each platform make one; `[oci.NAME]` takes such an image over as it is",
        )
    return next(iter(selection.images.values()))
