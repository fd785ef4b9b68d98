"""What the inventory says is what the linker got: on a package that declares everything for each of its programs."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from .workspaces import Repository, library, manifest, one_program, program, repository

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.integration

PLAIN = {"CARGO_PROFILE_RELEASE_OPT_LEVEL": "0"}
SMALL = PLAIN | {
    "CARGO_PROFILE_RELEASE_LTO": "true",
    "CARGO_PROFILE_RELEASE_STRIP": "true",
    "CARGO_PROFILE_RELEASE_PANIC": "abort",
}
PROGRAMS = ("alpha", "beta", "gamma", "delta")

# One package, four programs behind features; every dependency is declared for all of them.
GALLERY: Mapping[str, str] = {
    ".gitignore": "/target\n",
    "Cargo.toml": manifest(
        "gallery",
        """
        [dev-dependencies]
        probe = { path = "probe" }

        [build-dependencies]
        stamp = { path = "stamp" }
        shared = { path = "shared" }

        [features]
        default = ["alpha", "beta", "delta"]
        alpha = []
        beta = []
        gamma = ["dep:extra"]
        delta = []

        [[bin]]
        name = "alpha"
        required-features = ["alpha"]
        [[bin]]
        name = "beta"
        required-features = ["beta"]
        [[bin]]
        name = "gamma"
        required-features = ["gamma"]
        [[bin]]
        name = "delta"
        required-features = ["delta"]
        """,
        dependencies=[
            'codec = { path = "codec" }',
            'shared = { path = "shared" }',
            'derived = { path = "derived" }',
            'short = { path = "a-long-name", package = "a-long-name" }',
            'unused = { path = "unused" }',
            'extra = { path = "extra", optional = true }',
        ],
    ),
    "build.rs": """
        fn main() {
            println!("cargo::rustc-env=STAMP={}{}", stamp::say(), shared::say());
            println!("cargo::rustc-check-cfg=cfg(long)");
            println!("cargo::rustc-cfg=long");
            println!("cargo::rerun-if-changed=build.rs");
        }
    """,
    # alpha: a crate over a table over a no_std crate, and a renamed one that only a build script's cfg lets in.
    "src/bin/alpha.rs": """
        fn main() {
            println!("{}", codec::say());
            #[cfg(long)]
            println!("{}", short::say());
        }
    """,
    # beta: a proc-macro's work, and the crate that the build script uses too.
    "src/bin/beta.rs": """
        #[derive(derived::Hello)]
        struct Guest;
        fn main() { println!("{} {} {}", Guest.hello(), shared::say(), env!("STAMP")); }
    """,
    "src/bin/gamma.rs": 'fn main() { println!("{}", extra::say()); }\n',
    "src/bin/delta.rs": "fn main() {}\n",
    **library("codec", dependencies=["table"]),
    **library("table", dependencies=["bare"]),
    **library("bare", '#![no_std]\nextern crate alloc;\npub fn say() -> alloc::string::String { "bare".into() }\n'),
    **library("a-long-name"),
    **library("unused", dependencies=["bare"]),
    **library("extra", dependencies=["table"]),
    **library("probe"),
    **library("stamp", dependencies=["ink"]),
    **library("ink"),
    **library("shared"),
    **library(
        "derived",
        """
        #[proc_macro_derive(Hello)]
        pub fn hello(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
            let name = item.into_iter().nth(1).unwrap().to_string();
            format!("impl {name} {{ fn hello(&self) -> &'static str {{ \\"{}\\" }} }}", quoting::say()).parse().unwrap()
        }
        """,
        ["quoting"],
        "[lib]\nproc-macro = true",
    ),
    **library("quoting"),
}
MEMBERS = ", ".join(f'"{name.partition("/")[0]}"' for name in GALLERY if name.endswith("/Cargo.toml"))
WORKSPACE = f"\n[workspace]\nmembers = [{MEMBERS}]\n"
CONFIGURATION = """
    [cargo]
    include = ["alpha", "beta", "gamma", "delta"]
    features = ["gamma"]
"""


def _gallery(root: Path, **settings: str) -> Repository:
    files = {**GALLERY, "Cargo.toml": GALLERY["Cargo.toml"] + WORKSPACE, "provenance.toml": CONFIGURATION}
    made = repository(root, files, **settings)
    made.lock()
    made.commit()
    return made


@pytest.fixture(scope="module", params=[PLAIN, SMALL], ids=["plain", "small"])
def gallery(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Build the workspace: as it is, and with link-time optimisation, stripped, without unwinding."""
    made = _gallery(tmp_path_factory.mktemp("gallery") / "work", **request.param)
    made.doit().ok()
    return made


