from __future__ import annotations

from doit_provenance.provenance.sbom.image.package import Package
from doit_provenance.provenance.sbom.image.relations import edges
from doit_provenance.provenance.sbom.inventory import Component, Kind, Role


def package(name: str, *requires: tuple[str, ...], provides: tuple[str, ...] = ()) -> Package:
    return Package(
        component=Component(ref=f"pkg:{name}", kind=Kind.LIBRARY, role=Role.CONTAINED, name=name),
        system=True,
        database="db",
        provides=frozenset({name, *provides}),
        requires=requires,
    )


def test_what_is_installed_is_what_is_used() -> None:
    found = edges(
        [
            package("tea", ("absent", "water"), ("heat",), ("tea",), ("nowhere",)),
            package("water", provides=("heat",)),
            package("kettle", ("tea",), provides=("heat",)),
        ]
    )
    assert found == {"pkg:tea": {"pkg:water"}, "pkg:water": set(), "pkg:kettle": {"pkg:tea"}}


def test_one_package_in_two_places_uses_what_either_does() -> None:
    found = edges([package("a", ("b",)), package("a", ("c",)), package("b"), package("c")])
    assert found["pkg:a"] == {"pkg:b", "pkg:c"}
