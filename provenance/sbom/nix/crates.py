"""Crates that were input to a derivation: from the `Cargo.lock` among its inputs (nixpkgs' rustPlatform, crane)."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...archive.decompress import Bounds, FileSource, decompressed
from ...archive.tar import TarReader, Type
from ...errors import UnreadableError
from ..cargo import LOCK_LIMIT, component, package_url, parse_lock, read_lock
from ..inventory import Component, Role
from .output import is_store_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..cargo import Locked, PackageId
    from ..party import Party
    from .store import Derivation

_LOCK = "Cargo.lock"
_VARIABLES = ("cargoDeps", "cargoVendorDir", "src")
"""Variables that name the crates or the sources, by priority: `rustPlatform.buildRustPackage`, crane, any builder."""
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".crate")
_PACKED = re.compile(r"[^/]+/Cargo\.lock")
_BOUNDS = Bounds(size=16 << 30, ratio=400)
_MEMBERS = 1_000_000
_KNOWN_BY = "nix:known-by"
VENDORED = "Cargo.lock in the derivation's inputs"


@dataclass(frozen=True, slots=True, kw_only=True)
class VendoredLock:
    """A lock file among the inputs of a derivation.

    Attributes:
        place: the store path that contains it.
        packages: its locked packages.
    """

    place: str
    packages: Mapping[PackageId, Locked]

    def components(self, project: Party, project_source: str | None) -> tuple[Component, ...]:
        """Return its crates as inputs of the build: the lock does not tell which of them an artifact contains.

        `project` supplies the crates that are from no registry, and `project_source` is the URL of its repository.
        """
        components: dict[str, Component] = {}
        for package, locked in self.packages.items():
            purl = package_url(package, locked, project_source)
            crate = component(
                package,
                ref=purl,
                purl=purl,
                role=Role.INPUT,
                features=(),
                table={},
                locked=locked,
                project=project,
            )
            components[purl] = replace(crate, properties={**crate.properties, _KNOWN_BY: VENDORED})
        return tuple(components[purl] for purl in sorted(components))

    def with_checksum(self, part: Component) -> Component:
        """Return a component with the lock's checksum, if it is one of the lock's crates and has no hash yet."""
        checksums = {
            locked.checksum
            for package, locked in self.packages.items()
            if package.name == part.name and package_url(package, locked, None) == part.purl
        }
        checksum = checksums.pop() if len(checksums) == 1 else None
        return replace(part, hashes={"sha256": checksum}) if checksum and not part.hashes else part


def vendored_lock(derivation: Derivation, derivations: Mapping[str, Derivation]) -> VendoredLock | None:
    """Return the lock file among the inputs of a derivation; `None`: it has none, or the store no longer does.

    Raises:
        UnreadableError: it is not a lock file of cargo.
    """
    for place in dict.fromkeys(_candidates(derivation, derivations)):
        path, store = Path(place, _LOCK), Path(place).parent
        if is_store_file(path, store):
            return VendoredLock(place=place, packages=read_lock(path))
        if not place.endswith(_ARCHIVES) or not is_store_file(Path(place), store):
            continue
        if data := packed_file(Path(place), _PACKED, LOCK_LIMIT):
            return VendoredLock(place=place, packages=parse_lock(data, _LOCK))
    return None


def direct_inputs(derivation: Derivation, derivations: Mapping[str, Derivation]) -> frozenset[str]:
    """Return the store paths that are direct inputs of a derivation: sources, and outputs of other derivations."""
    paths = {*derivation.sources}
    for path, names in derivation.inputs.items():
        outputs = derivations[path].outputs if path in derivations else {}
        paths.update(outputs[name].path for name in names if name in outputs)
    return frozenset(paths - {""})


def packed_file(path: Path, wanted: re.Pattern[str], limit: int) -> bytes | None:
    """Return the first file of a tar archive (plain, gzip or zstd) whose whole path matches; nothing is unpacked.

    nixpkgs packs vendored crates and some sources so. `None`: it is no such archive, is damaged before the file, does
    not contain it, or the file has more than `limit` bytes.
    """
    try:
        with path.open("rb") as stream, closing(decompressed(FileSource(stream), path.name, _BOUNDS)) as pieces:
            archive = TarReader(pieces, path.name)
            for count, member in enumerate(archive.members()):
                if count >= _MEMBERS:
                    return None
                if member.type is Type.FILE and wanted.fullmatch(member.path) is not None:
                    return b"".join(archive.content()) if member.size <= limit else None
    except (OSError, UnreadableError):
        return None
    return None


def _candidates(derivation: Derivation, derivations: Mapping[str, Derivation]) -> Iterator[str]:
    """Yield the store paths that may contain the lock, all of them inputs of the derivation."""
    inputs = direct_inputs(derivation, derivations)
    named = (derivation.environment.get(variable, "") for variable in _VARIABLES)
    yield from (path for path in named if path in inputs)
    yield from sorted(path for path in inputs if not path.endswith(_ARCHIVES))
