"""Attribute each file of an image to what explains it: a package, an artifact, a source, or nothing."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..package import Package
    from .layer import File
    from .scan import Scan

_COMPILED = re.compile(r"(?P<folder>(?:.*/)?)__pycache__/(?P<name>[^/]+?)\.[^/.]+(?:\.opt-[^/.]+)?\.pyc")

_SHARED_FOLDERS = frozenset({"site-packages", "dist-packages", "node_modules"})
"""Folders into which all packages install: the owner of such a folder does not own the files in it."""

_SETTINGS = "etc/"

_METADATA = re.compile(
    r"(?:usr/)?lib/apk/.*|etc/apk/(?:arch|repositories|world)|var/cache/apk/.*"
    r"|var/lib/(?:dpkg|apt|ucf|pam|systemd/deb-systemd-helper-enabled)/.*|var/cache/(?:apt|debconf|ldconfig|man)/.*"
    r"|var/log/(?:apt/.*|dpkg\.log|alternatives\.log|bootstrap\.log)|etc/alternatives/.*|var/lib/shells\.state"
    r"|(?:var/lib/rpm|usr/lib/sysimage/rpm|usr/share/rpm|var/lib/dnf|var/cache/dnf|var/lib/yum|var/cache/yum)/.*"
    r"|(?:.*/)?node_modules/\.(?:package-lock\.json|yarn-integrity|yarn-state\.yml|modules\.yaml)"
    r"|var/log/(?:dnf.*|hawkey\.log|yum\.log)"
    r"|(?:etc|usr/lib)/os-release|etc/ld\.so\.cache|etc/(?:passwd|group|shadow|gshadow|subuid|subgid)-?"
    r"|usr/share/mime/.*|usr/share/info/dir|var/lib/systemd/deb-systemd-user-helper-enabled/.*"
    r"|stargz\.index\.json|\.(?:no\.)?prefetch\.landmark"
    r"|etc/(?:hosts|hostname|resolv\.conf|machine-id|\.pwd\.lock)|\.dockerenv"
)


class AttributedTo(StrEnum):
    """What explains a file."""

    ARTIFACT = "artifact"
    """An artifact of this workspace has its digest."""
    SYSTEM = "system package"
    """A package of the distribution lists it, with its digest if the database has digests."""
    LANGUAGE = "language package"
    """A package of a language's package manager lists it."""
    PROGRAM = "program"
    """Its linker embedded what it was linked from."""
    SOURCE = "source"
    """A source file that the image was built from has its digest."""
    METADATA = "metadata"
    """It is metadata of a package manager."""
    EMPTY = "empty"
    """It has no content to explain; an empty file among the sources would prove nothing."""
    NOBODY = "nobody"
    """Nothing explains it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributedFile:
    """One regular file of an image.

    Attributes:
        path: from the root; `package.shown` escapes a name that is not UTF-8.
        attributed_to: what explains it. name: of that: package URL, artifact's name or path of the source.
        altered: the package that claims its path although the file differs: it has another digest, or, where the
            database has no usable digest, it was added in a later layer.
        layer: the index of the layer that it is from.
        program: executable by its mode, or ELF or WebAssembly.
    """

    path: str
    attributed_to: AttributedTo
    name: str | None
    altered: str | None
    size: int
    sha256: str
    layer: int
    program: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """The files of an image and what explains them.

    Attributes:
        scan: of the image.
        files: every regular file, sorted by path.
    """

    scan: Scan
    files: tuple[AttributedFile, ...]

    @property
    def unexplained(self) -> tuple[AttributedFile, ...]:
        """The files that nothing explains."""
        return tuple(file for file in self.files if file.attributed_to is AttributedTo.NOBODY)


def attribute(scan: Scan, artifacts: Mapping[str, str], sources: Mapping[str, str]) -> Attribution:
    """Attribute the files of an image.

    `artifacts` maps sha256 in hex to names of artifacts of the workspace, and `sources` to paths of the files that the
    image was built from.
    """
    folders = {package.folder: package for package in scan.packages if package.folder is not None}
    return Attribution(
        scan=scan,
        files=tuple(
            _explained(path, file, scan, folders, artifacts, sources) for path, file in sorted(scan.files.items())
        ),
    )


def _explained(
    path: str,
    file: File,
    scan: Scan,
    folders: Mapping[str, Package],
    artifacts: Mapping[str, str],
    sources: Mapping[str, str],
) -> AttributedFile:
    claims = scan.owned.get(path, ())
    owner = next((package for package, digest in claims if _is_of(path, file, package, digest, scan)), None)
    altered = claims[0][0] if claims and owner is None else None
    if altered is None and owner is None:
        owner = _by_folder(path, file, scan, folders)
    attributed_to, name = AttributedTo.NOBODY, None
    if file.size and file.sha256 in artifacts:
        attributed_to, name = AttributedTo.ARTIFACT, artifacts[file.sha256]
    elif owner is not None:
        attributed_to, name = AttributedTo.SYSTEM if owner.system else AttributedTo.LANGUAGE, owner.component.ref
    elif linked := scan.linked.get(path):
        attributed_to, name = AttributedTo.PROGRAM, linked[0].main.ref
    elif not file.size:
        attributed_to = AttributedTo.EMPTY
    elif file.sha256 in sources:
        attributed_to, name = AttributedTo.SOURCE, sources[file.sha256]
    elif not file.program and is_metadata(path):
        attributed_to = AttributedTo.METADATA
    return AttributedFile(
        path=path,
        attributed_to=attributed_to,
        name=name,
        altered=altered.component.ref if altered else None,
        size=file.size,
        sha256=file.sha256,
        layer=file.layer,
        program=file.program,
    )


def _is_of(path: str, file: File, package: Package, digest: str | None, scan: Scan) -> bool:
    """Tell whether a file is the one that a package installed at its path, and was not replaced since.

    If its digest can't be compared, its layer decides, since a package manager writes its database on each
    installation. Configuration files may be changed.
    """
    same = _same_digest(file, digest)
    return (path.startswith(_SETTINGS) or not _is_later(file, package, scan)) if same is None else same


def _is_later(file: File, package: Package, scan: Scan) -> bool:
    """Tell whether a file was added in a later layer than the one that last wrote the package's database."""
    return file.layer > scan.files[package.database].layer


def _same_digest(file: File, digest: str | None) -> bool | None:
    """Tell whether a file has the digest in its package's database; `None` if they can't be compared.

    Most databases have md5 or sha1, which were computed of programs only.
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


def _by_folder(path: str, file: File, scan: Scan, folders: Mapping[str, Package]) -> Package | None:
    """Return the package of the nearest enclosing folder, or of the module that the file was compiled from."""
    if not file.program and (match := _COMPILED.fullmatch(path)):
        claims = scan.owned.get(f"{match['folder']}{match['name']}.py")
        if claims:
            return claims[0][0]
    folder = posixpath.dirname(path)
    while folder and posixpath.basename(folder) not in _SHARED_FOLDERS:
        if package := folders.get(folder):
            return None if _is_later(file, package, scan) else package
        folder = posixpath.dirname(folder)
    return None


def is_metadata(path: str) -> bool:
    """Tell whether a path is one that package managers and what they run write for themselves.

    Programs are not exempted by this (`attribute`); keys and certificates, which decide on trust, are not among them.
    """
    return _METADATA.fullmatch(path) is not None
