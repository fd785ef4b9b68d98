"""One call of cargo for a group: its command line, its inputs, and what is known of it afterwards."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.digest import digest_file
from doit_provenance.provenance.errors import BuildError, InputChangedError, ToolError
from doit_provenance.provenance.sbom.inventory import Completeness, Role
from doit_provenance.tasks.cargo.builder import CargoBuilder
from doit_provenance.tasks.pipeline.build import build

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doit_provenance.tasks.artifacts import Artifact
    from doit_provenance.tasks.builder import Built

HOST = "x86_64-unknown-linux-gnu"
PROFILE = {"opt_level": "3", "panic": "unwind", "debug_assertions": False, "overflow_checks": False}


def _ship(cargo: Any, *packages: str, folder: str = "release") -> None:
    """Add packages with a binary each, which a build leaves where cargo leaves them."""
    places = {name: cargo.package(name) for name in packages}
    for name, place in places.items():
        (place / "src").mkdir()
        (place / "src" / "main.rs").write_text(f"fn main() {{}} // {name}\n")
    out = cargo.root / "target" / folder

    def build() -> None:
        out.mkdir(parents=True, exist_ok=True)
        for name, place in places.items():
            (out / name).unlink(missing_ok=True)
            (out / name).write_text(f"the program {name}")
            (out / f"{name}.d").write_text(f"{out / name}: {place / 'src' / 'main.rs'}\n".replace("k s", "k\\ s"))

    cargo.during = build
    units = [_unit(name, place) for name, place in places.items()]
    cargo.units = {"version": 1, "units": units, "roots": list(range(len(units)))}
    pairs = zip(units, places.values(), strict=True)
    cargo.messages = [_message(unit, out / unit["target"]["name"], place) for unit, place in pairs]
    cargo.rustc = _answer
    time.sleep(0.02)  # past the tick of the clock in which the sources were written


def _answer(argv: Sequence[str]) -> None:
    (emit,) = [word for word in argv if word.startswith("--emit=dep-info=")]
    Path(emit.removeprefix("--emit=dep-info=")).write_text("x: src/main.rs\n")


def _unit(name: str, place: Path) -> dict[str, Any]:
    source = str(place / "src" / "main.rs")
    return {
        "pkg_id": f"path+file://{place}#{name}@0.1.0",
        "target": {"kind": ["bin"], "name": name, "src_path": source, "edition": "2021"},
        "profile": PROFILE,
        "platform": None,
        "mode": "build",
        "features": [],
        "dependencies": [],
    }


def _message(unit: dict[str, Any], executable: Path, place: Path) -> dict[str, Any]:
    return {
        "reason": "compiler-artifact",
        "package_id": unit["pkg_id"],
        "manifest_path": str(place / "Cargo.toml"),
        "target": unit["target"],
        "profile": PROFILE,
        "features": [],
        "filenames": [str(executable)],
        "executable": str(executable),
        "fresh": False,
    }


def _built(builder: CargoBuilder, *names: str) -> dict[str, tuple[Artifact, Built]]:
    artifacts = [a for a in builder.discover() if a.name in names]
    return {a.name: (a, built) for a, built in build(builder.context, builder, artifacts[0].group, artifacts).items()}


@pytest.mark.parametrize(
    ("tool", "argv"),
    [("cargo", ["cargo", "build"]), ("cargo-zigbuild", ["cargo", "zigbuild"]), ("cross", ["cross", "build"])],
)
def test_one_call_for_what_is_asked(cargo: Any, configured: Any, tool: str, argv: list[str]) -> None:
    """All packages of the group are named, and only the binaries that are asked for."""
    _ship(cargo, "mug", "tea")
    builder = CargoBuilder(configured(f'[cargo]\ntool = "{tool}"\n'))
    _built(builder, "tea")
    found = cargo.builds()[0]
    assert found[:2] == argv
    assert "--locked" in found
    assert [found[i + 1] for i, word in enumerate(found) if word == "--bin"] == ["tea"]
    assert [re.sub(r".*#", "", found[i + 1]) for i, word in enumerate(found) if word == "--package"] == [
        "mug@0.1.0",
        "tea@0.1.0",
    ]
    assert found[-2:] == ["--message-format", "json-render-diagnostics"]
    assert "--target" not in found


def test_target_is_named_where_one_was_chosen(cargo: Any, configured: Any) -> None:
    """cargo-zigbuild is told the glibc version; cargo, asked for the graph, knows the triple alone."""
    _ship(cargo, "tea", folder=f"{HOST}/release")
    builder = CargoBuilder(configured(f'[cargo]\ntool = "cargo-zigbuild"\ntargets = ["{HOST}.2.17"]\n'))
    _built(builder, "tea")
    (build, *_) = cargo.builds()
    assert build[build.index("--target") + 1] == f"{HOST}.2.17"
    (graph,) = [argv for argv, _ in cargo.calls if "--unit-graph" in argv][:1]
    assert graph[graph.index("--target") + 1] == HOST
    assert graph[graph.index("--bin") + 1] == "tea"


def test_build_sees_neither_secret_nor_bootstrap(cargo: Any, configured: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOIT_PROVENANCE_PASSPHRASE", "hunter2")
    _ship(cargo, "tea")
    _built(CargoBuilder(configured()), "tea")
    settings = next(settings for argv, settings in cargo.calls if "--message-format" in argv)
    assert "hunter2" not in settings["env"].values()
    assert "RUSTC_BOOTSTRAP" not in settings["env"]
    assert settings["cwd"] == cargo.root


def test_what_is_known_of_a_build(cargo: Any, configured: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARGO_PROFILE_RELEASE_LTO", "true")
    monkeypatch.setenv("CARGO_REGISTRY_TOKEN", "hunter2")
    _ship(cargo, "mug", "tea")
    built = _built(CargoBuilder(configured()), "tea")["tea"][1]
    assert built.path.read_text() == "the program tea"
    assert built.external == {
        "builder": "cargo",
        "tool": "cargo",
        "workspace": ".",
        "package": "tea",
        "binary": "tea",
        "target": None,
        "profile": "release",
        "features": [],
        "allFeatures": False,
        "noDefaultFeatures": False,
        "groupPackages": ["mug", "tea"],
    }
    assert built.internal["environment"] == {"CARGO_PROFILE_RELEASE_LTO": "true"}
    assert (built.internal["rustc"], built.internal["host"]) == ("1.95.0", HOST)
    assert (built.internal["unitsCompiled"], built.internal["unitsReused"]) == (2, 0)
    assert built.started <= built.finished
    assert "hunter2" not in repr(built)
    assert str(cargo.root) not in repr(replace(built, path=Path()))


def test_inputs_are_those_of_the_binary(cargo: Any, configured: Any) -> None:
    _ship(cargo, "mug", "tea")
    built = _built(CargoBuilder(configured()), "tea", "mug")
    assert "tea/src/main.rs" in built["tea"][1].files
    assert "mug/src/main.rs" not in built["tea"][1].files
    assert "mug/src/main.rs" in built["mug"][1].files
    assert {"Cargo.toml", "Cargo.lock", "tea/Cargo.toml"} <= built["tea"][1].files.keys()


def test_input_that_changes_while_it_is_built(cargo: Any, configured: Any) -> None:
    """The second build knows the sources from the first, so it sees the change by itself."""
    _ship(cargo, "tea")
    builder = CargoBuilder(configured())
    _built(builder, "tea")
    build = cargo.during

    def edit() -> None:
        build()
        (cargo.root / "tea" / "src" / "main.rs").write_text("fn main() { changed() }")

    cargo.during = edit
    with pytest.raises(InputChangedError, match=r"an input changed while it was being built: `.*main\.rs`"):
        _built(builder, "tea")


def _count(cargo: Any, edits: int) -> None:
    """Let the source be written anew during the first so many builds."""
    build = cargo.during

    def edit() -> None:
        build()
        if len(cargo.builds()) <= edits:
            (cargo.root / "tea" / "src" / "main.rs").write_text(f"fn main() {{}} // {len(cargo.builds())}")

    cargo.during = edit


def test_new_file_that_was_written_meanwhile_takes_one_call_more(cargo: Any, configured: Any) -> None:
    """Which of its contents the compiler read is not known; the next call knows it from the beginning."""
    _ship(cargo, "tea")
    _count(cargo, edits=1)
    built = _built(CargoBuilder(configured()), "tea")["tea"][1]
    assert len(cargo.builds()) == 2
    assert built.files["tea/src/main.rs"] == digest_file(cargo.root / "tea" / "src" / "main.rs").sha256


def test_file_that_never_holds_still(cargo: Any, configured: Any) -> None:
    _ship(cargo, "tea")
    _count(cargo, edits=9)
    with pytest.raises(InputChangedError, match="an input changed") as caught:
        _built(CargoBuilder(configured()), "tea")
    assert caught.value.hint == "run again when it holds still"
    assert len(cargo.builds()) == 2


def test_settled_build_is_one_call(cargo: Any, configured: Any) -> None:
    _ship(cargo, "tea")
    _built(CargoBuilder(configured()), "tea")
    assert len(cargo.builds()) == 1


def test_failing_build_names_what_was_asked_for(cargo: Any, configured: Any) -> None:
    _ship(cargo, "mug", "tea")
    cargo.code = 101
    with pytest.raises(BuildError) as caught:
        _built(CargoBuilder(configured()), "tea", "mug")
    message = f"`cargo build` failed for `cargo:mug@{HOST}`, `cargo:tea@{HOST}` (exit code 101)"
    assert caught.value.message == message
    assert caught.value.hint is None


def test_failing_build_without_a_lock_file_says_how_to_make_one(cargo: Any, configured: Any) -> None:
    _ship(cargo, "tea")
    (cargo.root / "Cargo.lock").unlink()
    cargo.code = 101
    with pytest.raises(BuildError) as caught:
        _built(CargoBuilder(configured()), "tea")
    assert "run `cargo generate-lockfile`, and commit it" in str(caught.value.hint)


def test_cargo_that_does_not_say_where_the_binary_is(cargo: Any, configured: Any) -> None:
    _ship(cargo, "tea")
    cargo.messages = []
    with pytest.raises(ToolError, match="cargo did not say where it left `tea` of package `tea`"):
        _built(CargoBuilder(configured()), "tea")


def test_binary_whose_sources_are_not_known(cargo: Any, configured: Any) -> None:
    """As when a wrapper drops what rustc writes about them; an empty list of inputs would be no evidence."""
    _ship(cargo, "tea")
    build = cargo.during

    def forget() -> None:
        build()
        (cargo.root / "target" / "release" / "tea.d").unlink()

    cargo.during = forget
    with pytest.raises(ToolError, match="cargo left no dependency file beside `tea`"):
        _built(CargoBuilder(configured()), "tea")


def test_what_is_built_stays_although_cargo_builds_another_of_the_name(cargo: Any, configured: Any) -> None:
    _ship(cargo, "tea")
    built = _built(CargoBuilder(configured()), "tea")["tea"][1]
    left = cargo.root / "target" / "release" / "tea"
    other = left.with_name("other")
    other.write_text("another program")
    os.replace(other, left)  # noqa: PTH105 - as cargo does
    assert built.path.read_text() == "the program tea"


def test_description_of_what_rustc_loaded(cargo: Any, configured: Any) -> None:
    """The file is not ELF, so its shared libraries are not known, and the list can't be complete."""
    _ship(cargo, "tea")
    builder = CargoBuilder(configured('[project]\nsource = "https://tea.example/pots"\n'))
    artifact, built = _built(builder, "tea")["tea"]
    inventory, materials = builder.describe(artifact, built.path, digest_file(built.path))
    assert (inventory.artifact, inventory.completeness) == (artifact.id, Completeness.INCOMPLETE)
    assert inventory.subject.licence == "MIT"
    assert inventory.subject.purl == "pkg:cargo/tea@0.1.0?vcs_url=git%2Bhttps://tea.example/pots"
    assert [c.name for c in inventory.of_role(Role.BUILD)] == ["cargo", "rustc"]
    assert "not ELF" in inventory.note
    assert materials == []
    assert str(cargo.root) not in inventory.to_json().decode()


