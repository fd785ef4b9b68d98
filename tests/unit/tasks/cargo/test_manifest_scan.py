"""A survey finds what cargo looks at, in manifests as they are and where others may come to lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.cargo.fingerprint import Probe, probe_key
from doit_provenance.tasks.cargo.manifest_scan import (
    cargo_home,
    configuration_files,
    package_settings,
    read_configuration,
    rustup_home,
    scan_manifests,
    toolchain_files,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARGO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RUSTUP_HOME", str(tmp_path / "rustup"))


def _write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


PACKAGE = '[package]\nname = "x"\nversion = "1.0.0"\n'


@pytest.mark.parametrize(
    "table",
    [
        '[dependencies]\npart = { path = "../part" }',
        '[dev-dependencies]\npart = { path = "../part" }',
        '[build-dependencies.part]\npath = "../part"',
        "[target.'cfg(unix)'.dependencies]\npart = { path = \"../part\" }",
        '[workspace.dependencies]\npart = { path = "../part" }',
        '[patch.crates-io]\npart = { path = "../part" }',
        '[patch."https://tea.example/pot"]\npart = { path = "../part" }',
        '[replace]\n"part:1.0.0" = { path = "../part" }',
        '[workspace]\nmembers = ["../part"]',
        '[workspace]\nmembers = ["../p*"]',
        '[workspace]\nmembers = ["."]\ndefault-members = ["../[op]art"]',
    ],
)
def test_manifest_leads_to_another(tmp_path: Path, table: str) -> None:
    _write(tmp_path, {"own/Cargo.toml": PACKAGE + table, "part/Cargo.toml": PACKAGE, "zone/Cargo.toml": PACKAGE})
    found = scan_manifests([tmp_path / "own" / "Cargo.toml"])
    others = {path.parent.name for path in found.manifests} - {"own"}
    # A pattern counts as matching any name: rather too much is watched than too little.
    assert others == ({"part", "zone"} if "../p*" in table or "[op]" in table else {"part"})
    assert found.certain


@pytest.mark.parametrize(
    "text",
    ['[patch.crates-io]\npart = { path = "part" }', 'paths = ["part"]', '[patch.x]\npart = { path = "./part/" }'],
)
def test_configuration_leads_to_a_manifest(tmp_path: Path, text: str) -> None:
    _write(tmp_path, {".cargo/config.toml": text, "own/Cargo.toml": PACKAGE, "part/Cargo.toml": PACKAGE})
    found = scan_manifests([tmp_path / "own" / "Cargo.toml"])
    assert tmp_path / "part" / "Cargo.toml" in found.manifests


def test_what_may_come_to_lie_there_counts(tmp_path: Path) -> None:
    _write(tmp_path, {"a/own/Cargo.toml": PACKAGE + '[workspace]\nmembers = ["x/*"]\n'})
    probes = scan_manifests([tmp_path / "a" / "own" / "Cargo.toml"]).probes
    own = tmp_path / "a" / "own"
    for name in ("src/lib.rs", "src/main.rs", "build.rs", "README.md"):
        assert probe_key(Probe.PRESENCE, own / name) in probes
    assert probe_key(Probe.PROGRAMS, own / "src" / "bin") in probes
    assert probe_key(Probe.MEMBERS, own / "x" / "*") in probes
    files = [own / ".cargo/config.toml", tmp_path / "rust-toolchain", tmp_path / "a/Cargo.toml", Path("/Cargo.toml")]
    assert {probe_key(Probe.FILE, path) for path in files} <= probes
    assert probe_key(Probe.LINKS, tmp_path / "rustup" / "toolchains") in probes


def test_root_that_a_package_names(tmp_path: Path) -> None:
    _write(tmp_path, {"own/Cargo.toml": PACKAGE + 'workspace = "../root"\n', "root/Cargo.toml": "[workspace]\n"})
    assert tmp_path / "root" / "Cargo.toml" in scan_manifests([tmp_path / "own" / "Cargo.toml"]).manifests


@pytest.mark.parametrize("text", ["[package", '[workspace]\nmembers = ["a/**"]'])
def test_what_is_not_understood_is_uncertain(tmp_path: Path, text: str) -> None:
    _write(tmp_path, {"Cargo.toml": text})
    assert not scan_manifests([tmp_path / "Cargo.toml"]).certain


def test_manifest_that_can_not_be_read_is_uncertain(tmp_path: Path) -> None:
    (tmp_path / "Cargo.toml").mkdir()
    assert not scan_manifests([tmp_path / "Cargo.toml"]).certain


def test_circle_of_manifests_ends(tmp_path: Path) -> None:
    for one, other in (("a", "b"), ("b", "a")):
        _write(tmp_path, {f"{one}/Cargo.toml": f'{PACKAGE}[dependencies]\n{other} = {{ path = "../{other}" }}\n'})
    assert len(scan_manifests([tmp_path / "a" / "Cargo.toml"]).manifests) == 2


def _settings(
    root: Path, own: str, above: str = "[workspace.package]\nversion = '2.0.0'\nedition = '2021'\n"
) -> object:
    _write(root, {"Cargo.toml": above, "own/Cargo.toml": own})
    manifest = root / "own" / "Cargo.toml"
    return package_settings(manifest, scan_manifests([manifest]).manifests)


def test_settings_are_what_the_unit_graph_does_not_show(tmp_path: Path) -> None:
    plain = _settings(tmp_path, PACKAGE)
    same = (
        PACKAGE
        + "# note\n[dependencies]\nx = '1'\n[features]\na = []\n[profile.dev]\n[lints.rust]\n[[bin]]\nname = 'y'\n"
    )
    assert _settings(tmp_path, same) == plain
    assert _settings(tmp_path, PACKAGE + "description = 'x'\n") != plain
    assert _settings(tmp_path, PACKAGE + "[package.metadata.tea]\npot = 1\n") != plain
    (tmp_path / "own" / "README.md").write_text("")
    assert _settings(tmp_path, PACKAGE) != plain


def test_settings_take_what_is_inherited_and_nothing_else(tmp_path: Path) -> None:
    own = '[package]\nname = "x"\nversion.workspace = true\n'
    found = _settings(tmp_path, own)
    assert _settings(tmp_path, own, "[workspace.package]\nversion = '2.0.0'\nedition = '2024'\n") == found
    assert _settings(tmp_path, own, "[workspace.package]\nversion = '2.0.1'\n") != found
    assert os.fspath(tmp_path) not in repr(found)


def _write_file(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_every_folder_up_to_the_filesystems_root_and_the_home(tmp_path: Path) -> None:
    found = configuration_files(tmp_path / "a" / "b")
    for folder in (tmp_path / "a" / "b", tmp_path / "a", tmp_path, Path("/")):
        assert {folder / ".cargo" / "config.toml", folder / ".cargo" / "config"} <= set(found)
    assert {tmp_path / "home" / "config.toml", tmp_path / "home" / "config"} <= set(found)
    assert len(found) == len(set(found))


def test_toolchain_files_up_to_the_filesystems_root(tmp_path: Path) -> None:
    found = toolchain_files(tmp_path)
    assert {tmp_path / "rust-toolchain.toml", tmp_path / "rust-toolchain", Path("/rust-toolchain.toml")} <= set(found)


def test_homes_without_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CARGO_HOME", "RUSTUP_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (cargo_home(), rustup_home()) == (tmp_path / ".cargo", tmp_path / ".rustup")


def test_included_files_count_with_what_they_include(tmp_path: Path) -> None:
    """The second one need not be there: then it is its coming that counts."""
    _write_file(
        tmp_path / "work" / ".cargo" / "config.toml", 'include = ["one.toml", {path = "gone.toml", optional = true}]'
    )
    _write_file(tmp_path / "work" / ".cargo" / "one.toml", 'include = "../../two.toml"')
    _write_file(tmp_path / "two.toml", 'include = "work/.cargo/one.toml"')
    found = configuration_files(tmp_path / "work")
    assert {tmp_path / "work/.cargo/one.toml", tmp_path / "work/.cargo/gone.toml", tmp_path / "two.toml"} <= set(found)


def test_what_only_cargo_understands(tmp_path: Path) -> None:
    """It matters where the file may lead to others, which are not known then."""
    assert read_configuration(_write_file(tmp_path / "a", "a = {\n b = 1,\n}\n[build]\n")) == {}
    with pytest.raises(ToolError, match="can't be understood"):
        read_configuration(_write_file(tmp_path / "b", "include = [\n a = {\n}"))
    assert read_configuration(tmp_path / "gone") == {}
