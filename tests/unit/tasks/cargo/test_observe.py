"""How rustc is asked what it loads, and what its answer means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance.errors import ToolError
from doit_provenance.provenance.sbom.inventory import Role
from doit_provenance.tasks.cargo.invoke import Messages, read_messages
from doit_provenance.tasks.cargo.observe import Contents, Loaded, Node, base, observe, prerequisites, read_contents
from doit_provenance.tasks.cargo.toolchain import Toolchain, ToolQueries
from doit_provenance.tasks.cargo.units import Unit, UnitGraph, UnitKey, read_units

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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/t/tea: /s/main.rs /s/lib.rs\n", ["/s/main.rs", "/s/lib.rs"]),
        ("/t/tea: /s/main.rs", ["/s/main.rs"]),
        ("/t/tea: /s/a\\ b/main.rs /s/größe.rs\n", ["/s/a b/main.rs", "/s/größe.rs"]),
        ("/t/a\\ b/tea: /s/main.rs\n", ["/s/main.rs"]),
        ("/t/a:b/tea: /s/a:b.rs\n", ["/s/a:b.rs"]),
        ("/t/a:\\ b/tea: /s/a:\\ b.rs\n", ["/s/a: b.rs"]),
        ("C:\\t\\tea.exe: C:\\s\\main.rs C:\\a\\ b\\lib.rs\n", ["C:\\s\\main.rs", "C:\\a b\\lib.rs"]),
        ("/t/tea: /s/a\\#b.rs /s/a#b.rs\n", ["/s/a#b.rs", "/s/a#b.rs"]),
        ("/t/tea:  /s/main.rs  /s/lib.rs \n", ["/s/main.rs", "/s/lib.rs"]),
        ("/t/tea: src/main.rs\n\nsrc/main.rs:\n\n# env-dep:X=1\n", ["src/main.rs"]),
        ("/t/tea:\n", []),
        ("", []),
    ],
)
def test_prerequisites(text: str, expected: list[str]) -> None:
    assert [str(p) for p in prerequisites(text)] == expected


@given(
    paths=st.lists(st.text("ab :é#.", min_size=1, max_size=8).map("/s/{}x".format), max_size=4),
    target=st.text("ab :é.", max_size=8).map("/t/{}x".format),
)
def test_reads_what_cargo_writes(paths: list[str], target: str) -> None:
    """Cargo escapes spaces, in the target too, and nothing else."""
    text = f"{target}: {' '.join(paths)}" if " " not in target + "".join(paths) else None
    escaped = f"{_escaped(target)}: {' '.join(map(_escaped, paths))}\n"
    assert list(prerequisites(escaped)) == [Path(p) for p in paths]
    if text is not None:
        assert list(prerequisites(text)) == [Path(p) for p in paths]


def _escaped(path: str) -> str:
    return path.replace(" ", "\\ ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("target/release/tea: src/main.rs\n", "/s p"),
        ("p/target/release/tea: src/main.rs\n", None),
        ("s\\ p/target/release/tea: src/main.rs\n", "/"),
        ("tea:\n", "/s p/target/release"),
        ("/s\\ p/target/release/tea: src/main.rs\n", None),
        ("", None),
    ],
)
def test_where_paths_start_that_are_no_whole_ones(text: str, expected: str | None) -> None:
    target = Path("/s p/target/release/tea")
    if expected is not None:
        assert base(text, target) == Path(expected)
        return
    with pytest.raises(ToolError, match="cargo's dependency file of `tea` has paths that start nowhere"):
        base(text, target)


def _make(name: str, *uses: int, kind: str = "lib", mode: str = "build", features: tuple[str, ...] = ()) -> Unit:
    return Unit(
        key=UnitKey(package=name, kind=kind, target=f"{name}-{kind}", features=features, profile=("3",)),
        mode=mode,
        platform=None,
        edition="2021",
        source=Path("main.rs"),
        panic="unwind",
        debug_assertions=False,
        overflow_checks=False,
        uses=tuple((f"crate_{index}", index) for index in uses),
        identity=f"{name} {kind}",
    )


def _contents(*units: Unit, loaded: tuple[int, ...] | None = None, shared: tuple[int, ...] = ()) -> Contents:
    """Read the contents of unit 0; `loaded` and `shared` are the units whose files rustc took."""
    found = None
    if loaded is not None:
        keys = frozenset(units[i].key for i in loaded)
        found = Loaded(units=keys, standard=(), shared=frozenset(units[i].key for i in shared))
    return read_contents(UnitGraph(units=units, roots=(0,)), 0, found)


def _roles(contents: Contents) -> set[tuple[str, Role]]:
    return {(node.package, node.role) for node in contents.edges}


def _edges(contents: Contents) -> set[tuple[str, str]]:
    return {(node.package, used.package) for node, targets in contents.edges.items() for used in targets}


SUBJECT = ("tea", Role.SUBJECT)


def test_declared_and_not_loaded_is_not_in_it() -> None:
    """The manifest names `unused`, and nothing of it is called: rustc does not even open its file."""
    units = (
        _make("tea", 1, 2, kind="bin"),
        _make("leaf"),
        _make("unused", 3),
        _make("unused-leaf"),
    )
    found = _contents(*units, loaded=(1,))
    assert _roles(found) == {SUBJECT, ("leaf", Role.LINKED)}
    assert _edges(found) == {("tea", "leaf")}


def test_all_that_is_declared_where_nothing_was_observed() -> None:
    found = _contents(_make("tea", 1, 2, kind="bin"), _make("leaf"), _make("unused"))
    assert _roles(found) == {SUBJECT, ("leaf", Role.LINKED), ("unused", Role.LINKED)}


def test_loaded_only_through_a_dropped_one_is_not_followed() -> None:
    """What a unit uses is followed from units that are in the binary alone."""
    units = (
        _make("tea", 1, 2, kind="bin"),
        _make("leaf", 3),
        _make("unused", 3),
        _make("deep"),
    )
    found = _contents(*units, loaded=(1, 3))
    assert _edges(found) == {("tea", "leaf"), ("leaf", "deep")}


def test_proc_macros_and_what_they_use_are_build_tools() -> None:
    units = (
        _make("tea", 1, kind="bin"),
        _make("derive", 2, kind="proc-macro"),
        _make("quote", 3),
        _make("ident"),
    )
    found = _contents(*units, loaded=(1,))
    assert _roles(found) == {SUBJECT, ("derive", Role.BUILD), ("quote", Role.BUILD), ("ident", Role.BUILD)}
    assert _edges(found) == {("tea", "derive"), ("derive", "quote"), ("quote", "ident")}


def test_build_scripts_are_a_part_of_their_package_and_their_dependencies_build_tools() -> None:
    units = (
        _make("tea", 1, kind="bin"),
        _make("leaf", 2),
        _make("leaf", 3, kind="custom-build", mode="run-custom-build"),
        _make("leaf", 4, kind="custom-build"),
        _make("cc", 5),
        _make("jobs"),
    )
    found = _contents(*units, loaded=(1,))
    assert _roles(found) == {SUBJECT, ("leaf", Role.LINKED), ("cc", Role.BUILD), ("jobs", Role.BUILD)}
    assert _edges(found) == {("tea", "leaf"), ("leaf", "cc"), ("cc", "jobs")}


def test_the_binarys_own_build_script() -> None:
    units = (
        _make("tea", 1, kind="bin"),
        _make("tea", 2, kind="custom-build", mode="run-custom-build"),
        _make("tea", 3, kind="custom-build"),
        _make("cc"),
    )
    found = _contents(*units, loaded=())
    assert _roles(found) == {SUBJECT, ("cc", Role.BUILD)}
    assert _edges(found) == {("tea", "cc")}


def test_script_that_waits_for_anothers_script_does_not_use_that_package_by_it() -> None:
    """`links = "z"`: a script waits for another's, whose package has its own edge if it is linked."""
    units = (
        _make("tea", 1, kind="bin"),
        _make("tea", 2, kind="custom-build", mode="run-custom-build"),
        _make("z-sys", kind="custom-build", mode="run-custom-build"),
    )
    assert _roles(_contents(*units, loaded=())) == {SUBJECT}


