"""The files and variables that went into a binary, and into each of its units."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import InputChangedError, ToolError
from doit_provenance.tasks.cargo.invoke import Compiled, Messages, ScriptRun
from doit_provenance.tasks.cargo.observe import Loaded
from doit_provenance.tasks.cargo.unit_inputs import (
    FileDigests,
    UnitReads,
    contributing_units,
    filesystem_time,
    input_files,
    package_files,
)
from doit_provenance.tasks.cargo.units import Unit, UnitGraph, UnitKey
from doit_provenance.tasks.freshness.inputs import LazyInputs

if TYPE_CHECKING:
    from collections.abc import Mapping


def _files(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def _inputs(root: Path, depinfo: str | None, *, workspace: str = ".") -> list[str]:
    place = root / workspace
    executable = place / "target" / "release" / "tea"
    executable.parent.mkdir(parents=True, exist_ok=True)
    if depinfo is not None:
        executable.with_suffix(".d").write_text(depinfo)
    found = input_files(
        executable,
        [place / "crate" / "Cargo.toml"],
        workspace=Path(os.path.normpath(place)),
        build_dirs=(place / "target", root / "dist", root / ".provenance"),
        repository=root,
    )
    assert list(found) == sorted(set(found))
    return [os.path.relpath(p, root) for p in found]


ALWAYS = ["Cargo.lock", "Cargo.toml", "crate/Cargo.toml"]


def test_manifests_lock_and_sources(tmp_path: Path) -> None:
    text = f"{tmp_path}/target/release/tea: {tmp_path}/src/main.rs {tmp_path}/a\\ b/logo.txt\n"
    assert _inputs(tmp_path, text) == sorted([*ALWAYS, "src/main.rs", "a b/logo.txt"])


def test_before_the_first_build_only_what_is_declared(tmp_path: Path) -> None:
    assert _inputs(tmp_path, None) == ALWAYS


def test_what_builds_made_is_left_out(tmp_path: Path) -> None:
    names = ("target/release/build/x/out/gen.rs", "dist/cargo/tea/tea", ".provenance/cargo/x", "src/main.rs")
    text = f"tea: {' '.join(str(tmp_path / name) for name in names)}\n"
    assert _inputs(tmp_path, text) == [*ALWAYS, "src/main.rs"]


def test_folder_that_is_watched_means_its_files(tmp_path: Path) -> None:
    """A build script may watch the whole package; git's own files, and ours, change all the time."""
    _files(tmp_path, "web/index.html", "web/deep/logo.svg", ".git/index", "dist/cargo/tea/tea", ".provenance/doit.db")
    _files(tmp_path, "target/debug/x", "vendored/.git/HEAD")
    assert _inputs(tmp_path, f"tea: {tmp_path}/web\n") == [*ALWAYS, "web/deep/logo.svg", "web/index.html"]
    found = _inputs(tmp_path, f"tea: {tmp_path}/.\n")
    assert found == sorted({*ALWAYS, "web/deep/logo.svg", "web/index.html"})


def test_ways_round_are_straightened(tmp_path: Path) -> None:
    _files(tmp_path, "proto/tea.proto", "target/made.rs")
    text = f"tea: {tmp_path}/crate/../proto/tea.proto {tmp_path}/proto/tea.proto {tmp_path}/crate/../target/made.rs\n"
    assert _inputs(tmp_path, text) == [*ALWAYS, "proto/tea.proto"]


