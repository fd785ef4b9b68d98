"""Which binaries there are, under which names, and how each is built: workspaces, features, profiles, tools."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .workspaces import Repository, host, library, manifest, one_program, program, repository

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


def _main(text: str) -> str:
    return f'fn main() {{ println!("{text}"); }}\n'


def _nested(folder: str, name: str, text: str) -> dict[str, str]:
    return {f"{folder}/{path}": content for path, content in one_program(name, _main(text)).items()}


def _artifacts(made: Repository) -> set[str]:
    listed = [line.split()[0] for line in made.doit("list").ok().out.splitlines()]
    return {name.removeprefix("cargo:").removesuffix(f"@{host()}") for name in listed if name.endswith(f"@{host()}")}


def _said(made: Repository, name: str, file: str | None = None) -> str:
    return made.run(str(made.folder(name) / (file or name))).ok().out.strip()


def test_workspaces_by_globs(tmp_path: Path) -> None:
    files = {**_nested("tools/a", "a", "a"), **_nested("tools/deep/b", "b", "b"), **_nested("c", "c", "c")}
    made = repository(tmp_path / "work", {**files, "provenance.toml": '[cargo]\nmanifests = ["tools/**/Cargo.toml"]\n'})
    assert _artifacts(made) == {"a", "b"}
    made.doit("-n", "2").ok()
    assert (_said(made, "a"), _said(made, "b")) == ("a", "b")
    made.doit("verify").ok()


def test_members_found_by_a_glob_are_their_workspace_once(tmp_path: Path) -> None:
    files = {
        "Cargo.toml": '[workspace]\nmembers = ["crates/*"]\nresolver = "2"\n',
        "crates/a/Cargo.toml": manifest("a"),
        "crates/a/src/main.rs": _main("a"),
        **{f"crates/{path}": text for path, text in library("b").items()},
        "provenance.toml": '[cargo]\nmanifests = ["crates/*/Cargo.toml", "Cargo.toml"]\n',
    }
    assert _artifacts(repository(tmp_path / "work", files)) == {"a"}


def test_glob_that_matches_nothing(tmp_path: Path) -> None:
    made = repository(
        tmp_path / "work", {**one_program(), "provenance.toml": '[cargo]\nmanifests = ["x/*/Cargo.toml"]\n'}
    )
    made.doit().failed(1, "`x/*/Cargo.toml` matches no file", "hint:")


REQUIRING = {
    "Cargo.toml": manifest(
        "pack",
        """
        [features]
        default = ["basic"]
        basic = []
        more = ["extra"]
        extra = []
        [[bin]]
        name = "plain"
        required-features = ["basic"]
        [[bin]]
        name = "rich"
        required-features = ["extra"]
        """,
    ),
    "Cargo.lock": one_program("pack")["Cargo.lock"],
    "src/bin/plain.rs": _main("plain {}").replace('");', '", cfg!(feature = \\"extra\\"));').replace('\\"', '"'),
    "src/bin/rich.rs": _main("rich"),
}


def test_binary_whose_features_are_off_is_not_listed(tmp_path: Path) -> None:
    assert _artifacts(repository(tmp_path / "work", REQUIRING)) == {"plain"}


def test_binary_whose_features_are_off_and_that_is_asked_for(tmp_path: Path) -> None:
    made = repository(tmp_path / "work", {**REQUIRING, "provenance.toml": '[cargo]\ninclude = ["plain", "rich"]\n'})
    made.doit().failed(1, "`rich` of package `pack` requires features that are off: extra", "cargo.features")


def test_feature_sets(tmp_path: Path) -> None:
    configuration = """
        [cargo.feature-sets.full]
        features = ["basic", "more"]
        [cargo.feature-sets.bare]
        no-default-features = true
        features = ["extra"]
        include = ["rich"]
    """
    made = repository(tmp_path / "work", {**REQUIRING, "provenance.toml": configuration})
    assert _artifacts(made) == {"plain", "plain+full", "rich+full", "rich+bare"}
    # The order in which a later call of cargo leaves another `plain` where the first one lay.
    made.doit("-n", "2", "cargo:rich+full", "cargo:plain", "cargo:plain+full", "cargo:rich+bare").ok()
    assert _said(made, "plain") == "plain false"
    assert _said(made, "plain+full", "plain") == "plain true"
    assert made.bytes_of("plain") != made.bytes_of("plain+full", "plain")
    parameters = made.provenance("rich+bare", "rich")["buildDefinition"]["externalParameters"]
    assert (parameters["features"], parameters["noDefaultFeatures"]) == (["extra"], True)
    made.doit("verify").ok()


def test_custom_profile(tmp_path: Path) -> None:
    profile = '\n[profile.shipping]\ninherits = "release"\npanic = "abort"\ndebug-assertions = true\n'
    files = one_program("solo", _main("{}").replace('"{}"', '"{}", cfg!(debug_assertions)'))
    configuration = '[cargo]\nprofile = "shipping"\n'
    made = repository(
        tmp_path / "work", {**files, "Cargo.toml": files["Cargo.toml"] + profile, "provenance.toml": configuration}
    )
    made.doit().ok()
    assert _said(made, "solo") == "true"
    assert made.provenance("solo")["buildDefinition"]["externalParameters"]["profile"] == "shipping"
    inputs = [
        d for d in made.provenance("solo")["buildDefinition"]["resolvedDependencies"] if d.get("name") == "inputs"
    ]
    assert inputs[0]["annotations"]["files"] == 3
    made.doit().ok()  # once more, as the binary's dependency file is known now
    made.doit("verify").ok()


def test_unknown_profile_is_cargo_s_own_error(tmp_path: Path) -> None:
    made = repository(tmp_path / "work", {**one_program(), "provenance.toml": '[cargo]\nprofile = "shipping"\n'})
    made.doit().failed(1, "profile `shipping` is not defined")


def test_two_workspaces_with_one_name(tmp_path: Path) -> None:
    files = {**_nested("a", "first", "a"), **_nested("b", "second", "b")}
    for folder in "ab":
        files |= {f"{folder}/src/bin/tool.rs": _main(f"tool of {folder}")}
    globs = '[cargo]\nmanifests = ["*/Cargo.toml"]\n'
    made = repository(tmp_path / "work", {**files, "provenance.toml": globs})
    made.doit().failed(1, f"two binaries would be `cargo:tool@{host()}`", '[cargo.rename] "second/tool"')
    made.write({"provenance.toml": globs + '[cargo.rename]\n"second/tool" = "tool-b"\n'})
    assert _artifacts(made) == {"first", "second", "tool", "tool-b"}
    made.doit().ok()
    assert (_said(made, "tool"), _said(made, "tool-b", "tool")) == ("tool of a", "tool of b")
    made.doit("verify").ok()


@pytest.mark.parametrize(
    ("threads", "order"), [("1", ("y", "tool-y", "x", "tool")), ("2", ("x", "y", "tool", "tool-y"))], ids=["one", "two"]
)
def test_two_packages_of_one_workspace_with_one_name(tmp_path: Path, threads: str, order: tuple[str, ...]) -> None:
    """Cargo leaves both where the other was; each artifact has its own bytes all the same."""
    files = {"Cargo.toml": '[workspace]\nmembers = ["x", "y"]\nresolver = "2"\n'}
    for name in ("x", "y"):
        files |= {f"{name}/Cargo.toml": manifest(name, "[lints]"), f"{name}/src/main.rs": _main(name)}
        files |= {f"{name}/src/bin/tool.rs": _main(f"tool of {name}")}
    made = repository(tmp_path / "work", {**files, "provenance.toml": '[cargo.rename]\n"y/tool" = "tool-y"\n'})
    made.lock()
    for _ in range(2):  # the second time cargo finds all of it fresh
        made.doit("-n", threads, *(f"cargo:{name}" for name in order)).ok()
        assert (_said(made, "tool"), _said(made, "tool-y", "tool")) == ("tool of x", "tool of y")
        assert made.inventory("tool-y", "tool")["subject"]["properties"]["cargo:package"] == "y"
        made.doit("verify").ok()


@pytest.mark.parametrize(("tool", "subcommand"), [("cargo-zigbuild", "zigbuild"), ("cross", "build")])
def test_other_tools_are_called_as_cargo_is(tmp_path: Path, tool: str, subcommand: str) -> None:
    """A stand-in notes how it is called and lets cargo do it; a glibc version is zigbuild's alone to understand."""
    version = ".2.17" if tool == "cargo-zigbuild" else ""
    # cross runs in a container, where the target folder lies elsewhere: its messages say so.
    built = tmp_path / "work" / "target"
    container = f"| sed 's#{built}/#/target/#g'" if tool == "cross" else ""
    program(
        tmp_path / "bin",
        tool,
        f"""
        printf '%s\\n' "$@" > {tmp_path}/argv
        shift
        for word; do
            shift
            case $word in {host()}.2.17) word={host()};; esac
            set -- "$@" "$word"
        done
        cargo build "$@" {container}
        """,
    )
    configuration = f'[cargo]\ntool = "{tool}"\ntargets = ["{host()}{version}"]\n'
    made = repository(tmp_path / "work", {**one_program(), "provenance.toml": configuration})
    path = f"{tmp_path / 'bin'}:{made.environ['PATH']}"
    made.doit(env={"PATH": path}).ok()
    argv = (tmp_path / "argv").read_text().splitlines()
    assert argv[0] == subcommand
    assert argv[argv.index("--target") + 1] == f"{host()}{version}"
    assert argv[argv.index("--profile") + 1] == "release"
    assert argv[argv.index("--bin") + 1] == "solo"
    assert {"--locked", "--message-format"} <= set(argv)
    parameters = made.provenance("solo")["buildDefinition"]["externalParameters"]
    assert (parameters["tool"], parameters["target"]) == (tool, f"{host()}{version}")
    assert made.inventory("solo")["completeness"] == "complete"
    made.doit("verify").ok()