def test_build_script_of_a_proc_macro_is_the_macros() -> None:
    units = (
        _make("tea", 1, kind="bin"),
        _make("derive", 2, kind="proc-macro"),
        _make("derive", 3, kind="custom-build", mode="run-custom-build"),
        _make("derive", 4, kind="custom-build"),
        _make("version"),
    )
    found = _contents(*units, loaded=(1,))
    assert _roles(found) == {SUBJECT, ("derive", Role.BUILD), ("version", Role.BUILD)}


def test_package_that_is_linked_and_a_build_tool_is_both() -> None:
    """Each with its own features and edges: the unit for the host is another than the one for the target."""
    units = (
        _make("tea", 1, 2, kind="bin"),
        _make("leaf", 4, features=("std",)),
        _make("derive", 3, kind="proc-macro"),
        _make("leaf", 5, features=("host", "alloc")),
        _make("root"),
        _make("host-root"),
    )
    found = _contents(*units, loaded=(1, 2, 4))
    linked, build = Node(package="leaf", role=Role.LINKED), Node(package="leaf", role=Role.BUILD)
    assert found.features[linked] == ("std",)
    assert found.features[build] == ("alloc", "host")
    assert found.edges[linked] == {Node(package="root", role=Role.LINKED)}
    assert found.edges[build] == {Node(package="host-root", role=Role.BUILD)}


