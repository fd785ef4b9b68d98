"""The toolchain in force in a workspace, and what its programs answer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.cargo.toolchain import Toolchain, ToolQueries, compiler_files, is_understood, matches
from doit_provenance.tasks.memory import ShortMemory
from doit_provenance.tasks.programs import Programs, find_program

if TYPE_CHECKING:
    from collections.abc import Sequence


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


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []

    def capture(argv: Sequence[str], **_: object) -> bytes:
        found.append(" ".join(argv))
        return f"{len(found)}\n".encode()

    monkeypatch.setattr("doit_provenance.tasks.cargo.toolchain.capture", capture)
    return found


def test_once_in_a_run(tmp_path: Path, asked: list[str]) -> None:
    one = ToolQueries(tmp_path)
    assert [one.ask(["a"]), one.ask(["a"]), one.ask(["b"])] == ["1\n", "1\n", "2\n"]
    assert asked == ["a", "b"]


def test_what_was_asked_before_it_was_kept_is_kept_too(tmp_path: Path, asked: list[str]) -> None:
    memory = ShortMemory()
    first = ToolQueries(tmp_path)
    first.ask(["a"])
    first.keep(memory, "ground")
    first.ask(["b"])
    later = ToolQueries(tmp_path)
    later.keep(memory, "ground")
    assert (later.ask(["a"]), later.ask(["b"])) == ("1\n", "2\n")
    assert asked == ["a", "b"]


@pytest.mark.parametrize("place", ["same", "other"])
def test_nothing_is_believed_on_another_ground_or_in_another_folder(
    tmp_path: Path, asked: list[str], place: str
) -> None:
    memory = ShortMemory()
    first = ToolQueries(tmp_path / "same")
    first.keep(memory, "ground")
    first.ask(["a"])
    later = ToolQueries(tmp_path / place)
    later.keep(memory, "ground" if place == "other" else "another")
    later.ask(["a"])
    assert asked == ["a", "a"]


def test_unkept_is_not_remembered(tmp_path: Path, asked: list[str]) -> None:
    for _ in range(2):
        ToolQueries(tmp_path).ask(["a"])
    assert asked == ["a", "a"]


FACTS = frozenset({"unix", "debug_assertions", 'target_os="linux"', 'target_arch="x86_64"', 'target_feature="sse2"'})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cfg(unix)", True),
        ("cfg(windows)", False),
        ('cfg(target_os = "linux")', True),
        ('cfg(target_os="linux")', True),
        ('cfg(target_os = "macos")', False),
        ("cfg(target_os)", False),
        ('cfg(unix = "x")', False),
        ("cfg(all())", True),
        ("cfg(any())", False),
        ("cfg(all(unix, windows))", False),
        ("cfg(any(windows, unix,))", True),
        ("cfg(not(windows))", True),
        ("cfg(not(unix))", False),
        ('cfg(all(unix, not(target_os = "macos"), any(target_arch = "x86_64", windows)))', True),
        (" cfg ( all ( unix , debug_assertions ) ) ", True),
        ("cfg(true)", True),
        ("cfg(false)", False),
        ('cfg(target_feature = "sse2")', True),
        ('cfg(x = "a, b) = (")', False),
    ],
)
def test_expressions(expression: str, expected: bool) -> None:  # noqa: FBT001 - from the table
    assert matches(expression, FACTS) is expected


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "unix",
        "cfg",
        "cfg(",
        "cfg()",
        "cfg(unix",
        "cfg(unix))",
        "cfg(unix) x",
        "cfg(unix windows)",
        "cfg(all(unix windows))",
        "cfg(all(unix)",
        "cfg(not())",
        "cfg(not(unix, windows))",
        "cfg(some(unix))",
        "cfg(target_os =)",
        "cfg(target_os = linux)",
        'cfg("unix")',
        "cfg(=)",
        "cfg(,)",
        "cfg(all(,))",
        'cfg(target_os = "linux)',
        "cfg(unix && windows)",
        "x86_64-unknown-linux-gnu",
        f"cfg({'not(' * 3000}unix{')' * 3000})",
    ],
)
def test_what_is_no_expression(expression: str) -> None:
    with pytest.raises(ToolError, match="is no cfg expression"):
        matches(expression, FACTS)


_WORDS = ["cfg", "(", ")", ",", "=", "all", "not", "any", "unix", '"linux"', "target_os", " "]
_PIECES = st.lists(st.sampled_from(_WORDS))


@given(expression=st.text(max_size=30) | _PIECES.map("".join) | _PIECES.map(lambda found: f"cfg({''.join(found)})"))
def test_any_text_is_an_expression_or_a_tool_error(expression: str) -> None:
    try:
        assert matches(expression, FACTS) in {True, False}
    except ToolError as error:
        assert "is no cfg expression" in error.message  # noqa: PT017 - an error is one of two right answers


def _program(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_first_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = _program(tmp_path / "b" / "tea")
    (tmp_path / "a" / "tea").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "tea").write_text("not executable")
    monkeypatch.setenv("PATH", os.pathsep.join(str(tmp_path / name) for name in "acb"))
    assert find_program("tea", tmp_path) == second
    assert find_program("pot", tmp_path) is None


def test_path_starts_from_the_base(tmp_path: Path) -> None:
    made = _program(tmp_path / "tools" / "tea")
    assert find_program("tools/tea", tmp_path) == made
    assert find_program(str(made), tmp_path / "elsewhere") == made
    assert find_program("tools/pot", tmp_path) is None


def test_understood_are_the_toolchains_own_and_rustups(tmp_path: Path) -> None:
    sysroot = tmp_path / "toolchain"
    own = _program(sysroot / "bin" / "cargo")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cargo").symlink_to(own)
    assert is_understood(own, sysroot)
    assert is_understood(tmp_path / "bin" / "cargo", sysroot)
    proxy = _program(tmp_path / "home" / "rustup")
    (tmp_path / "home" / "cargo").symlink_to("rustup")
    (tmp_path / "home" / "rustc").hardlink_to(proxy)
    assert is_understood(tmp_path / "home" / "cargo", sysroot)
    assert is_understood(tmp_path / "home" / "rustc", sysroot)


def test_a_script_is_not_understood(tmp_path: Path) -> None:
    _program(tmp_path / "toolchain" / "bin" / "cargo")
    shim = _program(tmp_path / "shims" / "cargo", "#!/bin/sh\n")
    assert not is_understood(shim, tmp_path / "toolchain")
    _program(tmp_path / "shims" / "rustup", "#!/bin/sh\n")
    assert not is_understood(shim, tmp_path / "toolchain"), "another file of that name beside it"
    assert not is_understood(tmp_path / "gone" / "cargo", tmp_path / "toolchain")


def test_compiler_is_its_library_and_the_standard_one_of_each_target(tmp_path: Path) -> None:
    names = (
        "bin/rustc", "lib/librustc_driver-1.so", "lib/rustlib/x/lib/libstd-1.rlib", "lib/rustlib/y/lib/libstd-2.rlib",
        "lib/rustlib/z/lib/libstd-3.rlib", "lib/other.so",
    )  # fmt: skip
    for name in names:
        _program(tmp_path / name)
    found = [path.relative_to(tmp_path).as_posix() for path in compiler_files(tmp_path, ("y", "x", "x"))]
    assert found == list(names[:4])