@pytest.mark.parametrize("tool", ["cargo-zigbuild", "cross"])
def test_other_tool_that_is_missing(tmp_path: Path, tool: str) -> None:
    made = repository(tmp_path / "work", {**one_program(), "provenance.toml": f'[cargo]\ntool = "{tool}"\n'})
    ran = made.doit()
    assert ran.code == 1
    assert "zigbuild" in ran.said or "`cross` is not installed" in ran.said


def test_one_workspace_of_two_fails(tmp_path: Path) -> None:
    """With `--continue` the other one is built; without it all that was built before stays."""
    files = {**_nested("a", "bad", "a"), **_nested("b", "good", "b"), "a/src/main.rs": "fn main() { wrong }\n"}
    made = repository(tmp_path / "work", {**files, "provenance.toml": '[cargo]\nmanifests = ["*/Cargo.toml"]\n'})
    ran = made.doit("--continue").failed(1, "cannot find value `wrong`", f"error: `cargo:bad@{host()}`")
    assert ran.out.count("error: `cargo:") == 1  # the groups have nothing to add
    assert ran.out.index("cargo:good") < ran.out.index("error: `cargo:bad") < ran.out.index("cannot find value")
    assert not made.folder("bad").exists()
    made.doit("verify", "cargo:good").ok()
    made.doit("verify", "cargo:bad").failed(1, "build it first")


