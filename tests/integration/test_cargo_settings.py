"""What the user set for cargo counts for us: wrappers, flags, targets, toolchain, environment, generated code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .workspaces import Repository, host, library, manifest, one_program, program, repository

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

# `first` is used, or with `--cfg other` it is `second`.
CHOICE = {
    ".gitignore": "/target\n",
    "Cargo.toml": manifest(
        "choice",
        '[lints.rust]\nunexpected_cfgs = "allow"',
        dependencies=['first = { path = "first" }', 'second = { path = "second" }'],
    ),
    "src/main.rs": """
        #[cfg(not(other))]
        use first as chosen;
        #[cfg(other)]
        use second as chosen;
        fn main() { println!("{}", chosen::say()); }
    """,
    **library("first"),
    **library("second"),
}


def _choice(tmp_path: Path, *, configuration: str = "") -> Repository:
    made = repository(tmp_path / "work", CHOICE)
    if configuration:
        made.write({".cargo/config.toml": configuration})
    made.lock()
    return made


def _holds(made: Repository, package: str, name: str = "choice", *, verify: str = "cargo") -> None:
    """Hold that the binary runs with `package`, and the inventory knows it for certain."""
    assert made.run(str(made.folder(name) / name)).ok().out.strip() == package
    assert made.packages(name) == {package}
    assert made.inventory(name)["completeness"] == "complete"
    made.doit("verify", verify).ok()


def _wrapper(tmp_path: Path, name: str) -> tuple[str, Path]:
    log = tmp_path / f"{name}.log"
    path = program(tmp_path, name, f'printf \'%s\\n\' "$*" >> "{log}"\nexec "$@"\n')
    return str(path), log


def _compiled(log: Path) -> set[str]:
    """Return the crates that went through a wrapper to a real compilation."""
    words = [line.split() for line in log.read_text().splitlines() if "--emit" in line or "--emit=" in line]
    return {line[line.index("--crate-name") + 1] for line in words if "--crate-name" in line} - {"___"}


@pytest.mark.parametrize("way", ["variable", "configuration"])
def test_wrapper_sees_every_crate(tmp_path: Path, way: str) -> None:
    wrapper, log = _wrapper(tmp_path, "wrapper")
    made = _choice(tmp_path, configuration=f'[build]\nrustc-wrapper = "{wrapper}"\n' if way == "configuration" else "")
    made.doit(env={"RUSTC_WRAPPER": wrapper} if way == "variable" else {}).ok()
    assert _compiled(log) == {"first", "second", "choice"}
    assert "binary-dep-depinfo" not in log.read_text()  # what observes is no compilation of the user's
    _holds(made, "first")


def test_chained_wrappers_see_each_crate(tmp_path: Path) -> None:
    """As sccache in front of another one; the workspace's own is for its members, which path crates below it are."""
    outer, outer_log = _wrapper(tmp_path, "outer")
    inner, inner_log = _wrapper(tmp_path, "inner")
    made = _choice(tmp_path)
    made.doit(env={"RUSTC_WRAPPER": outer, "RUSTC_WORKSPACE_WRAPPER": inner}).ok()
    assert _compiled(outer_log) == {"first", "second", "choice"}
    assert {"choice"} <= _compiled(inner_log) <= {"first", "second", "choice"}
    _holds(made, "first")


def test_wrapper_may_write_to_standard_output(tmp_path: Path) -> None:
    """Its lines come between cargo's messages, or rustc's answers."""
    path = program(tmp_path, "loud", 'case "$*" in *--emit*) echo "{ not a message"; echo loud;; esac\nexec "$@"\n')
    made = _choice(tmp_path)
    made.doit(env={"RUSTC_WORKSPACE_WRAPPER": str(path)}).ok()
    _holds(made, "first")


