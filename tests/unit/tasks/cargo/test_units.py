from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.cargo import units
from doit_provenance.tasks.cargo.toolchain import Toolchain, ToolQueries
from doit_provenance.tasks.cargo.units import UnitGraph, read_units

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