def test_workspace_whose_manifest_is_broken_is_one_failing_task(tmp_path: Path) -> None:
    files = {**one_program(), "Cargo.toml": "[package\n"}
    made = repository(tmp_path / "work", files)
    made.doit("list").failed(1, "can't tell what cargo builds", "Cargo.toml:1:9")
    made.doit().failed(1, "error: `cargo`", "Cargo.toml")


def test_discovery_builds_nothing(tmp_path: Path) -> None:
    made = repository(tmp_path / "work", one_program())
    made.doit("list").ok()
    assert not (made.root / "target").exists()
    assert not (made.root / "dist").exists()
    assert json.loads(made.run("cargo", "metadata", "--no-deps", "--format-version", "1").ok().out)["packages"]


def test_binary_that_another_package_keeps_to_itself(tmp_path: Path) -> None:
    """`--bin tool` would ask for the other package's too, whose feature is off."""
    files = {
        "Cargo.toml": '[workspace]\nmembers = ["x", "y"]\nresolver = "2"\n',
        "x/Cargo.toml": manifest("x"),
        "x/src/bin/tool.rs": _main("tool of x"),
        "y/Cargo.toml": manifest("y", '[features]\noff = []\n[[bin]]\nname = "tool"\nrequired-features = ["off"]'),
        "y/src/bin/tool.rs": _main("tool of y"),
        "y/src/main.rs": _main("y"),
    }
    made = repository(tmp_path / "work", files)
    made.lock()
    made.doit().ok()
    assert (_said(made, "tool"), _said(made, "y")) == ("tool of x", "y")


def test_workspaces_that_cargo_confuses_in_one_target_folder(tmp_path: Path) -> None:
    """It would find the second package up to date by the first one's binary, which would be signed as the second."""
    files = {f"{folder}/Cargo.toml": manifest("solo") for folder in ("one", "two")}
    files |= {f"{folder}/src/main.rs": f'fn main() {{ println!("{folder}") }}\n' for folder in ("one", "two")}
    settings = '[cargo]\nmanifests = ["*/Cargo.toml"]\n[cargo.rename]\n"two/Cargo.toml#solo" = "duo"\n'
    made = repository(tmp_path / "work", files | {"provenance.toml": settings})
    made.lock("one", "two")
    ran = made.doit(env={"CARGO_TARGET_DIR": str(tmp_path / "target")})
    ran.failed(1, "`one` and `two` build into one folder, and both have a package `solo` 0.1.0")
    made.doit().ok()
    for name, text in (("solo", "one"), ("duo", "two")):
        assert made.run(str(made.folder(name) / "solo")).ok().out == f"{text}\n"