@pytest.mark.parametrize(
    "configuration",
    [
        '[build]\nrustflags = ["--cfg", "other"]\n',
        '[build]\nrustflags = "--cfg other"\n',
        '[target.HOST]\nrustflags = ["--cfg=other"]\n',
        '[target.\'cfg(all(unix, not(windows)))\']\nrustflags = ["--cfg", "other"]\n',
        "[build]\nrustflags = []\n[target.'cfg(windows)']\n[target.HOST]\nrustflags = [\"--cfg=other\"]\n",
    ],
    ids=["list", "text", "target", "expression", "several"],
)
def test_flags_of_the_configuration_choose_the_crate(tmp_path: Path, configuration: str) -> None:
    made = _choice(tmp_path, configuration=configuration.replace("HOST", host()))
    made.doit().ok()
    _holds(made, "second")
    inputs = made.provenance("choice")["buildDefinition"]["internalParameters"]["rustflags"]
    assert " ".join(inputs) in {"--cfg other", "--cfg=other"}


@pytest.mark.parametrize(
    ("variable", "value", "target"),
    [
        ("RUSTFLAGS", "--cfg other", None),
        ("RUSTFLAGS", "--cfg other", "named"),
        ("CARGO_ENCODED_RUSTFLAGS", "--cfg\x1fother", None),
        ("CARGO_BUILD_RUSTFLAGS", "--cfg other", "named"),
    ],
)
def test_flags_of_the_environment_choose_the_crate(
    tmp_path: Path, variable: str, value: str, target: str | None
) -> None:
    made = _choice(tmp_path)
    if target:
        made.write({"provenance.toml": f'[cargo]\ntargets = ["{host()}"]\n'})
    made.doit(env={variable: value}).ok()
    _holds(made, "second")


def test_configuration_above_the_repository_counts(tmp_path: Path) -> None:
    made = _choice(tmp_path)
    (tmp_path / ".cargo").mkdir()
    (tmp_path / ".cargo" / "config.toml").write_text('[build]\nrustflags = ["--cfg", "other"]\n')
    made.doit().ok()
    _holds(made, "second")


@pytest.mark.parametrize("target", ['"HOST"', '["HOST"]', '"host-tuple"', '["HOST", "host-tuple"]'])
def test_target_of_the_configuration(tmp_path: Path, target: str) -> None:
    made = _choice(tmp_path, configuration=f"[build]\ntarget = {target}\n".replace("HOST", host()))
    made.doit().ok()
    assert (made.root / "target" / host() / "release" / "choice").exists()
    _holds(made, "first")


def test_several_targets_of_the_configuration(tmp_path: Path) -> None:
    """Each is an artifact; which standard libraries are installed is another question."""
    made = _choice(tmp_path, configuration=f'[build]\ntarget = ["{host()}", "riscv64gc-unknown-linux-gnu"]\n')
    listed = {line.split()[0] for line in made.doit("list").ok().out.splitlines()}
    assert {f"cargo:choice@{host()}", "cargo:choice@riscv64gc-unknown-linux-gnu"} <= listed
    made.doit(f"cargo:choice@{host()}").ok()
    _holds(made, "first", verify=f"cargo:choice@{host()}")


def test_target_folder_elsewhere(tmp_path: Path) -> None:
    """As the configuration says, intermediate files in a third place."""
    made = _choice(tmp_path, configuration='[build]\ntarget-dir = "../out of tree"\nbuild-dir = "../between"\n')
    made.doit().ok()
    assert not (made.root / "target").exists()
    assert (tmp_path / "out of tree" / "release" / "choice").exists()
    _holds(made, "first")


def test_toolchain_file(tmp_path: Path) -> None:
    toolchain = repository(tmp_path / "probe").run("rustup", "show", "active-toolchain").ok().out.split()[0]
    made = _choice(tmp_path)
    made.write({"rust-toolchain.toml": f'[toolchain]\nchannel = "{toolchain}"\n'})
    made.doit().ok()
    _holds(made, "first")
    before = _inputs(made)
    made.write({"rust-toolchain.toml": f'# the same\n[toolchain]\nchannel = "{toolchain}"\n'})
    made.doit().ok()
    assert _inputs(made)["files"] == before["files"]


def test_toolchain_that_is_not_installed(tmp_path: Path) -> None:
    made = _choice(tmp_path)
    made.write({"rust-toolchain.toml": '[toolchain]\nchannel = "1.2.3"\n'})
    ran = made.doit(env={"RUSTUP_AUTO_INSTALL": "0"})
    ran.failed(1, "1.2.3", "not installed")


