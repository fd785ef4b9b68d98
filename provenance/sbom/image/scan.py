"""Scan an image: its files, the distribution, the installed packages, and what linkers embedded in its programs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...errors import VerificationError
from ..inventory import Component, Kind, Role
from ..package import Distribution, Package, Unread
from ..party import Party
from ..program.embedded import linked_contents
from . import apk, dpkg, nix, node, python, rpm, runtime
from .layer import Allowance, File, Limits, read_layer
from .rootfs import Rootfs

if TYPE_CHECKING:
    from ...oci.layout import Layout
    from ...oci.model import Descriptor, Manifest
    from ..package import Reader
    from ..program.linked import Linked

_ARCHIVE = re.compile(r"application/vnd\.(?:oci\.image\.layer|docker\.image\.rootfs)\..*(?:tar|tar[.+](?:gzip|zstd))")
_TITLE = "org.opencontainers.image.title"
_LIBRARY_FOLDERS = re.compile(r"(?:usr/(?:local/)?)?lib(?:32|64)?/(?:[^/]+-linux-[^/]+/)?[^/]+")
"""Default search path of loaders (ld.so(8), musl's `path`)."""
_OS_RELEASES = ("etc/os-release", "usr/lib/os-release")
"""In this order; the first that exists counts."""
_OS_RELEASE = re.compile("|".join(map(re.escape, _OS_RELEASES)))
_ASSIGNMENT = re.compile(r"""([A-Z][A-Z0-9_]*)=(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S*))\s*""")
_ESCAPED = re.compile(r"\\(.)")
_DISTRIBUTION_ID = re.compile(r"[a-z0-9._-]+\Z")
_DATABASES = (*_OS_RELEASES, "lib/apk/db/installed", "var/lib/dpkg/status", "var/lib/rpm/rpmdb.sqlite")

_READERS: tuple[Reader, ...] = (apk, dpkg, rpm, node, python, runtime)
"""Distributions first: if two packages claim a file, it belongs to the distribution's."""

FILE_LIMIT = 16 << 20
"""Bytes of a file that describes one package."""
TEXT_LIMIT = 48 << 20
"""Bytes of a text that lists all packages of a system; that of a desktop has five megabytes."""
DATABASE_LIMIT = 192 << 20
"""Bytes of RPM's database, which has some hundred megabytes on the largest systems."""

_TEXT = re.compile(r".*/(?:installed|status)")
_DATABASE = re.compile(r".*/(?:rpmdb\.sqlite|Packages(?:\.db)?)")
_WANTED = re.compile("|".join(pattern.pattern for pattern in (_OS_RELEASE, *(reader.WANTED for reader in _READERS))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The contents of one image.

    Attributes:
        layers: digests, the lowest first.
        files: by path, as a container sees them.
        packages: installed packages, the distribution's first.
        linked: contents of programs as their linkers embedded them, by path.
        libraries: names of shared libraries on the loader's default search path, to the path of the file.
        owned: paths to the packages that claim the file, each with the digest in the package's database.
        unread: sources of package information that could not be read.
    """

    layers: tuple[str, ...]
    files: Mapping[str, File]
    distribution: Distribution | None
    packages: tuple[Package, ...]
    linked: Mapping[str, tuple[Linked, ...]]
    libraries: Mapping[str, str]
    owned: Mapping[str, tuple[tuple[Package, str | None], ...]]
    unread: tuple[Unread, ...]


def scan(layout: Layout, manifest: Manifest, limits: Limits | None = None) -> Scan:
    """Scan an image, reading each layer once.

    Raises:
        UnreadableError: a layer is missing or damaged, or exceeds a limit.
        VerificationError: a layer does not match its digest in the manifest.
    """
    rootfs, others, foreign = _rootfs(layout, manifest, limits or Limits())
    kept = _Kept(rootfs)
    distribution = next(filter(None, (read_os_release(kept[p]) for p in _OS_RELEASES if p in kept)), None)
    unread = [*_not_kept(rootfs), *(Unread(path=d, reason="a layer that need not be part of it") for d in foreign)]
    packages = _without_packaged_runtimes(rootfs, (*_read(kept, distribution, unread), *_store_paths(rootfs)))
    files = {path: file if file.data is None else replace(file, data=None) for path, file in sorted(rootfs.files())}
    for name, file in others:
        files[name if name not in files else f"{name}@sha256:{file.sha256}"] = file
    return Scan(
        layers=tuple(layer.digest for layer in manifest.layers),
        files=files,
        distribution=distribution,
        packages=packages,
        linked=dict(_linked(files, unread)),
        libraries=_libraries(rootfs),
        owned=_owned(rootfs, packages),
        unread=tuple(dict.fromkeys(unread)),
    )


def _rootfs(layout: Layout, manifest: Manifest, limits: Limits) -> tuple[Rootfs, list[tuple[str, File]], list[str]]:
    """Return the tree of all layers that are archives, the others as files, and digests of absent foreign layers."""
    rootfs, allowance = Rootfs(limits), Allowance.of(limits)
    others: list[tuple[str, File]] = []
    foreign: list[str] = []
    for index, descriptor in enumerate(manifest.layers):
        if descriptor.is_foreign and not layout.has(descriptor):
            foreign.append(descriptor.digest)
        elif _ARCHIVE.fullmatch(descriptor.media_type):
            with layout.blob(descriptor) as blob:
                layer = read_layer(blob, index=index, digest=descriptor.digest, wanted=wanted_size, allowance=allowance)
            if layer.sha256 != descriptor.sha256:
                raise VerificationError(f"layer `{descriptor.digest}` has other bytes: sha256:{layer.sha256}")
            rootfs.apply(layer, descriptor.digest)
        else:
            others.append(_single_file(descriptor, index))
    return rootfs, others, foreign


def _single_file(descriptor: Descriptor, index: int) -> tuple[str, File]:
    """Return a layer that is not an archive as a single file, which is how artifacts other than images store content.

    Engines ignore such layers, so it is listed in addition to the tree and never replaces a file in it.
    """
    name = descriptor.annotations.get(_TITLE, descriptor.digest).strip("/").replace("/", "-") or descriptor.digest
    # Its content is unknown and may be anything, so it counts as a program and is listed if nothing explains it.
    return name, File(size=descriptor.size, mode=0, sha256=descriptor.sha256, layer=index, program=True)


class _Kept(Mapping[str, bytes]):
    """The contents kept for readers, by path; lookups resolve symbolic links as in a container."""

    def __init__(self, rootfs: Rootfs) -> None:
        self._rootfs = rootfs
        self._paths = tuple(sorted(path for path, file in rootfs.files() if file.data is not None))

    def __getitem__(self, path: str) -> bytes:
        entry = self._rootfs.find(path)
        if entry is None or entry[1].data is None:
            raise KeyError(path)
        return entry[1].data

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


class _ReaderView(Mapping[str, bytes]):
    """Iterates over the kept files that one reader wants; lookups by path reach all kept files."""

    def __init__(self, kept: _Kept, reader: Reader) -> None:
        self._kept = kept
        self._paths = tuple(path for path in kept if reader.WANTED.fullmatch(path))

    def __getitem__(self, path: str) -> bytes:
        return self._kept[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def _read(kept: _Kept, distribution: Distribution | None, unread: list[Unread]) -> Iterator[Package]:
    for reader in _READERS:
        for entry in reader.read(_ReaderView(kept, reader), distribution):
            if isinstance(entry, Unread):
                unread.append(entry)
            else:
                yield entry


def _store_paths(rootfs: Rootfs) -> Iterator[Package]:
    """Yield the paths of a Nix store; files added in a later layer than the first do not belong to them."""
    first: dict[str, tuple[int, str]] = {}
    for path, file in rootfs.files():
        if base := nix.base_of(path):
            first[base] = min(first.get(base, (file.layer, path)), (file.layer, path))
    for package in nix.store_paths({path: file.names for path, file in rootfs.files()}, rootfs.links()):
        base = nix.base_of(package.database)
        yield replace(package, database=first[base][1]) if base in first else package


def _without_packaged_runtimes(rootfs: Rootfs, packages: tuple[Package, ...]) -> tuple[Package, ...]:
    """Drop runtimes whose version file a package of the distribution owns: that package is the runtime."""
    system = _owned(rootfs, tuple(package for package in packages if package.system))
    return tuple(p for p in packages if p.component.kind is not Kind.APPLICATION or p.database not in system)


def _not_kept(rootfs: Rootfs) -> Iterator[Unread]:
    """Yield wanted files that were not kept: too large, or outside the expected folder, behind a link."""
    for path, file in rootfs.files():
        if file.unread:
            yield Unread(path=path, reason="larger than is read of such a file")
    for path in _DATABASES:
        entry = rootfs.find(path)
        if entry is not None and entry[1].data is None and not entry[1].unread:
            yield Unread(path=path, reason="a link to where such a file is not looked for")


def _linked(files: Mapping[str, File], unread: list[Unread]) -> Iterator[tuple[str, tuple[Linked, ...]]]:
    for path, file in files.items():
        if file.embedded is None:
            continue
        contents, reasons = linked_contents(file.embedded)
        unread.extend(Unread(path=path, reason=reason) for reason in reasons)
        if contents:
            yield path, contents


def _libraries(rootfs: Rootfs) -> Mapping[str, str]:
    libraries: dict[str, str] = {}
    for path in sorted([*(path for path, _ in rootfs.files()), *(path for path, _ in rootfs.links())]):
        name = path.rpartition("/")[2]
        shared = name.endswith(".so") or ".so." in name
        if shared and _LIBRARY_FOLDERS.fullmatch(path) and (entry := rootfs.find(path)):
            libraries.setdefault(name, entry[0])
    return libraries


def _owned(rootfs: Rootfs, packages: tuple[Package, ...]) -> Mapping[str, tuple[tuple[Package, str | None], ...]]:
    owned: dict[str, list[tuple[Package, str | None]]] = {}
    for package in packages:
        for path, digest in package.files.items():
            if entry := rootfs.find(path):
                owned.setdefault(entry[0], []).append((package, digest))
    return {path: tuple(claims) for path, claims in owned.items()}


def wanted_size(path: str) -> int:
    """Return the largest size at which the file at `path` is kept for a reader; 0: not wanted."""
    if _WANTED.fullmatch(path) is None:
        return 0
    if _DATABASE.fullmatch(path):
        return DATABASE_LIMIT
    return TEXT_LIMIT if _TEXT.fullmatch(path) else FILE_LIMIT


def read_os_release(data: bytes) -> Distribution | None:
    """Return the distribution in an os-release file (os-release(5)); `None` if it has no valid `ID`."""
    names = _assignments(data.decode("utf-8", "replace"))
    id_ = names.get("ID", "")
    if not _DISTRIBUTION_ID.match(id_):
        return None
    version = names.get("VERSION_ID") or None
    homepage = names.get("HOME_URL") or None
    supplier = Party(name=names.get("NAME") or id_, url=homepage)
    component = Component(
        ref=f"os:{id_}@{version}" if version else f"os:{id_}",
        kind=Kind.OPERATING_SYSTEM,
        role=Role.CONTAINED,
        name=id_,
        version=version,
        supplier=supplier,
        authors=(supplier,),
        description=names.get("PRETTY_NAME") or None,
        homepage=homepage,
    )
    return Distribution(component=component, id=id_, version=version, supplier=supplier)


def _assignments(text: str) -> Mapping[str, str]:
    assignments = {}
    for row in text.splitlines():
        if match := _ASSIGNMENT.fullmatch(row.strip()):
            name, double, single, bare = match.groups()
            assignments[name] = (
                _ESCAPED.sub(r"\1", double) if double is not None else (single if bare is None else bare)
            )
    return assignments
