"""Who explains which file of an image: a package, an artifact of the workspace, its sources, or nobody."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from .look import Look, look
from .metadata import is_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...oci.layout import Layout
    from ...oci.model import Manifest
    from ..package import Package
    from .layer import File

_COMPILED = re.compile(r"(?P<folder>(?:.*/)?)__pycache__/(?P<name>[^/]+?)\.[^/.]+(?:\.opt-[^/.]+)?\.pyc")

_NOBODYS = frozenset({"site-packages", "dist-packages", "node_modules"})
"""Folders into which anybody installs: what lies there without a package is not of whoever has the folder."""

_SETTINGS = "etc/"


class By(StrEnum):
    """Who explains a file."""

    ARTIFACT = "artifact"
    """It is an artifact of this workspace, by its digest."""
    SYSTEM = "system package"
    """A package of the distribution says that it is its own, and knows these bytes, where it knows any."""
    LANGUAGE = "language package"
    """A package of a language's package manager says so."""
    PROGRAM = "program"
    """What its linker wrote into it says what it is made of."""
    SOURCE = "source"
    """It has the bytes of a file that the image was built from."""
    METADATA = "metadata"
    """A package manager keeps it for itself."""
    EMPTY = "empty"
    """It holds nothing, so there is nothing to explain; that an empty file is among the sources says nothing of it."""
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One regular file of an image.

    Attributes:
        path: from the root; `package.shown` makes text of a name that is no UTF-8.
        by: who explains it. name: of that, as its package URL, the artifact's name or the path of the source.
        altered: the package whose file it should be by its path, and is not: it has other bytes than the package knows,
            or a later layer brought it, and what the package knows of its bytes can't tell.
        layer: the index of the layer that it is from.
        program: it may be executed by its mode, or is ELF or WebAssembly.
    """

    path: str
    by: By
    name: str | None
    altered: str | None
    size: int
    sha256: str
    layer: int
    program: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What an image holds.

    Attributes:
        look: what was found in it.
        files: every regular file, sorted by path.
    """

    look: Look
    files: tuple[Explained, ...]

    @property
    def unexplained(self) -> tuple[Explained, ...]:
        """The files that nobody explains."""
        return tuple(file for file in self.files if file.by is By.NOBODY)


def survey(
    layout: Layout, manifest: Manifest, known: Mapping[str, str], sources: Mapping[str, str] | None = None
) -> Survey:
    """Look into an image and explain its files.

    `known` has the workspace's artifacts by sha256 in hex, with their names, and `sources` the files that the image was
    built from, with their paths.

    Raises:
        UnreadableError: a layer is missing, damaged, or larger than is read of one.
        VerificationError: a layer's bytes are not those that the manifest names.
    """
    return explain(look(layout, manifest), known, sources or {})


def explain(found: Look, known: Mapping[str, str], sources: Mapping[str, str]) -> Survey:
    """Explain the files of an image that was looked into (`survey`)."""
    folders = {package.folder: package for package in found.packages if package.folder is not None}
    return Survey(
        look=found,
        files=tuple(
            _explained(path, file, found, folders, known, sources) for path, file in sorted(found.files.items())
        ),
    )


def _explained(
    path: str,
    file: File,
    found: Look,
    folders: Mapping[str, Package],
    known: Mapping[str, str],
    sources: Mapping[str, str],
) -> Explained:
    claims = found.owned.get(path, ())
    owner = next((package for package, digest in claims if _is_of(path, file, package, digest, found)), None)
    altered = claims[0][0] if claims and owner is None else None
    if altered is None and owner is None:
        owner = _by_place(path, file, found, folders)
    by, name = By.NOBODY, None
    if file.size and file.sha256 in known:
        by, name = By.ARTIFACT, known[file.sha256]
    elif owner is not None:
        by, name = By.SYSTEM if owner.system else By.LANGUAGE, owner.component.ref
    elif linked := found.linked.get(path):
        by, name = By.PROGRAM, linked[0].main.ref
    elif not file.size:
        by = By.EMPTY
    elif file.sha256 in sources:
        by, name = By.SOURCE, sources[file.sha256]
    elif not file.program and is_metadata(path):
        by = By.METADATA
    return Explained(
        path=path,
        by=by,
        name=name,
        altered=altered.component.ref if altered else None,
        size=file.size,
        sha256=file.sha256,
        layer=file.layer,
        program=file.program,
    )


def _is_of(path: str, file: File, package: Package, digest: str | None, found: Look) -> bool:
    """Tell whether a file is the one that a package has at its path, and not one that was put there since.

    Where its bytes can't tell, its layer does, as a package manager writes its database whenever it installs anything.
    Settings are there to be changed.
    """
    match _holds(file, digest):
        case None:
            return path.startswith(_SETTINGS) or not _is_later(file, package, found)
        case holds:
            return holds


def _is_later(file: File, package: Package, found: Look) -> bool:
    """Tell whether a file came in a layer after the one that last wrote what lists the package."""
    return file.layer > found.files[package.database].layer


def _holds(file: File, digest: str | None) -> bool | None:
    """Tell whether a file has the bytes that its package knows; `None`: that is not known.

    Of files that are no programs neither md5 nor sha1 was computed, by which most databases know files.
    """
    if digest is None:
        return None
    algorithm, _, value = digest.partition(":")
    match algorithm:
        case "sha256":
            return file.sha256 == value
        case "md5" | "sha1" if file.weak is not None:
            return file.weak[algorithm == "sha1"] == value
        case _:
            return None


def _by_place(path: str, file: File, found: Look, folders: Mapping[str, Package]) -> Package | None:
    """Return the package whose folder the file is in, the nearest, or whose module it was compiled from."""
    if not file.program and (match := _COMPILED.fullmatch(path)):
        claims = found.owned.get(f"{match['folder']}{match['name']}.py")
        if claims:
            return claims[0][0]
    folder = posixpath.dirname(path)
    while folder and posixpath.basename(folder) not in _NOBODYS:
        if package := folders.get(folder):
            return None if _is_later(file, package, found) else package
        folder = posixpath.dirname(folder)
    return None
