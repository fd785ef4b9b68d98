"""How rustc is asked what it loads, and what its answer means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.cargo.invoke import Messages, read_messages
from doit_provenance.tasks.cargo.observe import Loaded, observe
from doit_provenance.tasks.cargo.toolchain import Toolchain, ToolQueries
from doit_provenance.tasks.cargo.units import UnitGraph, read_units

if TYPE_CHECKING:
    from collections.abc import Sequence

MUSL = "x86_64-unknown-linux-musl"
PROFILE = {"opt_level": "3", "panic": "abort", "debug_assertions": False, "overflow_checks": True}


def _target(name: str, kind: str) -> dict[str, Any]:
    return {"kind": [kind], "name": name, "src_path": f"/s/{name}/main.rs", "edition": "2021"}


def _unit(name: str, kind: str, *uses: int, mode: str = "build", features: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "pkg_id": f"path+file:///s#{name}@0.1.0",
        "target": _target(name, kind),
        "profile": PROFILE,
        "platform": MUSL,
        "mode": mode,
        "features": list(features),
        "dependencies": [{"index": i, "extern_crate_name": f"extern_{i}"} for i in uses],
    }


def _message(unit: dict[str, Any], *files: str) -> dict[str, Any]:
    return {
        "reason": "compiler-artifact",
        "package_id": unit["pkg_id"],
        "manifest_path": "/s/Cargo.toml",
        "target": unit["target"],
        "profile": unit["profile"],
        "features": unit["features"],
        "filenames": list(files),
        "executable": None,
        "fresh": False,
    }


TEA = _unit("my-tea", "bin", 1, 2, 3, 4, features=["hot"])
LEAF = _unit("leaf", "lib")
DERIVE = _unit("derive", "proc-macro")
SCRIPT = _unit("my-tea", "custom-build", mode="run-custom-build")
POT = _unit("pot", "dylib")
UNITS = [TEA, LEAF, DERIVE, SCRIPT, POT]
MESSAGES = [
    _message(LEAF, "/t/deps/libleaf-0a1b.rlib", "/t/deps/libleaf-0a1b.rmeta"),
    _message(DERIVE, "/t/host/libderive-2c3d.so"),
    _message(POT, "/t/deps/libpot-4e5f.so"),
]
RAN = {
    "reason": "build-script-executed",
    "package_id": TEA["pkg_id"],
    "linked_libs": [],
    "cfgs": ["sweet", 'size="big"'],
    "env": [["TEA_VERSION", "7"]],
    "out_dir": "/t/out",
}


@pytest.fixture
def look(cargo: Any, tmp_path: Path) -> Any:
    """Return what asks rustc, which answers that it has loaded these files."""

    def look(*loaded: str, messages: Sequence[dict[str, Any]] = (*MESSAGES, RAN)) -> tuple[Loaded, list[str], Any]:
        def answer(argv: Sequence[str]) -> None:
            (emit,) = [word for word in argv if word.startswith("--emit=dep-info=")]
            Path(emit.removeprefix("--emit=dep-info=")).write_text(f"x: /s/my-tea/main.rs {' '.join(loaded)}\n")

        cargo.rustc = answer
        cargo.units = {"version": 1, "units": UNITS, "roots": [0]}
        toolchain = Toolchain(queries=ToolQueries(cargo.root))
        found = observe(
            toolchain, _graph(toolchain, tmp_path), 0, _messages(messages), {"CARGO_PKG_NAME": "my-tea"}, tmp_path / "o"
        )
        argv, settings = [c for c in cargo.calls if "-Zbinary-dep-depinfo" in c[0]][-1]
        return found, argv, settings

    return look


def _graph(toolchain: Toolchain, scratch: Path) -> UnitGraph:
    return read_units(toolchain, [], scratch)


def _messages(documents: Sequence[dict[str, Any]]) -> Messages:
    *_, last = read_messages([json.dumps(d, separators=(",", ":")).encode() for d in documents])
    return last


def _packages(keys: Any) -> set[str]:
    return {key.target for key in keys}


def test_loaded_files_are_units_and_the_standard_library(look: Any, tmp_path: Path) -> None:
    library = f"{tmp_path}/sysroot/lib/rustlib/{MUSL}/lib"
    found, _, _ = look("/t/deps/libleaf-0a1b.rmeta", "/t/deps/libpot-4e5f.so", f"{library}/libstd-9f.rlib",
                       f"{library}/libcore-8e.rmeta")  # fmt: skip
    assert _packages(found.units) == {"leaf", "pot"}
    assert _packages(found.shared) == {"pot"}
    assert found.standard == ("core", "std")


def test_what_cargo_did_not_name_is_an_error(look: Any) -> None:
    """An inventory that silently lacks a crate would be worse than none."""
    with pytest.raises(ToolError, match=r"rustc loaded `libstranger-77\.rlib`, which cargo did not name"):
        look("/elsewhere/libstranger-77.rlib")


def test_other_files_of_the_answer_are_sources(look: Any) -> None:
    found, _, _ = look("/s/my-tea/logo.svg", "/t/out/gen.rs")
    assert found == Loaded(units=frozenset(), standard=(), shared=frozenset())


def test_rustc_is_asked_as_cargo_called_it(look: Any, cargo: Any) -> None:
    cargo.config = {"build": {"rustflags": ["-Ctarget-cpu=native"]}}
    _, argv, settings = look()
    words = " ".join(argv)
    assert argv[:5] == ["rustc", "--crate-name", "my_tea", "--edition=2021", "/s/my-tea/main.rs"]
    assert "--crate-type bin" in words
    assert f"--target {MUSL}" in words
    assert '--cfg feature="hot" --cfg sweet --cfg size="big"' in words
    assert "-C panic=abort -C debug-assertions=off -C overflow-checks=on" in words
    assert "-L dependency=/t/deps -L dependency=/t/host" in words
    externs = [argv[i + 1] for i, word in enumerate(argv) if word == "--extern"]
    assert externs == [
        "extern_1=/t/deps/libleaf-0a1b.rlib",
        "extern_2=/t/host/libderive-2c3d.so",
        "extern_4=/t/deps/libpot-4e5f.so",
    ]
    assert argv[-1] == "-Ctarget-cpu=native"
    assert settings["cwd"] == cargo.root
    assert settings["timeout"] > 0


def test_crate_that_is_built_for_the_host_too(look: Any) -> None:
    """Alike in all that cargo says of it; rustc would refuse the host's for another target."""
    host, there = _message(LEAF, "/t/release/deps/libleaf-99.rlib"), f"/t/{MUSL}/release/deps/libleaf-0a.rlib"
    for messages in ([host, _message(LEAF, there)], [_message(LEAF, there), host]):
        _, argv, _ = look(messages=[*messages, *MESSAGES[1:], RAN])
        assert f"extern_1={there}" in argv


