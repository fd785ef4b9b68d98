"""The inputs of each binary are what can change its bytes, exactly: an edit shows in those binaries that it changes.

The truth is what cargo then builds. `changes` only what the test says.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.config import load
from doit_provenance.provenance.digest import sha256_file
from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.cargo.builder import CargoBuilder
from doit_provenance.tasks.context import Context
from doit_provenance.tasks.freshness.inputs import MEASURED, InputHasher, parts
from doit_provenance.tasks.memory import ShortMemory
from doit_provenance.tasks.pipeline.build import build
from doit_provenance.tasks.workspace import Workspace

from .workspaces import Repository, library, manifest, program, repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doit_provenance.tasks.artifacts import Artifact

pytestmark = pytest.mark.integration

BUILDS = """
    fn main() {
        let folder = std::env::var("OUT_DIR").unwrap();
        let word = std::env::var("WORD").unwrap_or_default();
        let mut names: Vec<_> = std::fs::read_dir("texts").unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        std::fs::write(format!("{folder}/made.txt"), format!("{word} {names:?}")).unwrap();
        println!("cargo::rerun-if-changed=texts");
        println!("cargo::rerun-if-env-changed=WORD");
        println!("cargo::rerun-if-env-changed=DEBUG");
    }
"""
MACRO = """
    use proc_macro::TokenStream;
    #[proc_macro]
    pub fn three(_: TokenStream) -> TokenStream { "3u8".parse().unwrap() }
"""
FILES = {
    ".gitignore": "/target\n",
    "Cargo.toml": """
        [workspace]
        members = ["apps/*", "lib/*"]
        resolver = "2"
        [workspace.package]
        version = "1.2.3"
        description = "a description"
        [profile.release]
        opt-level = 0
        [profile.dev]
        opt-level = 0
    """,
    # Two programs of one package: what one of them names, the other does not load.
    "apps/pair/Cargo.toml": manifest(
        "pair",
        dependencies=[f'{name} = {{ path = "../../lib/{name}" }}' for name in ("base", "built", "loaded", "other")],
    ).replace('version = "0.1.0"', "version.workspace = true\ndescription.workspace = true"),
    "apps/pair/src/bin/first.rs": """
        fn main() {
            println!("{} {} {:?}", loaded::say(), env!("CARGO_PKG_VERSION"), option_env!("CHOICE"));
            println!("{}", include_str!("../text.txt"));
        }
    """,
    "apps/pair/src/bin/second.rs": 'fn main() { println!("{} {}", other::say(), built::TEXT); }\n',
    "apps/pair/src/text.txt": "text",
    # A package of its own, which shares `base` with `loaded`.
    "apps/alone/Cargo.toml": manifest("alone", dependencies=['base = { path = "../../lib/base" }']),
    "apps/alone/src/main.rs": 'fn main() { println!("{}", base::say()); }\n',
    **{
        f"lib/{name}": text
        for name, text in {
            **library("loaded", None, ['base = { path = "../base" }', 'mac = { path = "../mac" }']),
            **library("other"),
            **library("built", 'pub const TEXT: &str = include_str!(concat!(env!("OUT_DIR"), "/made.txt"));\n'),
            **library("mac", MACRO, (), "[lib]\nproc-macro = true"),
            **library(
                "base",
                'pub fn say() -> &\'static str { if cfg!(feature = "loud") { "LOUD" } else { "quiet" } }\n',
                (),
                "[features]\nloud = []",
            ),
        }.items()
    },
    "lib/loaded/src/lib.rs": 'pub fn say() -> String { format!("{} {}", base::say(), mac::three!()) }\n',
    "lib/built/build.rs": BUILDS,
    "lib/built/texts/one": "",
}
ALL = {"alone", "first", "second"}


@dataclass(slots=True)
class Bench:
    """A repository, and what its last build said of each binary."""

    made: Repository
    memory: ShortMemory = field(default_factory=ShortMemory)
    inputs: dict[str, dict[str, str]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def builder(self, memory: ShortMemory | None = None) -> CargoBuilder:
        root = self.made.root
        return CargoBuilder(Context(workspace=Workspace(root=root, config=load(root)), memory=memory or self.memory))

    def build(self, *names: str) -> None:
        builder = self.builder()
        groups: dict[str, list[Artifact]] = {}
        for artifact in builder.discover():
            if not names or artifact.name in names:
                groups.setdefault(artifact.group, []).append(artifact)
        for group, artifacts in groups.items():
            for artifact, built in build(builder.context, builder, group, artifacts).items():
                self.inputs[artifact.name] = dict(built.inputs)
                self.digests[artifact.name] = sha256_file(built.path)
                builder.release(artifact)

    def changed(self, memory: ShortMemory | None = None) -> dict[str, list[str]]:
        """Return the keys of each binary's inputs whose values are others than those that were recorded."""
        builder = self.builder(memory)
        found = {}
        for artifact in builder.discover():
            recorded = self.inputs.get(artifact.name)
            if recorded is None:
                continue
            declared = builder.declare(artifact)
            meter = InputHasher(self.made.root, builder.context.build_dirs)
            now = {of: meter.measure(of) for of in recorded if parts(of)[0] in MEASURED}
            now |= {of: meter.measure(of) for of in declared.measured} | dict(declared.values)
            keys = sorted(now.keys() | recorded.keys())
            found[artifact.name] = [of for of in keys if now.get(of) != recorded.get(of)]
        return found

    def stale(self) -> set[str]:
        """Return the binaries of which some input has changed."""
        return {name for name, keys in self.changed().items() if keys}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = repository(tmp_path / "work", FILES)
    for name in set(os.environ) - made.environ.keys():
        monkeypatch.delenv(name)
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("WORD", raising=False)
    made.lock()
    return Bench(made=made)