def test_one_unit_reached_in_two_roles_is_followed_in_both() -> None:
    """Without `--target`, host and target share a unit."""
    units = (
        _make("tea", 1, 2, kind="bin"),
        _make("leaf", 3),
        _make("derive", 1, kind="proc-macro"),
        _make("root"),
    )
    found = _contents(*units, loaded=(1, 2, 3))
    assert {role for package, role in _roles(found) if package == "root"} == {Role.LINKED, Role.BUILD}


def test_features_of_two_units_of_one_package_are_united() -> None:
    units = (
        _make("tea", 1, 2, kind="bin"),
        _make("leaf", features=("b",)),
        _make("leaf", features=("a",)),
    )
    found = _contents(*units, loaded=(1, 2))
    assert found.features == {Node(package="leaf", role=Role.LINKED): ("a", "b")}


def test_the_packages_own_library_is_linked() -> None:
    found = _contents(_make("tea", 1, kind="bin"), _make("tea"), loaded=(1,))
    assert _roles(found) == {SUBJECT, ("tea", Role.LINKED)}
    assert found.edges[found.subject] == {Node(package="tea", role=Role.LINKED)}


def test_shared_library_of_rust_is_not_inside() -> None:
    found = _contents(_make("tea", 1, kind="bin"), _make("pot", kind="dylib"), loaded=(1,), shared=(1,))
    assert _roles(found) == {SUBJECT, ("pot", Role.DYNAMIC)}


def test_circle_ends() -> None:
    """A package's tests may depend on what depends on it; such a graph has circles between packages."""
    found = _contents(_make("tea", 1, kind="bin"), _make("a", 2), _make("b", 1), loaded=(1, 2))
    assert _edges(found) == {("tea", "a"), ("a", "b"), ("b", "a")}


def test_graph_may_be_deeper_than_the_stack() -> None:
    depth = 5000
    units = (
        _make("tea", 1, kind="bin"),
        *(_make(f"p{i}", i + 1) for i in range(1, depth)),
        _make(f"p{depth}"),
    )
    assert len(_contents(*units).edges) == depth + 1