def test_settings_up_to_the_repository(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    _files(tmp_path, ".cargo/config.toml")
    _files(root, "rust-toolchain.toml", "inner/.cargo/config.toml", "inner/.cargo/config", "other/rust-toolchain")
    found = _inputs(root, None, workspace="inner")
    assert [name for name in found if "toolchain" in name or "config" in name] == [
        "inner/.cargo/config",
        "inner/.cargo/config.toml",
        "rust-toolchain.toml",
    ]


def test_workspace_outside_the_repository_looks_in_itself_alone(tmp_path: Path) -> None:
    _files(tmp_path, "rust-toolchain", "elsewhere/rust-toolchain")
    (tmp_path / "repository").mkdir()
    found = input_files(
        tmp_path / "tea", [], workspace=tmp_path / "elsewhere", build_dirs=(), repository=tmp_path / "repository"
    )
    assert tmp_path / "elsewhere" / "rust-toolchain" in found
    assert tmp_path / "rust-toolchain" not in found


def test_change_is_refused_by_content(tmp_path: Path) -> None:
    _files(tmp_path, "a", "b")
    before = FileDigests.read([tmp_path / "a", tmp_path / "b"])
    (tmp_path / "a").touch()
    FileDigests.read([tmp_path / "a", tmp_path / "b"]).refuse_changes_since(before)
    (tmp_path / "b").write_text("changed")
    with pytest.raises(InputChangedError, match=r"an input changed while it was being built: `.*/b`"):
        FileDigests.read([tmp_path / "a", tmp_path / "b"]).refuse_changes_since(before)


def test_file_that_was_not_known_is_no_change(tmp_path: Path) -> None:
    _files(tmp_path, "a", "b")
    FileDigests.read([tmp_path / "a", tmp_path / "b"]).refuse_changes_since(FileDigests.read([tmp_path / "a"]))


def test_unsettled_is_what_was_not_known_and_changed_meanwhile(tmp_path: Path) -> None:
    _files(tmp_path, "a", "b", "c")
    before = FileDigests.read([tmp_path / "a"])
    os.utime(tmp_path / "c", (1, 1))
    after = FileDigests.read([tmp_path / name for name in "abc"])
    since = min((tmp_path / name).stat().st_ctime_ns for name in "bc")
    assert after.unsettled(before, since) == (tmp_path / "b", tmp_path / "c"), "a time that was set back is no excuse"
    assert after.unsettled(before, time.time_ns() + 10**9) == ()


def test_file_that_is_written_at_once_is_not_older_than_the_moment(tmp_path: Path) -> None:
    """By the system's clock it may be."""
    for turn in range(50):
        since = filesystem_time(tmp_path / "scratch")
        (tmp_path / "a").write_text(str(turn))
        assert FileDigests.read([tmp_path / "a"]).unsettled(FileDigests(digests={}), since) == (tmp_path / "a",)
    assert [p.name for p in (tmp_path / "scratch").iterdir()] == [".gitignore"]


def test_file_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"an input can't be read: `.*gone`: No such file"):
        FileDigests.read([tmp_path / "gone"])


def test_paths_from_the_repository(tmp_path: Path) -> None:
    _files(tmp_path, "inner/a", "b")
    found = FileDigests.read([tmp_path / "inner" / "a", tmp_path / "b"]).relative_to(tmp_path / "inner")
    assert list(found) == ["a", "../b"]


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    """As cargo follows them; a loop of links has an end."""
    shared, assets = tmp_path / "shared", tmp_path / "part" / "assets"
    for folder in (shared, assets):
        folder.mkdir(parents=True)
    (shared / "x.txt").write_text("x")
    (assets / "shared").symlink_to(shared)
    (assets / "again").symlink_to(shared)
    (assets / "loop").symlink_to(assets)
    (assets / "up").symlink_to(tmp_path / "part")
    (shared / "back").symlink_to(shared)
    found = list(package_files(tmp_path / "part", ()))
    assert len(found) == 1
    assert found[0].resolve() == shared / "x.txt"


REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def _key(package: str, kind: str = "lib", target: str | None = None) -> UnitKey:
    return UnitKey(package=package, kind=kind, target=target or kind, features=(), profile=("3",))


def _unit(key: UnitKey, *uses: int, mode: str = "build") -> Unit:
    return Unit(
        key=key,
        mode=mode,
        platform=None,
        edition="2021",
        source=Path("lib.rs"),
        panic="unwind",
        debug_assertions=False,
        overflow_checks=False,
        uses=tuple((f"crate_{index}", index) for index in uses),
        identity="",
    )


# tea uses leaf, which uses a macro, and names mug, which it does not load; both of these have a build script.
GRAPH = UnitGraph(
    units=(
        _unit(_key("tea", "bin"), 1, 3),
        _unit(_key("leaf"), 2),
        _unit(_key("macro", "proc-macro"), 7),
        _unit(_key("mug"), 4, 6),
        _unit(_key("mug", "custom-build"), 5, mode="run-custom-build"),
        _unit(_key("mug", "custom-build"), 8),
        _unit(_key("glaze")),
        _unit(_key("quill")),
        _unit(_key("kiln")),
    ),
    roots=(0,),
)


