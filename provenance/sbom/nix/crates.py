"""Crates that a derivation was given: from the `Cargo.lock` among its inputs (nixpkgs' rustPlatform, crane)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..cargo import LOCK_LIMIT, component, package_url, parse_lock, read_lock
from ..inventory import Component, Role
from .archive import packed_file
from .output import is_store_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..cargo import Locked, PackageId
    from ..party import Party
    from .store import Derivation

_LOCK = "Cargo.lock"
_VARIABLES = ("cargoDeps", "cargoVendorDir", "src")
"""What names the crates and the sources, in this order: `rustPlatform.buildRustPackage`'s, crane's, everybody's."""
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".crate")
_PACKED = re.compile(r"[^/]+/Cargo\.lock")
_KNOWN_BY = "nix:known-by"
VENDORED = "Cargo.lock in the derivation's inputs"


@dataclass(frozen=True, slots=True, kw_only=True)
class VendoredLock:
    """A lock file that a derivation was given.

    Attributes:
        place: the store path that it lies in.
        packages: what it locks.
    """

    place: str
    packages: Mapping[PackageId, Locked]

    def components(self, project: Party, project_source: str | None) -> tuple[Component, ...]:
        """Return its crates as what the build was given: whether one is in an artifact the lock does not say.

        `project` ships the crates that are no registry's, and `project_source` is the address of its repository.
        """
        found: dict[str, Component] = {}
        for package, locked in self.packages.items():
            purl = package_url(package, locked, project_source)
            made = component(
                package,
                ref=purl,
                purl=purl,
                role=Role.INPUT,
                features=(),
                table={},
                locked=locked,
                project=project,
            )
            found[purl] = replace(made, properties={**made.properties, _KNOWN_BY: VENDORED})
        return tuple(found[purl] for purl in sorted(found))

    def with_checksum(self, part: Component) -> Component:
        """Give a crate that is known by its name the hash that the lock has of it, if it is one of the lock's."""
        sums = {
            locked.checksum
            for package, locked in self.packages.items()
            if package.name == part.name and package_url(package, locked, None) == part.purl
        }
        checksum = sums.pop() if len(sums) == 1 else None
        return replace(part, hashes={"sha256": checksum}) if checksum and not part.hashes else part


def vendored_lock(derivation: Derivation, derivations: Mapping[str, Derivation]) -> VendoredLock | None:
    """Return the lock file among the inputs of a derivation; `None`: there is none, or no longer in the store.

    Raises:
        UnreadableError: it is no lock file of cargo's.
    """
    for place in dict.fromkeys(_places(derivation, derivations)):
        path, store = Path(place, _LOCK), Path(place).parent
        if is_store_file(path, store):
            return VendoredLock(place=place, packages=read_lock(path))
        if not place.endswith(_ARCHIVES) or not is_store_file(Path(place), store):
            continue
        if data := packed_file(Path(place), _PACKED, LOCK_LIMIT):
            return VendoredLock(place=place, packages=parse_lock(data, _LOCK))
    return None


def taken(derivation: Derivation, derivations: Mapping[str, Derivation]) -> frozenset[str]:
    """Return the store paths that a derivation takes itself: its sources, and outputs of other derivations."""
    found = {*derivation.sources}
    for path, names in derivation.inputs.items():
        outputs = derivations[path].outputs if path in derivations else {}
        found.update(outputs[name].path for name in names if name in outputs)
    return frozenset(found - {""})


def _places(derivation: Derivation, derivations: Mapping[str, Derivation]) -> Iterator[str]:
    """Yield the store paths that may hold it, all of them inputs of the derivation."""
    inputs = taken(derivation, derivations)
    named = (derivation.environment.get(variable, "") for variable in _VARIABLES)
    yield from (path for path in named if path in inputs)
    yield from sorted(path for path in inputs if not path.endswith(_ARCHIVES))
