"""What is declared of a binary follows what the user sets, as far as it can have an effect."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import InputChangedError
from doit_provenance.tasks.cargo.builder import CargoBuilder
from doit_provenance.tasks.context import Context
from doit_provenance.tasks.memory import ShortMemory
from doit_provenance.tasks.pipeline import build as pipeline
from doit_provenance.tasks.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from doit_provenance.tasks.freshness.inputs import Declared

HOST = "x86_64-unknown-linux-gnu"
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


@pytest.fixture
def tools(cargo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put cargo, rustc and some programs that can be asked for on the path."""
    folder = tmp_path / "sysroot" / "bin"
    folder.mkdir(parents=True)
    for name in ("cargo", "rustc", "cc", "wrap", "mold"):
        _program(folder / name)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("CARGO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RUSTUP_HOME", str(tmp_path / "rustup"))
    for name in ("RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTUP_TOOLCHAIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("doit_provenance.tasks.freshness.inputs._TICK", 0)
    _ship(cargo)
    return folder


def _program(path: Path, text: str | None = None) -> None:
    path.write_text(path.name if text is None else text)
    path.chmod(0o755)


def _ship(cargo: Any) -> None:
    """Ship `tea`, which uses `leaf` of the registry, and `mug`, which uses `glaze`."""
    places = {name: cargo.package(name) for name in ("mug", "tea")}
    (cargo.root / "Cargo.toml").write_text('[workspace]\nmembers = ["*"]\n')
    packages = "".join(
        f'[[package]]\nname = "{n}"\nversion = "1.0.0"\nsource = "{REGISTRY}"\nchecksum = "{n}"\n'
        for n in ("leaf", "glaze")
    )
    (cargo.root / "Cargo.lock").write_text(f"version = 4\n{packages}")
    units = [_unit(f"path+file://{places['mug']}#mug@0.1.0", "mug", "bin", 2)]
    units += [_unit(f"path+file://{places['tea']}#tea@0.1.0", "tea", "bin", 3)]
    units += [_unit(f"{REGISTRY}#{name}@1.0.0", name, "lib") for name in ("glaze", "leaf")]
    cargo.units = {"version": 1, "units": units, "roots": [0, 1]}


def _unit(package: str, name: str, kind: str, *uses: int) -> dict[str, Any]:
    return {
        "pkg_id": package,
        "target": {"kind": [kind], "name": name, "src_path": f"/s/{name}.rs", "edition": "2021"},
        "profile": {"opt_level": "3", "panic": "unwind", "debug_assertions": False, "overflow_checks": False},
        "platform": None,
        "mode": "build",
        "features": [],
        "dependencies": [{"index": i, "extern_crate_name": f"c{i}", "public": False, "noprelude": False} for i in uses],
    }


def _declared(context: Context) -> Mapping[str, Declared]:
    builder = CargoBuilder(context)
    return {a.name: builder.declare(a) for a in builder.discover()}


def _differences(before: Mapping[str, Declared], after: Mapping[str, Declared]) -> dict[str, set[str]]:
    found = {}
    for name, one in after.items():
        keys = one.values.keys() | before[name].values.keys()
        found[name] = {of for of in keys if one.values.get(of) != before[name].values.get(of)}
    return found


def test_what_is_declared(cargo: Any, configured: Any, tools: Path) -> None:
    found = _declared(configured())
    assert set(found["tea"].values) == {
        *("setting:folders", "setting:profile", "setting:rustflags", "setting:target", "setting:tool"),
        *("setting:tea/Cargo.toml", "resolution:cargo", "tool:cargo", "tool:rustc", f"tool:linker {HOST}"),
    }
    assert found["tea"].values["tool:rustc"].startswith("1.95.0 abcdef sha256:")
    assert (found["tea"].values["setting:profile"], found["tea"].values["setting:target"]) == ("release", "host")
    assert {"file:.cargo/config.toml", "file:rust-toolchain.toml", "variable:RUSTC_BOOTSTRAP"} <= set(
        found["tea"].measured
    )
    everything = repr(found)
    assert str(cargo.root) not in everything
    assert str(tools) not in everything


@pytest.mark.parametrize(
    ("change", "differ"),
    [
        (lambda c, _: c.units["units"][2].update(features=["x"]), {"mug": {"resolution:cargo"}, "tea": set()}),
        (
            lambda c, _: (c.root / "mug/Cargo.toml").write_text('[package]\nname = "mug"\ndescription = "x"\n'),
            {"mug": {"setting:mug/Cargo.toml"}, "tea": set()},
        ),
        (lambda _, tools: _program(tools / "cargo", "x"), {"mug": {"tool:cargo"}, "tea": {"tool:cargo"}}),
        (lambda _, tools: _program(tools / "rustc", "x"), {"mug": {"tool:rustc"}, "tea": {"tool:rustc"}}),
        (lambda _, tools: _program(tools / "cc", "x"), {n: {f"tool:linker {HOST}"} for n in ("mug", "tea")}),
        (lambda _, tools: _program(tools / "other", "x"), {"mug": set(), "tea": set()}),
    ],
    ids=["unit", "manifest", "cargo", "rustc", "linker", "other program"],
)
def test_what_differs_is_of_those_that_it_concerns(
    cargo: Any,
    configured: Any,
    tools: Path,
    change: Callable[[Any, Path], object],
    differ: dict[str, set[str]],
) -> None:
    before = _declared(configured())
    change(cargo, tools)
    assert _differences(before, _declared(configured())) == differ


def test_checksum_in_the_lock_file_is_of_those_that_it_concerns(cargo: Any, configured: Any, tools: Path) -> None:
    before = _declared(configured())
    lock = cargo.root / "Cargo.lock"
    lock.write_text(lock.read_text().replace('checksum = "leaf"', 'checksum = "another"'))
    assert _differences(before, _declared(configured())) == {"mug": set(), "tea": {"resolution:cargo"}}, tools


CONFIGURED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("RUSTC_WRAPPER=wrap", {}, "tool:rustc-wrapper"),
    ("CARGO_BUILD_RUSTC_WRAPPER=wrap", {}, "tool:rustc-wrapper"),
    ("", {"build": {"rustc-wrapper": "wrap"}}, "tool:rustc-wrapper"),
    ("RUSTC_WORKSPACE_WRAPPER=wrap", {}, "tool:rustc-workspace-wrapper"),
    ("", {"build": {"rustc-workspace-wrapper": "wrap"}}, "tool:rustc-workspace-wrapper"),
    ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=wrap", {}, f"tool:linker {HOST}"),
    ("", {"target": {HOST: {"linker": "wrap"}}}, f"tool:linker {HOST}"),
    ("", {"target": {"cfg(unix)": {"linker": "wrap"}}}, f"tool:linker {HOST}"),
    ("RUSTFLAGS=-C linker=wrap", {}, f"tool:linker {HOST}"),
    ("CARGO_ENCODED_RUSTFLAGS=-g\x1f-Clinker=wrap", {}, f"tool:linker {HOST}"),
)