def _replace(made: Repository, name: str, old: str, new: str) -> None:
    path = made.root / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _edit(name: str, old: str, new: str) -> Callable[[Repository], None]:
    return lambda made: _replace(made, name, old, new)


def _write(name: str, text: str) -> Callable[[Repository], None]:
    return lambda made: made.write({name: text})


def _wrap(made: Repository) -> None:
    wrapper = program(made.root.parent, "wrap", 'exec "$@"')
    made.write({".cargo/config.toml": f'[build]\nrustc-wrapper = "{wrapper}"\n'})


NOTHING: set[str] = set()
EDITS: dict[str, tuple[Callable[[Repository], None], set[str], set[str]]] = {
    # what is done, whose inputs change, whose bytes change
    "own source": (_edit("apps/alone/src/main.rs", "{}", "<{}>"), {"alone"}, {"alone"}),
    "source of a crate that both load": (
        _edit("lib/base/src/lib.rs", "quiet", "hush"),
        {"alone", "first"},
        {"alone", "first"},
    ),
    "source of a crate that is declared and not loaded": (
        _edit("lib/other/src/lib.rs", '"other"', '"another"'),
        {"second"},
        {"second"},
    ),
    "source of a macro": (_edit("lib/mac/src/lib.rs", "3u8", "4u8"), {"first"}, {"first"}),
    "file that is included": (_write("apps/pair/src/text.txt", "other text"), {"first"}, {"first"}),
    "new file where a build script looks": (_write("lib/built/texts/two", ""), {"first", "second"}, {"second"}),
    "build script": (_edit("lib/built/build.rs", "{names:?}", "<{names:?}>"), {"first", "second"}, {"second"}),
    "comment in a manifest": (_edit("apps/alone/Cargo.toml", "[package]", "# a comment\n[package]"), NOTHING, NOTHING),
    "comment in the root's manifest": (
        _edit("Cargo.toml", "[workspace]\n", "[workspace]\n# a comment\n"),
        NOTHING,
        NOTHING,
    ),
    "version that one package inherits": (
        _edit("Cargo.toml", "1.2.3", "1.2.4"),
        {"first", "second"},
        {"first", "second"},
    ),
    "profile of another build": (
        _edit("Cargo.toml", "[profile.dev]\nopt-level = 0", "[profile.dev]\nopt-level = 1"),
        NOTHING,
        NOTHING,
    ),
    "profile": (_edit("Cargo.toml", "[profile.release]\nopt-level = 0", "[profile.release]\nopt-level = 1"), ALL, ALL),
    "new dependency of a sibling": (
        _edit("apps/alone/Cargo.toml", "[dependencies]", '[dependencies]\nother = { path = "../../lib/other" }'),
        {"alone"},
        {"alone"},
    ),
    "feature that a sibling asks for": (
        _edit("apps/alone/Cargo.toml", '../../lib/base" }', '../../lib/base", features = ["loud"] }'),
        ALL,
        ALL,
    ),
    "unused feature": (_edit("lib/base/Cargo.toml", "loud = []", "loud = []\nlouder = []"), NOTHING, NOTHING),
    "lint": (
        _edit("apps/alone/Cargo.toml", "[dependencies]", '[lints.rust]\nunused = "allow"\n[dependencies]'),
        NOTHING,
        NOTHING,
    ),
    "new program of the same package": (_write("apps/pair/src/bin/later.rs", "fn main() {}\n"), NOTHING, NOTHING),
    "new build script": (
        _write("lib/other/build.rs", 'fn main() { println!("cargo::rustc-cfg=later") }\n'),
        {"first", "second"},
        {"first", "second"},
    ),
    "new library of a package of programs": (
        _write("apps/alone/src/lib.rs", "pub fn say() {}\n"),
        {"alone"},
        {"alone"},
    ),
    "flags": (_write(".cargo/config.toml", '[build]\nrustflags = ["-Copt-level=2"]\n'), ALL, ALL),
    "wrapper": (
        _wrap,
        ALL,
        NOTHING,
    ),
    "file beside the sources": (_write("apps/alone/notes.txt", "notes"), NOTHING, NOTHING),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edit_shows_in_the_binaries_that_it_changes(bench: Bench, edit: str) -> None:
    change, stale, other_bytes = EDITS[edit]
    bench.build()
    assert not bench.stale()
    change(bench.made)
    bench.made.lock()
    seen = bench.changed()
    assert bench.stale() == stale, seen
    assert bench.changed(ShortMemory()) == seen, "what is remembered is what cargo says"
    before = dict(bench.digests)
    bench.build()
    assert {name for name in ALL if bench.digests[name] != before[name]} == other_bytes
    assert not bench.stale()


@pytest.mark.parametrize(
    ("variable", "value", "stale", "other_bytes"),
    [
        ("CHOICE", "one", {"first"}, {"first"}),
        ("WORD", "spoken", {"first", "second"}, {"second"}),
        ("DEBUG", "1", NOTHING, NOTHING),
        ("CARGO_PROFILE_DEV_OPT_LEVEL", "2", NOTHING, NOTHING),
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "2", ALL, ALL),
        ("RUSTFLAGS", "-Copt-level=2", ALL, ALL),
        ("CARGO_PKG_VERSION", "9.9.9", NOTHING, NOTHING),
        ("CARGO_TERM_VERBOSE", "true", NOTHING, NOTHING),
        ("SOMETHING", "else", NOTHING, NOTHING),
    ],
)
def test_variable_shows_in_the_binaries_that_it_changes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, stale: set[str], other_bytes: set[str]
) -> None:
    bench.build()
    monkeypatch.setenv(variable, value)
    assert bench.stale() == stale, bench.changed()
    before = dict(bench.digests)
    bench.build()
    assert {name for name in ALL if bench.digests[name] != before[name]} == other_bytes
    assert not bench.stale()
    monkeypatch.delenv(variable)
    assert bench.stale() == stale, "and back again"