GENERATED = {
    "Cargo.toml": manifest(
        "generated", '[build-dependencies]\nmaker = { path = "maker" }', dependencies=["x = { path = 'x' }"]
    ),
    ".cargo/config.toml": """
        [env]
        PLAIN = "plain"
        FORCED = { value = "forced", force = true }
        FOLDER = { value = "data", relative = true }
    """,
    "data/text.txt": "text",
    "build.rs": """
        fn main() {
            let folder = std::env::var("OUT_DIR").unwrap();
            std::fs::write(format!("{folder}/code.rs"), maker::code()).unwrap();
            println!("cargo::rerun-if-changed=data");
            println!("cargo::rustc-env=FROM_SCRIPT=script");
        }
    """,
    "src/main.rs": """
        include!(concat!(env!("OUT_DIR"), "/code.rs"));
        fn main() {
            print!("{} {} {} ", env!("PLAIN"), env!("FORCED"), env!("FROM_SCRIPT"));
            print!("{} ", include_str!(concat!(env!("FOLDER"), "/text.txt")));
            print!("{} {} ", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION_MINOR"));
            print!("{} {} ", env!("CARGO_BIN_NAME"), env!("CARGO_CRATE_NAME"));
            println!("{} {}", option_env!("CARGO_PRIMARY_PACKAGE").is_some(), made());
        }
    """,
    **library("x"),
    **library("maker", 'pub fn code() -> &\'static str { "fn made() -> String { x::say() }" }\n'),
}


def test_environment_and_generated_code(tmp_path: Path) -> None:
    """The crate is named in generated code alone, and its text in a variable of the configuration."""
    made = repository(tmp_path / "work", GENERATED, FORCED="from outside")
    made.lock()
    made.doit().ok()
    said = made.run(str(made.folder("generated") / "generated")).ok().out
    assert said == "plain forced script text generated 1 generated generated true x\n"
    assert made.packages("generated") == {"x"}
    assert made.packages("generated", "build") == {"rustc", "cargo", "maker"}
    assert made.inventory("generated")["completeness"] == "complete"


def test_edit_of_what_is_included_is_seen(tmp_path: Path) -> None:
    made = repository(tmp_path / "work", GENERATED)
    made.lock()
    made.doit().ok()
    before = _inputs(made)
    made.write({"data/text.txt": "other"})
    made.doit().ok()
    assert " other " in made.run(str(made.folder("generated") / "generated")).ok().out
    assert _inputs(made) != before


def test_settings_that_choose_are_in_the_provenance(tmp_path: Path) -> None:
    secrets = {"CARGO_REGISTRY_TOKEN": "not for anybody", "CARGO_REGISTRIES_OWN_TOKEN": "not for anybody"}
    made = repository(tmp_path / "work", one_program())
    made.doit(env={"CARGO_PROFILE_RELEASE_OPT_LEVEL": "1", **secrets}).ok()
    definition = made.provenance("solo")["buildDefinition"]
    assert definition["internalParameters"]["environment"] == {"CARGO_PROFILE_RELEASE_OPT_LEVEL": "1"}
    assert "not for anybody" not in str(made.provenance("solo"))


def test_build_script_that_the_configuration_overrides(tmp_path: Path) -> None:
    """No message of cargo's tells what the configuration says in the script's place."""
    made = _choice(
        tmp_path,
        configuration=f"""
        [target.{host()}.tea]
        rustc-cfg = ["other"]
        rustc-env = {{ TEXT = "second" }}
    """,
    )
    text = made.root.joinpath("Cargo.toml").read_text().replace("[package]", '[package]\nlinks = "tea"')
    main = CHOICE["src/main.rs"].replace("chosen::say()", 'chosen::say().replace("second", env!("TEXT"))')
    made.write({"Cargo.toml": text, "build.rs": "fn main() { panic!() }", "src/main.rs": main})
    made.doit().ok()
    _holds(made, "second")


def _inputs(made: Repository) -> dict[str, object]:
    names = [p.name for p in (made.root / "dist" / "cargo").iterdir()]
    found = [
        d for d in made.provenance(names[0])["buildDefinition"]["resolvedDependencies"] if d.get("name") == "inputs"
    ]
    return {"files": found[0]["annotations"]["files"], **found[0]["digest"]}