@pytest.fixture(scope="module")
def link_lines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[set[str], set[str]]]:
    """Of each program the packages, and the crates of the standard library, whose files the linker is given."""
    folder = tmp_path_factory.mktemp("truth")
    made = _gallery(folder / "work", **PLAIN)
    return {name: _linked(made, name) for name in PROGRAMS}


def _linked(made: Repository, name: str) -> tuple[set[str], set[str]]:
    arguments = ("--release", "--features", "gamma", "--bin", name, "--message-format", "json")
    output = made.run("cargo", "rustc", *arguments, "--", "--print", "link-args").ok().out
    owners: dict[str, str] = {}
    files: list[str] = []
    for line in output.splitlines():
        if line.startswith("{"):
            message = json.loads(line)
            if message["reason"] == "compiler-artifact":
                package = re.search(r"[/#]([^/#@]+?)(?:[#@][0-9.]+)\Z", message["package_id"])[1]  # type: ignore[index]
                owners |= {file.rpartition("/")[2]: package for file in message["filenames"]}
        else:
            for start, braces, rest in re.findall(r'"([^"{]*?)(?:\{([^}]*)\})?([^"{}]*\.rlib)"', line):
                files += [f"{start}{one}{rest}".rpartition("/")[2] for one in (braces.split(",") if braces else [""])]
    assert files, output
    standard = {f.removeprefix("lib").rpartition("-")[0] for f in files if f not in owners}
    return {owners[f] for f in files if f in owners}, standard


@pytest.mark.parametrize("name", PROGRAMS)
def test_linked_packages_are_those_of_the_link_line(
    gallery: Repository, link_lines: dict[str, tuple[set[str], set[str]]], name: str
) -> None:
    assert gallery.packages(name) == link_lines[name][0]
    assert gallery.inventory(name)["completeness"] == "complete"


def test_the_link_lines_are_as_different_as_the_programs(
    link_lines: dict[str, tuple[set[str], set[str]]],
) -> None:
    """What the test above compares with is right itself."""
    assert {name: packages for name, (packages, _) in link_lines.items()} == {
        "alpha": {"codec", "table", "bare", "a-long-name"},
        "beta": {"shared"},
        "gamma": {"extra", "table", "bare"},
        "delta": set(),
    }


