"""Which installed package uses which, from what each asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .package import Package


def edges(packages: Iterable[Package]) -> Mapping[str, set[str]]:
    """Return the `ref` of each package to the `ref`s of those installed ones that it asks for.

    Of alternatives the first that is installed counts, and so does the first package that provides a name. Which
    versions are asked for is not looked at: what is installed is what is used.
    """
    packages = tuple(packages)
    provider: dict[str, str] = {}
    for package in packages:
        for name in sorted(package.provides):
            provider.setdefault(name, package.component.ref)
    found: dict[str, set[str]] = {}
    for package in packages:
        uses = found.setdefault(package.component.ref, set())
        for alternatives in package.requires:
            ref = next((provider[name] for name in alternatives if name in provider), None)
            if ref is not None and ref != package.component.ref:
                uses.add(ref)
    return found
