"""One look into an image: its files, the packages installed in it, and what its programs say of themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...errors import VerificationError
from ..inventory import Kind
from ..package import Package, Unread
from ..program.embedded import linked_contents
from . import nix, os_release, readers
from .layer import Allowance, File, Limits, read_layer
from .rootfs import Rootfs

if TYPE_CHECKING:
    from ...oci.layout import Layout
    from ...oci.model import Descriptor, Manifest
    from ..package import Distribution, Reader
    from ..program.linked import Linked

_ARCHIVE = re.compile(r"application/vnd\.(?:oci\.image\.layer|docker\.image\.rootfs)\..*(?:tar|tar[.+](?:gzip|zstd))")
_TITLE = "org.opencontainers.image.title"
_LIBRARY_FOLDERS = re.compile(r"(?:usr/(?:local/)?)?lib(?:32|64)?/(?:[^/]+-linux-[^/]+/)?[^/]+")
"""Where loaders look without being told to (ld.so(8), musl's `path`)."""
_DATABASES = (*os_release.PATHS, "lib/apk/db/installed", "var/lib/dpkg/status", "var/lib/rpm/rpmdb.sqlite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was found in one image.

    Attributes:
        layers: digests, the lowest first.
        files: by their path, as a container sees them.
        packages: what package managers installed, the distribution's first.
        linked: what programs say of themselves, by their path.
        libraries: names of shared libraries that a loader finds by itself, to the path of the file.
        owned: paths to the packages that say that a file is theirs, and the digest that they know it by.
        unread: what lists packages and could not be read.
    """

    layers: tuple[str, ...]
    files: Mapping[str, File]
    distribution: Distribution | None
    packages: tuple[Package, ...]
    linked: Mapping[str, tuple[Linked, ...]]
    libraries: Mapping[str, str]
    owned: Mapping[str, tuple[tuple[Package, str | None], ...]]
    unread: tuple[Unread, ...]


def look(layout: Layout, manifest: Manifest, limits: Limits | None = None) -> Look:
    """Read an image, each layer once.

    Raises:
        UnreadableError: a layer is missing, damaged, or larger than is read of one.
        VerificationError: a layer's bytes are not those that the manifest names.
    """
    rootfs, others, elsewhere = _rootfs(layout, manifest, limits or Limits())
    kept = _Kept(rootfs)
    distribution = next(filter(None, (os_release.read(kept[p]) for p in os_release.PATHS if p in kept)), None)
    unread = [*_missed(rootfs), *(Unread(path=d, reason="a layer that need not be part of it") for d in elsewhere)]
    packages = _without_packaged_runtimes(rootfs, (*_read(kept, distribution, unread), *_store_paths(rootfs)))
    files = {path: file if file.data is None else replace(file, data=None) for path, file in sorted(rootfs.files())}
    for name, file in others:
        files[name if name not in files else f"{name}@sha256:{file.sha256}"] = file
    return Look(
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
    """Return the tree of all layers that are archives, the others as files, and the digests of those not there."""
    rootfs, allowance = Rootfs(limits), Allowance.of(limits)
    others: list[tuple[str, File]] = []
    elsewhere: list[str] = []
    for index, descriptor in enumerate(manifest.layers):
        if descriptor.is_foreign and not layout.has(descriptor):
            elsewhere.append(descriptor.digest)
        elif _ARCHIVE.fullmatch(descriptor.media_type):
            with layout.blob(descriptor) as blob:
                found = read_layer(
                    blob, index=index, digest=descriptor.digest, wanted=readers.wanted, allowance=allowance
                )
            if found.sha256 != descriptor.sha256:
                raise VerificationError(f"layer `{descriptor.digest}` has other bytes: sha256:{found.sha256}")
            rootfs.apply(found, descriptor.digest)
        else:
            others.append(_single(descriptor, index))
    return rootfs, others, elsewhere


def _single(descriptor: Descriptor, index: int) -> tuple[str, File]:
    """Return a layer that is no archive as the file that it is: so artifacts other than images hold what they hold.

    Engines pass it over, and so it stands beside the tree and takes nothing in there away, whatever it is called.
    """
    name = descriptor.annotations.get(_TITLE, descriptor.digest).strip("/").replace("/", "-") or descriptor.digest
    # What it is nobody has looked at, so it may be anything: it is listed if nobody explains it.
    return name, File(size=descriptor.size, mode=0, sha256=descriptor.sha256, layer=index, program=True)


class _Kept(Mapping[str, bytes]):
    """The bytes that were kept, by path; a path with links in it is followed as in a container."""

    def __init__(self, rootfs: Rootfs) -> None:
        self._rootfs = rootfs
        self._paths = tuple(sorted(path for path, file in rootfs.files() if file.data is not None))

    def __getitem__(self, path: str) -> bytes:
        found = self._rootfs.find(path)
        if found is None or found[1].data is None:
            raise KeyError(path)
        return found[1].data

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


class _Chosen(Mapping[str, bytes]):
    """Of what was kept the part that one reader wants; what it looks up by name it finds everywhere."""

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
    for reader in readers.READERS:
        for found in reader.read(_Chosen(kept, reader), distribution):
            if isinstance(found, Unread):
                unread.append(found)
            else:
                yield found


def _store_paths(rootfs: Rootfs) -> Iterator[Package]:
    """Yield the paths of a Nix store; what came to one in a later layer than its first file is not its own."""
    first: dict[str, tuple[int, str]] = {}
    for path, file in rootfs.files():
        if base := nix.base_of(path):
            first[base] = min(first.get(base, (file.layer, path)), (file.layer, path))
    for package in nix.store_paths({path: file.names for path, file in rootfs.files()}, rootfs.links()):
        base = nix.base_of(package.database)
        yield replace(package, database=first[base][1]) if base in first else package


def _without_packaged_runtimes(rootfs: Rootfs, packages: tuple[Package, ...]) -> tuple[Package, ...]:
    """Leave out runtimes that a package of the distribution is already: its file says so, and it knows the version."""
    system = _owned(rootfs, tuple(package for package in packages if package.system))
    return tuple(p for p in packages if p.component.kind is not Kind.APPLICATION or p.database not in system)


def _missed(rootfs: Rootfs) -> Iterator[Unread]:
    """Yield what a reader wants and was not kept: too large, or behind a link from where it should lie."""
    for path, file in rootfs.files():
        if file.unread:
            yield Unread(path=path, reason="larger than is read of such a file")
    for path in _DATABASES:
        found = rootfs.find(path)
        if found is not None and found[1].data is None and not found[1].unread:
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
    found: dict[str, str] = {}
    for path in sorted([*(path for path, _ in rootfs.files()), *(path for path, _ in rootfs.links())]):
        name = path.rpartition("/")[2]
        named = name.endswith(".so") or ".so." in name
        if named and _LIBRARY_FOLDERS.fullmatch(path) and (there := rootfs.find(path)):
            found.setdefault(name, there[0])
    return found


def _owned(rootfs: Rootfs, packages: tuple[Package, ...]) -> Mapping[str, tuple[tuple[Package, str | None], ...]]:
    found: dict[str, list[tuple[Package, str | None]]] = {}
    for package in packages:
        for path, digest in package.files.items():
            if there := rootfs.find(path):
                found.setdefault(there[0], []).append((package, digest))
    return {path: tuple(claims) for path, claims in found.items()}