def test_forced_variable_is_the_configurations(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its value follows from the file, and the environment's does not matter; else it is the environment that wins."""
    bench.made.write({".cargo/config.toml": '[env]\nCHOICE = { value = "forced", force = true }\nWORD = "default"\n'})
    bench.build()
    monkeypatch.setenv("CHOICE", "mine")
    assert not bench.stale()
    monkeypatch.setenv("WORD", "mine")
    assert bench.changed() == {"alone": [], "first": ["variable:WORD"], "second": ["variable:WORD"]}


READS = """
    fn main() {
        let mut names: Vec<_> = std::fs::read_dir("data").unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        println!("cargo::rustc-env=NAMES={names:?}");
    }
"""


def test_whole_package_counts_where_its_build_script_says_nothing(bench: Bench) -> None:
    """A new file too, but neither what builds make in its folder, nor what packages below it hold."""
    files = {
        "Cargo.toml": manifest("alone", '[workspace]\nmembers = ["lib/base"]'),
        "build.rs": READS,
        "data/one": "",
        "src/main.rs": 'fn main() { println!("{}", env!("NAMES")); }\n',
    }
    bench.made.write(files)
    bench.made.lock()
    bench.build()
    assert not bench.stale()
    before = dict(bench.digests)
    bench.made.cargo("build")
    bench.made.write({"dist/x": "", ".provenance/x": ""})
    _replace(bench.made, "lib/base/src/lib.rs", "quiet", "hush")
    assert not bench.stale()
    bench.made.write({"data/two": ""})
    assert bench.changed() == {"alone": ["folder:."]}
    bench.build()
    assert bench.digests != before
    bench.made.write({"data/two": "other"})
    assert bench.changed() == {"alone": ["file:data/two"]}


def test_file_that_a_build_script_waits_for(bench: Bench) -> None:
    bench.made.write({"lib/base/build.rs": 'fn main() { println!("cargo::rerun-if-changed=later.txt") }\n'})
    bench.build()
    assert bench.inputs["alone"]["file:lib/base/later.txt"] == "absent"
    bench.made.write({"lib/base/later.txt": ""})
    assert bench.stale() == ALL


def test_package_of_another_workspace(bench: Bench) -> None:
    """What it inherits from there counts, and the rest of that manifest does not."""
    bench.made.write(
        {
            "../other/Cargo.toml": '[workspace]\nmembers = ["*"]\n[workspace.package]\ndescription = "one"\n',
            "../other/part/Cargo.toml": '[package]\nname = "part"\ndescription.workspace = true\n',
            "../other/part/src/lib.rs": 'pub fn say() -> &\'static str { env!("CARGO_PKG_DESCRIPTION") }\n',
            "apps/alone/Cargo.toml": manifest("alone", dependencies=['part = { path = "../../../other/part" }']),
            "apps/alone/src/main.rs": 'fn main() { println!("{}", part::say()); }\n',
        }
    )
    bench.made.lock()
    bench.build()
    before = dict(bench.digests)
    _replace(bench.made, "../other/Cargo.toml", "[workspace.package]", '[workspace.package]\nlicense = "MIT"')
    assert not bench.stale()
    _replace(bench.made, "../other/Cargo.toml", '"one"', '"two"')
    assert bench.changed()["alone"] == ["setting:../other/part/Cargo.toml"]
    assert bench.stale() == {"alone"}
    bench.build()
    assert {name for name in ALL if bench.digests[name] != before[name]} == {"alone"}


def test_crates_that_can_not_be_observed_all_count(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ToolError("the compiler is ill")

    monkeypatch.setattr("doit_provenance.tasks.cargo.run.observe", fail)
    bench.build()
    _replace(bench.made, "lib/other/src/lib.rs", '"other"', '"another"')
    assert bench.stale() == {"first", "second"}


def test_inputs_are_the_same_alone_and_with_siblings(bench: Bench) -> None:
    bench.build("first")
    alone = bench.inputs["first"]
    bench.build()
    assert bench.inputs["first"] == alone


def test_file_whose_time_is_kept(bench: Bench) -> None:
    bench.build()
    path = bench.made.root / "apps/alone/Cargo.toml"
    found = path.stat()
    path.write_text(path.read_text().replace("0.1.0", "0.1.1"))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    bench.made.lock()
    assert bench.stale() == {"alone"}


def test_nothing_of_this_machine_but_digests(bench: Bench) -> None:
    """Names of inputs are paths from the workspace; values are digests, versions or words."""
    bench.build()
    for inputs in bench.inputs.values():
        assert not [value for value in inputs.values() if str(bench.made.root.parent) in value]
        assert not [of for of in inputs if str(bench.made.root) in of]