def test_rustc_sees_what_cargo_sets(look: Any, cargo: Any) -> None:
    cargo.config = {"env": {"TEA_FROM_CONFIG": "1"}}
    _, _, settings = look()
    expected = {
        "OUT_DIR": "/t/out",
        "TEA_VERSION": "7",
        "TEA_FROM_CONFIG": "1",
        "CARGO_PKG_NAME": "my-tea",
        "CARGO_BIN_NAME": "my-tea",
        "CARGO_CRATE_NAME": "my_tea",
        "RUSTC_BOOTSTRAP": "1",
    }
    assert settings["env"].items() >= expected.items()


def test_nothing_is_left_behind(look: Any, tmp_path: Path) -> None:
    look()
    assert list((tmp_path / "o").iterdir()) == []


def test_failing_rustc_tells_no_path(look: Any, cargo: Any) -> None:
    def fail(argv: Sequence[str]) -> None:
        raise ToolError(f"`{argv}` failed")

    look()
    cargo.calls.clear()
    cargo.rustc = fail
    toolchain = Toolchain(queries=ToolQueries(cargo.root))
    with pytest.raises(ToolError) as caught:
        observe(toolchain, _graph(toolchain, cargo.root), 0, _messages(MESSAGES), {}, cargo.root / "o")
    assert str(cargo.root) not in caught.value.message


def test_rustc_that_leaves_nothing(cargo: Any, look: Any) -> None:
    look()
    cargo.rustc = lambda _argv: None
    toolchain = Toolchain(queries=ToolQueries(cargo.root))
    with pytest.raises(ToolError, match="rustc left no dependency information: No such file"):
        observe(toolchain, _graph(toolchain, cargo.root), 0, _messages(MESSAGES), {}, cargo.root / "o")
