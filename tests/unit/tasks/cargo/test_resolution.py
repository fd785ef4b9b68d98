"""The digest of a binary's part of the unit graph changes with that part, and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from doit_provenance.provenance.errors import ToolError
from doit_provenance.provenance.sbom.cargo import Locked, PackageId
from doit_provenance.tasks.cargo.units import Resolutions, Unit, UnitGraph, UnitKey

REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def _unit(name: str, *uses: int, identity: str = "") -> Unit:
    return Unit(
        key=UnitKey(package=f"{REGISTRY}#{name}@1.0.0", kind="lib", target=name, features=(), profile=("3",)),
        mode="build",
        platform=None,
        edition="2021",
        source=Path("lib.rs"),
        panic="unwind",
        debug_assertions=False,
        overflow_checks=False,
        uses=tuple((f"crate_{index}", index) for index in uses),
        identity=identity or name,
    )


def _lock(**checksums: str) -> dict[PackageId, Locked]:
    return {
        PackageId(name=name, version="1.0.0", source=REGISTRY): Locked(checksum=checksum, commit=None)
        for name, checksum in checksums.items()
    }


UNITS = (_unit("tea", 2), _unit("mug", 2, 3), _unit("leaf"), _unit("glaze"))
LOCK = _lock(leaf="1", glaze="2")


def _digests(units: tuple[Unit, ...] = UNITS, lock: dict[PackageId, Locked] | None = None) -> list[str]:
    resolutions = Resolutions(UnitGraph(units=units, roots=(0, 1)), LOCK if lock is None else lock)
    return [resolutions.digest(0), resolutions.digest(1)]


def _differ(units: tuple[Unit, ...] = UNITS, lock: dict[PackageId, Locked] | None = None) -> list[bool]:
    return [one != other for one, other in zip(_digests(), _digests(units, lock), strict=True)]


def test_unit_of_both() -> None:
    assert _differ((*UNITS[:2], _unit("leaf", identity="other profile"), UNITS[3])) == [True, True]


def test_unit_of_one() -> None:
    assert _differ((*UNITS[:3], _unit("glaze", identity="other feature"))) == [False, True]


def test_checksum_of_one() -> None:
    assert _differ(lock=_lock(leaf="1", glaze="3")) == [False, True]
    assert _differ(lock=_lock(leaf="1")) == [False, True]


def test_package_of_nobody() -> None:
    assert _differ((*UNITS, _unit("spoon")), {**LOCK, **_lock(spoon="4")}) == [False, False]


def test_name_under_which_a_crate_is_used() -> None:
    other = replace(UNITS[0], uses=(("renamed", 2),))
    assert _differ((other, *UNITS[1:])) == [True, False]


def test_place_in_the_graph_does_not_matter() -> None:
    moved = (_unit("spoon"), _unit("leaf"), _unit("glaze"))
    units = (
        replace(UNITS[0], uses=(("crate_2", 3),)),
        replace(UNITS[1], uses=(("crate_3", 4), ("crate_2", 3))),
        *moved,
    )
    assert _digests(units) == _digests()


def test_deep_graphs_and_graphs_with_many_ways() -> None:
    depth = 3000
    chain = tuple(_unit(str(i), *range(i + 1, min(i + 3, depth))) for i in range(depth))
    assert len(_digests(chain)[0]) == 64


def test_circle_is_refused() -> None:
    with pytest.raises(ToolError, match="goes round in a circle"):
        _digests((_unit("tea", 1), _unit("mug", 0)))