def test_source_that_changes_before_rustc_has_told_what_it_loads(cargo: Any, configured: Any) -> None:
    """What it tells would be of another program."""
    _ship(cargo, "tea")
    source = cargo.root / "tea" / "src" / "main.rs"
    build = cargo.during

    def leave_dependencies() -> None:
        build()
        (cargo.root / "target" / "release" / "deps").mkdir(exist_ok=True)
        (cargo.root / "target" / "release" / "deps" / "tea-1.d").write_text("tea: tea/src/main.rs\n")

    def edit(argv: Sequence[str]) -> None:
        while not told:
            time.sleep(0.01)
        source.write_text("fn main() { changed() }")
        _answer(argv)

    told: list[bool] = []
    cargo.during = leave_dependencies
    cargo.rustc = edit
    built = _built(CargoBuilder(configured()), "tea")["tea"][1]
    told.append(True)
    with pytest.raises(InputChangedError, match=r"an input changed while it was being built: `.*main\.rs`"):
        dict(built.inputs)


def test_description_where_rustc_can_not_be_asked(cargo: Any, configured: Any) -> None:
    """It is said, and the list is what cargo declares: everything that is in it, and more."""
    _ship(cargo, "tea")

    def fail(_argv: Sequence[str]) -> None:
        raise ToolError("the compiler is ill")

    cargo.rustc = fail
    builder = CargoBuilder(configured())
    artifact, built = _built(builder, "tea")["tea"]
    inventory, _ = builder.describe(artifact, built.path, digest_file(built.path))
    assert inventory.completeness is not Completeness.COMPLETE
    assert "a superset, as rustc could not be observed" in inventory.note


def test_two_calls_of_one_group_are_both_described(cargo: Any, configured: Any) -> None:
    """The second call must not take the first one's facts away, however late these are asked for."""
    _ship(cargo, "mug", "tea")
    builder = CargoBuilder(configured())
    first, tea = _built(builder, "tea")["tea"]
    second, mug = _built(builder, "mug")["mug"]
    for artifact, built in ((first, tea), (second, mug)):
        inventory, _ = builder.describe(artifact, built.path, digest_file(built.path))
        assert inventory.artifact == artifact.id