@pytest.mark.parametrize("case", CONFIGURED, ids=lambda case: f"{case[0]} {case[1]}")
def test_programs_that_are_configured_count_by_their_bytes(
    cargo: Any, configured: Any, tools: Path, monkeypatch: pytest.MonkeyPatch, case: tuple[str, dict[str, Any], str]
) -> None:
    variable, cargo.config, key = case
    name, _, value = variable.partition("=")
    if name:
        monkeypatch.setenv(name, value)
    before = _declared(configured())
    _program(tools / "wrap", "another")
    assert _differences(before, _declared(configured())) == {"mug": {key}, "tea": {key}}


def test_empty_variable_is_no_wrapper(
    cargo: Any, configured: Any, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cargo.config = {"build": {"rustc-wrapper": "wrap"}}
    monkeypatch.setenv("RUSTC_WRAPPER", "")
    assert "tool:rustc-wrapper" not in _declared(configured())["tea"].values, tools


def test_wrapper_that_is_not_there(cargo: Any, configured: Any, tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its coming counts."""
    monkeypatch.setenv("RUSTC_WRAPPER", "gone")
    before = _declared(configured())
    assert before["tea"].values["tool:rustc-wrapper"] == "absent"
    _program(tools / "gone")
    assert _differences(before, _declared(configured()))["tea"] == {"tool:rustc-wrapper"}, cargo


def test_tools_that_stand_for_cargo(cargo: Any, configured: Any, tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSS_CONTAINER_UID", "0")
    cross = _declared(configured('[cargo]\ntool = "cross"\n'))["tea"]
    assert {"variable:CROSS_CONTAINER_UID", "file:Cross.toml"} <= set(cross.measured)
    assert cross.values["tool:cross"] == "absent"
    _program(tools / "cross")
    assert _declared(configured('[cargo]\ntool = "cross"\n'))["tea"].values["tool:cross"] != "absent"
    zig = _declared(configured('[cargo]\ntool = "cargo-zigbuild"\n'))["tea"]
    assert {"tool:cargo-zigbuild", "tool:zig"} <= set(zig.values)
    assert "variable:CARGO_ZIGBUILD_ZIG_PATH" in zig.measured
    assert cargo.builds() == []


def test_linux_looks_for_no_apple(configured: Any, tools: Path) -> None:
    found = _declared(configured())["tea"].measured
    assert "variable:LIBRARY_PATH" in found, tools
    assert "variable:SDKROOT" not in found
    other = _declared(configured('[cargo]\ntargets = ["aarch64-apple-darwin"]\n'))["tea"].measured
    assert "variable:SDKROOT" in other


def test_second_run_asks_nobody(cargo: Any, configured: Any, tools: Path) -> None:
    """And a first one asks once for all binaries."""
    memory = ShortMemory()
    context = configured()
    first = _declared(
        Context(workspace=Workspace(root=context.workspace.root, config=context.workspace.config), memory=memory)
    )
    assert len([argv for argv, _ in cargo.calls if "--unit-graph" in argv]) == 1
    cargo.calls.clear()
    assert (
        _declared(
            Context(workspace=Workspace(root=context.workspace.root, config=context.workspace.config), memory=memory)
        )
        == first
    )
    assert cargo.calls == [], tools


def test_dependencies_that_can_not_be_resolved_are_unknown(cargo: Any, configured: Any, tools: Path) -> None:
    """So nothing passes for fresh, and cargo says itself what is wrong when it is asked to build."""
    memory = ShortMemory()
    context = configured()
    before = _declared(
        Context(workspace=Workspace(root=context.workspace.root, config=context.workspace.config), memory=memory)
    )
    (cargo.root / "Cargo.lock").write_text("broken")
    after = _declared(
        Context(workspace=Workspace(root=context.workspace.root, config=context.workspace.config), memory=memory)
    )
    assert _differences(before, after) == {"mug": {"resolution:cargo"}, "tea": {"resolution:cargo"}}, tools
    assert after["tea"].values["resolution:cargo"] == "unknown"
    assert "setting:tea/Cargo.toml" not in _declared(configured())["tea"].values


def test_nothing_of_the_workspace_is_written(cargo: Any, configured: Any, tools: Path) -> None:
    context = configured()
    before = sorted(os.fspath(p) for p in cargo.root.rglob("*"))
    _declared(context)
    assert sorted(os.fspath(p) for p in cargo.root.rglob("*")) == before
    (graph,) = [argv for argv, _ in cargo.calls if "--unit-graph" in argv]
    scratch = graph[graph.index("--target-dir") + 1]
    assert not scratch.startswith(str(cargo.root)), tools
    assert not os.path.exists(scratch)  # noqa: PTH110 - a path as cargo was given it


@pytest.mark.parametrize("entry", [None, [], {"basis": 1}, {"basis": "x", "binaries": {}}, {"binaries": {"a": 1}}])
def test_memory_holds_something_else(cargo: Any, configured: Any, tools: Path, entry: Any) -> None:
    memory = ShortMemory()
    for what in ("resolved", "graph"):
        memory.put(f"cargo.{what}:cargo@{HOST}/release", entry)
    context = configured()
    found = _declared(
        Context(workspace=Workspace(root=context.workspace.root, config=context.workspace.config), memory=memory)
    )
    assert found == _declared(configured()), tools
    assert json.dumps(memory.get(f"cargo.graph:cargo@{HOST}/release"))
    assert cargo.calls


@pytest.mark.parametrize("name", ["mug/Cargo.toml", ".cargo/config.toml", "Cargo.toml"])
def test_build_after_an_edit_that_discovery_did_not_see_is_refused(
    cargo: Any, configured: Any, tools: Path, name: str
) -> None:
    """What was found would no longer be what is built."""
    builder = CargoBuilder(configured())
    artifacts = [a for a in builder.discover() if a.name == "tea"]
    (cargo.root / name).parent.mkdir(exist_ok=True)
    (cargo.root / name).write_text("# changed\n")
    with pytest.raises(InputChangedError, match="an input changed while it was being built"):
        pipeline.build(builder.context, builder, artifacts[0].group, artifacts)
    assert cargo.builds() == [], tools


@pytest.mark.parametrize("name", ["Cargo.lock", "mug/build.rs", "mug/Cargo.toml", ".cargo/config.toml"])
def test_edit_while_cargo_builds_is_refused(cargo: Any, configured: Any, tools: Path, name: str) -> None:
    builder = CargoBuilder(configured())
    artifacts = [a for a in builder.discover() if a.name == "tea"]
    out = cargo.root / "target" / "release"
    out.mkdir(parents=True)

    def build() -> None:
        (out / "tea").write_text("the program")
        (out / "tea.d").write_text("tea:\n")
        (cargo.root / name).parent.mkdir(exist_ok=True)
        (cargo.root / name).write_text("# changed\n")

    cargo.during = build
    unit = cargo.units["units"][1]
    cargo.messages = [
        {
            "reason": "compiler-artifact",
            "package_id": unit["pkg_id"],
            "manifest_path": str(cargo.root / "tea" / "Cargo.toml"),
            **{key: unit[key] for key in ("target", "profile", "features")},
            "filenames": [str(out / "tea")],
            "executable": str(out / "tea"),
            "fresh": False,
        }
    ]
    with pytest.raises(InputChangedError, match=f"while it was being built: `.*{name}`"):
        pipeline.build(builder.context, builder, artifacts[0].group, artifacts)
    assert len(cargo.builds()) == 1, tools
