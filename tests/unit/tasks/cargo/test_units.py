"""Cargo's unit graph, and the digest of one binary's part of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from doit_provenance.provenance.errors import ToolError
from doit_provenance.provenance.sbom.cargo import Locked, PackageId
from doit_provenance.tasks.cargo import units
from doit_provenance.tasks.cargo.toolchain import Toolchain, ToolQueries
from doit_provenance.tasks.cargo.units import Resolutions, Unit, UnitGraph, UnitKey, read_units

PROFILE = {"opt_level": "3", "panic": "abort", "debug_assertions": False, "overflow_checks": True, "lto": "false"}


def _unit(name: str, kind: str, *uses: int, mode: str = "build", platform: str | None = None) -> dict[str, Any]:
    return {
        "pkg_id": f"path+file:///s/{name}#0.1.0",
        "target": {"kind": [kind], "name": name, "src_path": f"/s/{name}/src/x.rs", "edition": "2021"},
        "profile": PROFILE,
        "platform": platform,
        "mode": mode,
        "features": ["hot"],
        "dependencies": [{"index": index, "extern_crate_name": f"crate_{index}", "public": False} for index in uses],
    }


DOCUMENT = {
    "version": 1,
    "units": [
        _unit("tea", "bin", 1, 2, platform="x86_64-unknown-linux-musl"),
        _unit("leaf", "lib", 3),
        _unit("quill", "proc-macro"),
        _unit("leaf", "custom-build", mode="run-custom-build"),
    ],
    "roots": [0],
}


def _read(monkeypatch: pytest.MonkeyPatch, output: bytes) -> UnitGraph:
    monkeypatch.setattr(units, "capture", lambda *_, **__: output)
    return read_units(Toolchain(queries=ToolQueries(Path("/s"))), [], Path("/scratch"))


def test_reads_units_and_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = _read(monkeypatch, json.dumps(DOCUMENT).encode())
    tea, leaf, quill, script = graph.units
    assert graph.roots == (0,)
    assert (tea.is_binary, script.is_script) == (True, True)
    assert (leaf.is_binary, quill.is_binary, leaf.is_script) == (False, False, False)
    assert tea.uses == (("crate_1", 1), ("crate_2", 2))
    assert (tea.platform, leaf.platform) == ("x86_64-unknown-linux-musl", None)
    assert (tea.edition, tea.panic, tea.debug_assertions, tea.overflow_checks) == ("2021", "abort", False, True)
    assert tea.source == Path("/s/tea/src/x.rs")
    assert tea.key.features == ("hot",)


def test_asks_for_the_graph_of_the_same_call_in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[str], dict[str, Any]]] = []

    def capture(argv: list[str], **settings: Any) -> bytes:
        seen.append((argv, settings))
        return json.dumps(DOCUMENT).encode()

    monkeypatch.setattr(units, "capture", capture)
    read_units(Toolchain(queries=ToolQueries(Path("/s"))), ["--locked", "--bin", "tea"], Path("/scratch"))
    ((argv, settings),) = seen
    assert argv[:2] == ["cargo", "build"]
    assert "--unit-graph" in argv
    assert argv[argv.index("--target-dir") + 1] == "/scratch"
    assert argv[-3:] == ["--locked", "--bin", "tea"]
    assert settings["cwd"] == Path("/s")
    assert settings["env"]["RUSTC_BOOTSTRAP"] == "1"


def test_binary_is_found_among_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = _read(monkeypatch, json.dumps(DOCUMENT).encode())
    assert graph.binary("path+file:///s/tea#0.1.0", "tea") == 0
    for package, name in (("path+file:///s/tea#0.1.0", "leaf"), ("path+file:///s/other#0.1.0", "tea")):
        with pytest.raises(ToolError, match=f"has no binary `{name}`"):
            graph.binary(package, name)


def test_binary_that_is_not_a_root_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = _read(monkeypatch, json.dumps(DOCUMENT | {"roots": []}).encode())
    with pytest.raises(ToolError, match="has no binary `tea`"):
        graph.binary("path+file:///s/tea#0.1.0", "tea")


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch, version: object) -> None:
    with pytest.raises(ToolError, match="another version than 1"):
        _read(monkeypatch, json.dumps(DOCUMENT | {"version": version}).encode())


@pytest.mark.parametrize(
    "document",
    [
        {"version": 1},
        {"version": 1, "units": {}, "roots": []},
        {"version": 1, "units": [], "roots": 0},
        {"version": 1, "units": [], "roots": [0]},
        {"version": 1, "units": [7], "roots": []},
        {"version": 1, "units": [{}], "roots": []},
        DOCUMENT | {"roots": [4]},
        DOCUMENT | {"roots": [-1]},
        DOCUMENT | {"roots": ["one"]},
        DOCUMENT | {"roots": [None]},
        DOCUMENT | {"units": [_unit("tea", "bin", 1)]},
        DOCUMENT | {"units": [_unit("tea", "bin", -1)]},
        DOCUMENT | {"units": [_unit("tea", "bin") | {"dependencies": [7]}]},
        DOCUMENT | {"units": [_unit("tea", "bin") | {"dependencies": {}}]},
        DOCUMENT | {"units": [_unit("tea", "bin") | {"profile": {}}]},
        DOCUMENT | {"units": [_unit("tea", "bin") | {"target": "tea"}]},
        DOCUMENT | {"units": [_unit("tea", "bin") | {"features": None}]},
    ],
)
def test_another_shape_is_refused(monkeypatch: pytest.MonkeyPatch, document: object) -> None:
    with pytest.raises(ToolError, match="shape"):
        _read(monkeypatch, json.dumps(document).encode())


@pytest.mark.parametrize("output", [b"", b"warning: x", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_other_output_is_refused(monkeypatch: pytest.MonkeyPatch, output: bytes) -> None:
    with pytest.raises(ToolError, match="unit graph"):
        _read(monkeypatch, output)


def test_packages_that_take_part_in_a_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = _read(monkeypatch, json.dumps(DOCUMENT).encode())
    names = {p.partition("/s/")[2] for p in graph.packages(graph.reached(0))}
    assert names == {"tea#0.1.0", "leaf#0.1.0", "quill#0.1.0"}
    assert {p.partition("/s/")[2] for p in graph.packages(graph.reached(1))} == {"leaf#0.1.0"}


REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def _locked_unit(name: str, *uses: int, identity: str = "") -> Unit:
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


UNITS = (_locked_unit("tea", 2), _locked_unit("mug", 2, 3), _locked_unit("leaf"), _locked_unit("glaze"))
LOCK = _lock(leaf="1", glaze="2")


def _digests(units: tuple[Unit, ...] = UNITS, lock: dict[PackageId, Locked] | None = None) -> list[str]:
    resolutions = Resolutions(UnitGraph(units=units, roots=(0, 1)), LOCK if lock is None else lock)
    return [resolutions.digest(0), resolutions.digest(1)]


def _differ(units: tuple[Unit, ...] = UNITS, lock: dict[PackageId, Locked] | None = None) -> list[bool]:
    return [one != other for one, other in zip(_digests(), _digests(units, lock), strict=True)]


def test_unit_of_both() -> None:
    assert _differ((*UNITS[:2], _locked_unit("leaf", identity="other profile"), UNITS[3])) == [True, True]


def test_unit_of_one() -> None:
    assert _differ((*UNITS[:3], _locked_unit("glaze", identity="other feature"))) == [False, True]


def test_checksum_of_one() -> None:
    assert _differ(lock=_lock(leaf="1", glaze="3")) == [False, True]
    assert _differ(lock=_lock(leaf="1")) == [False, True]


def test_package_of_nobody() -> None:
    assert _differ((*UNITS, _locked_unit("spoon")), {**LOCK, **_lock(spoon="4")}) == [False, False]


def test_name_under_which_a_crate_is_used() -> None:
    other = replace(UNITS[0], uses=(("renamed", 2),))
    assert _differ((other, *UNITS[1:])) == [True, False]


def test_place_in_the_graph_does_not_matter() -> None:
    moved = (_locked_unit("spoon"), _locked_unit("leaf"), _locked_unit("glaze"))
    units = (
        replace(UNITS[0], uses=(("crate_2", 3),)),
        replace(UNITS[1], uses=(("crate_3", 4), ("crate_2", 3))),
        *moved,
    )
    assert _digests(units) == _digests()


def test_deep_graphs_and_graphs_with_many_ways() -> None:
    depth = 3000
    chain = tuple(_locked_unit(str(i), *range(i + 1, min(i + 3, depth))) for i in range(depth))
    assert len(_digests(chain)[0]) == 64


def test_circle_is_refused() -> None:
    with pytest.raises(ToolError, match="goes round in a circle"):
        _digests((_locked_unit("tea", 1), _locked_unit("mug", 0)))
