from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.cargo.toolchain import Toolchain, ToolQueries
from doit_provenance.tasks.context import ShortMemory
from doit_provenance.tasks.programs import Programs

HOST = "x86_64-unknown-linux-gnu"
SOURCES = {
    "CARGO_ENCODED_RUSTFLAGS": "--cfg\x1fencoded",
    "RUSTFLAGS": "--cfg  plain",
    "target": ["--cfg", "target"],
    "build": ["--cfg", "build"],
}


@pytest.fixture
def toolchain(cargo: Any) -> Toolchain:
    return Toolchain(queries=ToolQueries(cargo.root))


@pytest.mark.parametrize("first", list(SOURCES))
def test_the_first_source_of_flags_counts_alone(
    cargo: Any, toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """CARGO_ENCODED_RUSTFLAGS, RUSTFLAGS, `target.*.rustflags`, `build.rustflags` (The Cargo Book)."""
    names = list(SOURCES)
    for name in names[names.index(first) :]:
        if name == "target":
            cargo.config |= {"target": {HOST: {"rustflags": SOURCES[name]}}}
        elif name == "build":
            cargo.config |= {"build": {"rustflags": SOURCES[name]}}
        else:
            monkeypatch.setenv(name, str(SOURCES[name]))
    expected = {"CARGO_ENCODED_RUSTFLAGS": "encoded", "RUSTFLAGS": "plain"}.get(first, first)
    assert toolchain.rustflags(HOST) == ("--cfg", expected)


@pytest.mark.parametrize("name", ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"])
def test_empty_variable_means_no_flags(
    cargo: Any, toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    cargo.config = {"build": {"rustflags": ["--cfg", "build"]}}
    monkeypatch.setenv(name, "")
    assert toolchain.rustflags(HOST) == ()


def test_flags_of_one_source_are_joined_in_cargos_order(
    cargo: Any, toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    cargo.config = {
        "target": {
            "cfg(unix)": {"rustflags": "-Cunix"},
            "cfg(windows)": {"rustflags": ["-Cwindows"]},
            HOST: {"rustflags": ["-Cfile"]},
            "aarch64-apple-darwin": {"rustflags": ["-Cother"]},
            'cfg(target_os = "linux")': {"rustflags": ["-Clinux"]},
        }
    }
    monkeypatch.setenv("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-Cvariable -Cagain")
    assert toolchain.rustflags(HOST) == ("-Cfile", "-Cvariable", "-Cagain", "-Cunix", "-Clinux")


def test_flags_of_build(cargo: Any, toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    cargo.config = {"build": {"rustflags": "-Cfile -Ctwo"}}
    monkeypatch.setenv("CARGO_BUILD_RUSTFLAGS", "-Cvariable")
    assert toolchain.rustflags(HOST) == ("-Cfile", "-Ctwo", "-Cvariable")


@pytest.mark.parametrize(
    "config", [{}, {"build": 1}, {"target": []}, {"target": {HOST: 1}}, {"build": {"rustflags": 7}}]
)
def test_no_flags(cargo: Any, toolchain: Toolchain, config: object) -> None:
    cargo.config = config
    assert toolchain.rustflags(HOST) == ()


def test_facts_are_asked_only_where_they_matter(cargo: Any, toolchain: Toolchain) -> None:
    cargo.config = {"target": {HOST: {"rustflags": ["-Cfile"]}}}
    toolchain.rustflags(HOST)
    assert not any("cfg" in argv for argv, _ in cargo.calls)


def test_environment_of_the_configuration(cargo: Any, toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    cargo.config = {
        "env": {
            "PLAIN": "plain",
            "TABLE": {"value": "table"},
            "RELATIVE": {"value": "a/b", "relative": True},
            "SET": "ignored",
            "FORCED": {"value": "forced", "force": True},
            "NUMBER": 7,
        }
    }
    monkeypatch.setenv("SET", "mine")
    monkeypatch.setenv("FORCED", "mine")
    assert toolchain.configured_environment() == {
        "PLAIN": "plain",
        "TABLE": "table",
        "RELATIVE": str(cargo.root / "a" / "b"),
        "FORCED": "forced",
    }


def test_compiler_is_the_one_that_cargo_calls(cargo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Toolchain(queries=ToolQueries(cargo.root)).rustc == "rustc"
    cargo.config = {"build": {"rustc": "/opt/rustc", "rustc-wrapper": "sccache"}}
    found = Toolchain(queries=ToolQueries(cargo.root))
    assert (found.rustc, found.host) == ("/opt/rustc", HOST)
    assert cargo.calls[-1][0] == ["/opt/rustc", "-vV"]
    monkeypatch.setenv("CARGO_BUILD_RUSTC", "two")
    assert Toolchain(queries=ToolQueries(cargo.root)).rustc == "two"
    monkeypatch.setenv("RUSTC", "one")
    assert Toolchain(queries=ToolQueries(cargo.root)).rustc == "one"


def test_version(toolchain: Toolchain) -> None:
    assert (toolchain.host, toolchain.version["release"], toolchain.version["commit-hash"]) == (
        HOST,
        "1.95.0",
        "abcdef",
    )


@pytest.mark.parametrize("version", ["", "rustc 1.95.0", "host: x\n", "release: 1\n"])
def test_other_answer_of_rustc(cargo: Any, toolchain: Toolchain, version: str) -> None:
    cargo.version = version
    with pytest.raises(ToolError, match="`rustc -vV` answered what was not understood"):
        toolchain.host  # noqa: B018 - asking is the test


@pytest.mark.parametrize("config", [b"", b"build.rustflags = []", b"[]", b"null", b"\xff"])
def test_other_answer_of_cargo(cargo: Any, toolchain: Toolchain, config: bytes) -> None:
    cargo.config = config
    with pytest.raises(ToolError, match="`cargo config get` answered"):
        toolchain.rustflags(HOST)


def test_programs_are_the_toolchains_own(cargo: Any, toolchain: Toolchain) -> None:
    digests = Programs(ShortMemory())
    assert toolchain.programs(digests) == {"rustc": ("1.95.0", ""), "cargo": ("1.95.0", "")}
    (cargo.root.parent / "sysroot" / "bin").mkdir(parents=True)
    (cargo.root.parent / "sysroot" / "bin" / "rustc").write_bytes(b"")
    sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    digests.forget()
    assert toolchain.programs(digests)["rustc"] == ("1.95.0", sha256)


def test_bootstrap_is_for_our_own_questions_alone(toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOIT_PROVENANCE_PASSPHRASE", "hunter2")
    assert toolchain.environment["RUSTC_BOOTSTRAP"] == "1"
    assert "hunter2" not in toolchain.environment.values()
    assert Path(toolchain.cwd).is_dir()
