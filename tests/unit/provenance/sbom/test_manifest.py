from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.provenance.sbom.manifest import Manifests

if TYPE_CHECKING:
    from pathlib import Path


def _manifest(folder: Path, text: str, name: str = "pot") -> Path:
    (folder / name).mkdir(parents=True, exist_ok=True)
    path = folder / name / "Cargo.toml"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        '[package]\nname = "pot"\nlicense = "MIT"\n',
        '\ufeff[package]\nname = "pot"\nlicense = "MIT"\n',
        '[package] # the package\r\nname = "pot"\r\nlicense = "MIT"\r\n\r\n[dependencies]\r\n',
        '[features]\ndefault = []\n\n[package]\nname = "pot"\nlicense = "MIT"\n[package.metadata]\nx = 1\n[[bin]]\n',
        '[package]\nname = "pot"\ndescription = """\n[dependencies]\nlicense = "no"\n"""\nlicense = "MIT"\n[lib]\n',
        '[package]\nname = "pot"\nkeywords = [\n["a"],\n["b"]\n]\nlicense = "MIT"\n[lib]\n',
        '[ package ]\nname = "pot"\nlicense = "MIT"\n',
        'package.name = "pot"\npackage.license = "MIT"\n',
        'package = { name = "pot", license = "MIT" }\n',
    ],
)
def test_package_table_however_it_is_written(tmp_path: Path, text: str) -> None:
    """Only this table is cut out and read; where the cut is wrong, the whole file is read."""
    table = Manifests().package(_manifest(tmp_path, text))
    assert (table["name"], table["license"]) == ("pot", "MIT")


def test_a_table_is_read_although_another_is_broken(tmp_path: Path) -> None:
    assert Manifests().package(_manifest(tmp_path, '[package]\nname = "pot"\n[lib]\nx = '))["name"] == "pot"


@pytest.mark.parametrize("text", ["[package]\nname = ", "name = [[[", f"[package]\nname = {'[' * 100_000}"])
def test_damaged_manifest(tmp_path: Path, text: str) -> None:
    with pytest.raises(UnreadableError, match=r"`pot/Cargo\.toml` is no manifest"):
        Manifests().package(_manifest(tmp_path, text))


@pytest.mark.parametrize("text", ["", "[workspace]\n", "package = 1\n"])
def test_manifest_without_a_package(tmp_path: Path, text: str) -> None:
    assert Manifests().package(_manifest(tmp_path, text)) == {}


MEMBER = '[package]\nname = "pot"\nlicense.workspace = true\nauthors = { workspace = true }\nversion = "0.1.0"\n'
ROOT = '[workspace.package]\nlicense = "MIT"\nauthors = ["Ada <ada@tea.example>"]\nversion = "9.9.9"\n'


@pytest.mark.parametrize("place", ["pot", "crates/pot", "crates/deep/pot"])
def test_values_come_from_the_workspace_above(tmp_path: Path, place: str) -> None:
    (tmp_path / "Cargo.toml").write_text(ROOT)
    table = Manifests().package(_manifest(tmp_path, MEMBER, place))
    assert (table["license"], table["authors"], table["version"]) == ("MIT", ["Ada <ada@tea.example>"], "0.1.0")


def test_values_come_from_the_workspace_that_the_package_names(tmp_path: Path) -> None:
    (tmp_path / "Cargo.toml").write_text(ROOT.replace("MIT", "Zlib"))
    _manifest(tmp_path, ROOT, "other")
    named = MEMBER + 'workspace = "../other"\n'
    assert Manifests().package(_manifest(tmp_path, named))["license"] == "MIT"


def test_values_may_come_from_the_manifest_itself(tmp_path: Path) -> None:
    assert Manifests().package(_manifest(tmp_path, MEMBER + ROOT))["license"] == "MIT"


def test_workspace_that_can_not_be_read_leaves_a_value_unknown(tmp_path: Path) -> None:
    (tmp_path / "Cargo.toml").write_text("[workspace")
    assert Manifests().package(_manifest(tmp_path, MEMBER))["license"] is None


def test_each_manifest_is_read_once(tmp_path: Path) -> None:
    manifests = Manifests()
    path = _manifest(tmp_path, MEMBER + ROOT)
    first = manifests.package(path)
    path.unlink()
    assert manifests.package(path) is first