@pytest.mark.parametrize("name", PROGRAMS)
def test_standard_library_is_there_with_its_crates(
    gallery: Repository, link_lines: dict[str, tuple[set[str], set[str]]], name: str
) -> None:
    (found,) = [c for c in gallery.inventory(name)["components"] if c["name"] == "rust-std"]
    assert found["role"] == "linked"
    crates = set(found["properties"]["rust:crates"].split(","))
    assert {"std", "core", "alloc"} <= crates
    # The linker gets the panic runtime that was chosen; rustc loads both to choose from.
    assert link_lines[name][1] - {"panic_unwind", "panic_abort"} <= crates | {"unwind", "compiler_builtins"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_ran_for_it_is_marked(gallery: Repository, name: str) -> None:
    assert gallery.packages(name, "build") == {"rustc", "cargo", "derived", "quoting", "stamp", "ink", "shared"}


def test_package_of_two_roles_stands_there_twice(gallery: Repository) -> None:
    found = {c["ref"]: c["role"] for c in gallery.inventory("beta")["components"] if c["name"] == "shared"}
    assert sorted(found.values()) == ["build", "linked"]
    assert all(ref.endswith("#build") == (role == "build") for ref, role in found.items())


def test_relations_lead_from_the_program_to_all_that_is_in_it(gallery: Repository) -> None:
    inventory = gallery.inventory("alpha")
    names = {c["ref"]: c["name"] for c in inventory["components"]}
    uses = {ref: {names[u] for u in used} for ref, used in inventory["dependencies"].items()}
    assert {"codec", "a-long-name", "rust-std"} <= uses[inventory["subject"]["ref"]]
    assert not {"table", "bare", "unused", "extra"} & uses[inventory["subject"]["ref"]]
    by_name = {names[ref]: used for ref, used in uses.items() if ref in names}
    assert (by_name["codec"], by_name["table"], by_name["bare"]) == ({"table"}, {"bare"}, set())
    assert _reached(inventory) == set(names)


def test_what_no_program_uses_stands_nowhere(gallery: Repository) -> None:
    for name in PROGRAMS:
        found = {c["name"] for c in gallery.inventory(name)["components"]}
        assert not {"unused", "probe", "gallery"} & found


def test_shared_libraries_are_those_of_the_file(gallery: Repository) -> None:
    needed = set(
        re.findall(r"NEEDED +(\S+)", gallery.run("objdump", "-p", str(gallery.folder("beta") / "beta")).ok().out)
    )
    assert needed
    assert gallery.packages("beta", "dynamic") >= needed
    assert all(re.match(r"(lib\w+|ld-linux[-\w]*)\.so", name) for name in gallery.packages("beta", "dynamic"))


def test_programs_run(gallery: Repository) -> None:
    said = {n: gallery.run(str(gallery.folder(n) / n)).ok().out.split() for n in ("alpha", "beta", "gamma")}
    assert said == {
        "alpha": ["codectablebare", "a-long-name"],
        "beta": ["quoting", "shared", "stampinkshared"],
        "gamma": ["extratablebare"],
    }


def test_observing_changes_no_byte(gallery: Repository) -> None:
    """In one path, each time from nothing: our build and the user's own with the same arguments."""
    shutil.rmtree(gallery.root / "target")
    gallery.cargo("build", "--release", "--locked", "--features", "gamma", "--bins")
    for name in PROGRAMS:
        assert (gallery.root / "target" / "release" / name).read_bytes() == gallery.bytes_of(name)


def test_observation_that_fails_is_said(tmp_path: Path) -> None:
    """A compiler that won't answer: all that is declared is listed, and is said to be too much; nothing is left out."""
    made = _gallery(tmp_path / "work", **PLAIN)
    compiler = made.run("rustup", "which", "rustc").ok().out.strip()
    stubborn = program(
        tmp_path,
        "rustc",
        f'case "$*" in *binary-dep-depinfo*) echo "error: no" >&2; exit 1;; esac\nexec {compiler} "$@"',
    )
    made.doit("cargo:alpha", env={"RUSTC": str(stubborn)}).ok()
    inventory = made.inventory("alpha")
    assert inventory["completeness"] == "unknown"
    assert "superset" in inventory["note"]
    assert str(tmp_path) not in json.dumps(inventory)
    assert made.packages("alpha") == {"codec", "table", "bare", "a-long-name", "shared", "unused", "extra"}
    made.doit("verify", "cargo:alpha").ok()


def test_static_library_of_the_machine(tmp_path: Path) -> None:
    """It is in the binary, and in no package; what a build script compiles itself is its package's."""
    build = """
        use std::{env, process::Command};
        fn archive(folder: &str, name: &str) {
            let source = format!("{folder}/{name}.rs");
            std::fs::write(&source, format!("#[no_mangle] pub extern \\"C\\" fn {name}() -> u8 {{ 7 }}")).unwrap();
            let rustc = Command::new(env::var("RUSTC").unwrap()).args(["--crate-type=staticlib", "--out-dir", folder])
                .args(["-Copt-level=3", "-Cpanic=abort"]).arg(source).status().unwrap();
            assert!(rustc.success());
            println!("cargo::rustc-link-search=native={folder}");
            println!("cargo::rustc-link-lib=static={name}");
        }
        fn main() {
            archive(&env::var("OUT_DIR").unwrap(), "own");
            archive(&format!("{}/../usr", env::var("CARGO_MANIFEST_DIR").unwrap()), "foreign");
            println!("cargo::rerun-if-changed=build.rs");
        }
    """
    body = """
        extern "C" { fn own() -> u8; fn foreign() -> u8; }
        pub fn say() -> u8 { unsafe { own() + foreign() } }
    """
    files = {"Cargo.toml": manifest("solo", dependencies=['part = { path = "part" }'])}
    files |= {"src/main.rs": 'fn main() { println!("{}", part::say()) }\n', "usr/.keep": ""}
    made = repository(tmp_path / "work", files | library("part", body) | {"part/build.rs": build})
    made.lock()
    made.doit().ok()
    assert made.run(str(made.folder("solo") / "solo")).ok().out == "14\n"
    assert made.packages("solo") == {"part", "libforeign.a"}
    inventory = made.inventory("solo")
    (part,) = [c["ref"] for c in inventory["components"] if c["name"] == "part"]
    assert inventory["dependencies"][part] == ["lib:libforeign.a"]
    assert inventory["completeness"] == "incomplete", "nobody looked into that library"
    assert "Static libraries of the machine" in inventory["note"]


def test_standard_library_that_is_not_inside(tmp_path: Path) -> None:
    configuration = '[build]\nrustflags = ["-C", "prefer-dynamic"]\n'
    made = repository(tmp_path / "work", one_program() | {".cargo/config.toml": configuration})
    made.doit().ok()
    (found,) = [c for c in made.inventory("solo")["components"] if c["name"] == "rust-std"]
    assert (found["role"], found["kind"]) == ("dynamic", "library")


def _reached(inventory: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    pending = [inventory["subject"]["ref"]]
    while pending:
        for used in inventory["dependencies"][pending.pop()]:
            if used not in found:
                found.add(used)
                pending.append(used)
    return found