def _counted(*loaded: str, observed: bool = True) -> set[str]:
    found = Loaded(units=frozenset(_key(name) for name in loaded), standard=(), shared=frozenset())
    indices = contributing_units(GRAPH, 0, found if observed else None)
    return {f"{GRAPH.units[i].key.package} {GRAPH.units[i].key.kind}" for i in indices}


def test_loaded_crates_their_macros_and_every_build_script() -> None:
    """The script of `mug` may tell the linker where to look, and `kiln` is what it uses; `mug` itself is not there."""
    assert _counted("leaf") == {
        *("tea bin", "leaf lib", "macro proc-macro", "quill lib"),
        *("mug custom-build", "kiln lib"),
    }


def test_macros_of_crates_that_are_not_loaded_do_not_count() -> None:
    assert _counted("mug") == {"tea bin", "mug lib", "mug custom-build", "kiln lib"}


def test_everything_where_nothing_was_observed() -> None:
    assert len(_counted(observed=False)) == 8


class Bench:
    """A build folder, and what cargo said of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.deps = root / "target" / "release" / "deps"
        self.deps.mkdir(parents=True)
        self.messages = Messages()
        self.forced: frozenset[str] = frozenset()

    def reads(self) -> UnitReads:
        group: Any = SimpleNamespace(
            root=self.root,
            target_directory=self.root / "target",
            build_directory=self.root / "target",
            toolchain=SimpleNamespace(forced_variables=lambda: self.forced),
        )
        return UnitReads(group=group, messages=self.messages)

    def unit(self, key: UnitKey, *files: str, dependencies: Mapping[str, str], executable: str | None = None) -> None:
        for name, text in dependencies.items():
            (self.deps / name).parent.mkdir(parents=True, exist_ok=True)
            (self.deps / name).write_text(text)
        manifest = self.root / "part" if key.package.startswith("path+") else Path("/registry/part")
        self.messages.compiled.append(
            Compiled(
                key=key,
                files=tuple(self.deps / name for name in files),
                executable=self.deps / executable if executable else None,
                manifest=manifest / "Cargo.toml",
                fresh=True,
            )
        )

    def script(self, package: str, said: str | None, **environment: str) -> None:
        out = self.deps / ".." / "build" / f"x-{len(self.messages.scripts)}" / "out"
        out.mkdir(parents=True)
        if said is not None:
            (out.parent / "output").write_text(said)
        run = ScriptRun(out_dir=out, cfgs=(), environment=environment, libraries=())
        self.messages.scripts.setdefault(package, []).append(run)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


LOCAL = "path+file:///part#part@1.0.0"
REMOTE = f"{REGISTRY}#part@1.0.0"


def test_sources_of_a_path_package_start_at_the_workspace(bench: Bench, tmp_path: Path) -> None:
    text = f"x: part/src/lib.rs part/src/../text.txt {tmp_path}/made/a\\ b.rs\n\npart/src/lib.rs:\n"
    bench.unit(_key(LOCAL), "libpart-1.rlib", "libpart-1.rmeta", dependencies={"part-1.d": text})
    found = bench.reads().of(frozenset({_key(LOCAL)}))
    assert found.sources == {tmp_path / name for name in ("part/src/lib.rs", "part/text.txt", "made/a b.rs")}


def test_sources_of_a_registry_never_change(bench: Bench) -> None:
    bench.unit(_key(REMOTE), "libpart-1.rlib", dependencies={"part-1.d": "x: src/lib.rs\n\n# env-dep:TEA=1\n"})
    found = bench.reads().of(frozenset({_key(REMOTE)}))
    assert (found.sources, found.variables) == (frozenset(), {"TEA"})


def test_variables_but_for_those_that_follow_from_other_inputs(bench: Bench) -> None:
    lines = (
        "TEA",
        "POT=x=y",
        "CARGO_PKG_VERSION=1",
        "OUT_DIR=/x",
        "CARGO_BIN_NAME",
        "FROM_SCRIPT=1",
        "FORCED",
        "DEBUG",
    )
    text = "x: lib.rs\n\n" + "".join(f"# env-dep:{line}\n" for line in lines)
    bench.unit(_key(LOCAL), "libpart-1.rlib", dependencies={"part-1.d": text})
    bench.script(LOCAL, "cargo::rerun-if-changed=x\n", FROM_SCRIPT="1")
    bench.forced = frozenset({"FORCED"})
    assert bench.reads().of(frozenset({_key(LOCAL)})).variables == {"TEA", "POT", "DEBUG"}


def test_what_a_build_script_asks_for(bench: Bench, tmp_path: Path) -> None:
    said = (
        "cargo:rerun-if-env-changed=CC\ncargo::rerun-if-env-changed= TEA \ncargo::rerun-if-env-changed=DEBUG\n"
        "cargo::rerun-if-env-changed=DEP_ME\ncargo::rerun-if-env-changed=CARGO_PKG_GIT_SHA\n"
        "cargo::rerun-if-env-changed=CARGO_PKG_NAME\ncargo:rerun-if-changed=texts\ncargo::rerun-if-changed=/etc/tea\n"
        "warning: cargo::rerun-if-env-changed=NOT\n"
    )
    script = _key(LOCAL, "custom-build", "build-script-build")
    bench.unit(
        script, "../build/p/build-script-build", dependencies={"../build/p/build_script_build-1.d": "x: build.rs\n"}
    )
    bench.script(LOCAL, said)
    found = bench.reads().of(frozenset({script}))
    assert found.variables == {"CC", "TEA", "DEP_ME", "CARGO_PKG_GIT_SHA"}, "what begins like cargo's is not cargo's"
    assert found.watched == {tmp_path / "part" / "texts", Path("/etc/tea")}
    assert found.sources == {tmp_path / "build.rs"}


def test_watched_within_a_package_of_a_registry_never_changes(bench: Bench) -> None:
    script = _key(REMOTE, "custom-build", "build-script-build")
    bench.unit(script, "../build/p/build-script-build", dependencies={})
    bench.script(REMOTE, "cargo::rerun-if-changed=src\ncargo::rerun-if-changed=/etc/tea\n")
    assert bench.reads().of(frozenset({script})).watched == {Path("/etc/tea")}


def test_lost_output_asks_for_nothing(bench: Bench) -> None:
    """Its package is then watched as a whole (`inputs.is_silent`)."""
    script = _key(LOCAL, "custom-build", "build-script-build")
    bench.unit(script, "../build/p/build-script-build", dependencies={})
    bench.script(LOCAL, None)
    found = bench.reads().of(frozenset({script}))
    assert (found.watched, found.variables) == (frozenset(), frozenset())


def _binary(bench: Bench) -> UnitKey:
    key = _key(LOCAL, "bin", "tea-pot")
    bench.unit(
        key,
        "../tea-pot",
        dependencies={
            "tea_pot-1.d": "x: one.rs\n\n# env-dep:ONE\n",
            "tea_pot-2.d": "x: two.rs\n\n# env-dep:TWO\n",
            "tea_pot_lid-3.d": "x: three.rs\n\n# env-dep:THREE\n",
        },
        executable="../tea-pot",
    )
    return key


def test_binary_is_the_one_that_cargo_linked_to_its_place(bench: Bench) -> None:
    key = _binary(bench)
    (bench.deps / "tea_pot-2").write_text("the program")
    (bench.deps / ".." / "tea-pot").hardlink_to(bench.deps / "tea_pot-2")
    assert bench.reads().of(frozenset({key})).variables == {"TWO"}


def test_binary_that_was_copied_may_be_any_of_its_name(bench: Bench) -> None:
    key = _binary(bench)
    (bench.deps / ".." / "tea-pot").write_text("the program")
    assert bench.reads().of(frozenset({key})).variables == {"ONE", "TWO"}


def test_pending_is_made_when_it_is_asked_for() -> None:
    made: list[int] = []
    pending = LazyInputs(lambda: made.append(1) or {"a": "b"})
    assert made == []
    assert (dict(pending), pending["a"], len(pending)) == ({"a": "b"}, "b", 1)
    assert made == [1]
