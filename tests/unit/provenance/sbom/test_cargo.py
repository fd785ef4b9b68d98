"""Cargo's own formats, in all the ways that its versions wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.provenance.sbom.cargo import (
    Locked,
    PackageId,
    component,
    local_folder,
    package_url,
    parse_package_id,
    read_lock,
)
from doit_provenance.provenance.sbom.inventory import Component, Role
from doit_provenance.provenance.sbom.party import Party

if TYPE_CHECKING:
    from collections.abc import Mapping

REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"
SPARSE = f"sparse+https://{'index'}.crates.io/"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SUM = "ab" * 32
PROJECT = Party(name="Tea")

LEAF = PackageId(name="leaf", version="1.0.0", source=REGISTRY)


@pytest.mark.parametrize(
    ("text", "name", "version", "source"),
    [
        (f"{REGISTRY}#leaf@1.0.0", "leaf", "1.0.0", REGISTRY),
        (f"leaf 1.0.0 ({REGISTRY})", "leaf", "1.0.0", REGISTRY),
        (f"{SPARSE}#leaf@1.0.0-rc.1+up.2", "leaf", "1.0.0-rc.1+up.2", SPARSE),
        ("sparse+https://tea.example/index/#leaf@1.0.0", "leaf", "1.0.0", "sparse+https://tea.example/index/"),
        ("path+file:///srv/tea#0.1.0", "tea", "0.1.0", None),
        ("path+file:///srv/tea%20pots/pot#0.1.0", "pot", "0.1.0", None),
        ("path+file:///srv/tea#pot@0.1.0", "pot", "0.1.0", None),
        ("path+file:///C:/tea/pot#0.1.0", "pot", "0.1.0", None),
        ("tea 0.1.0 (path+file:///srv/tea (old))", "tea", "0.1.0", None),
        ("git+https://tea.example/pot#0.1.0", "pot", "0.1.0", "git+https://tea.example/pot"),
        ("git+https://tea.example/pot.git#0.1.0", "pot", "0.1.0", "git+https://tea.example/pot.git"),
        ("git+https://tea.example/pot?rev=abc#lid@0.1.0", "lid", "0.1.0", "git+https://tea.example/pot?rev=abc"),
        ("git+https://tea.example/pot?tag=a%2Fb#0.1.0", "pot", "0.1.0", "git+https://tea.example/pot?tag=a/b"),
        (f"pot 0.1.0 (git+ssh://git@tea.example/pot#{COMMIT})", "pot", "0.1.0", "git+ssh://git@tea.example/pot"),
    ],
)
def test_package_ids(text: str, name: str, version: str, source: str | None) -> None:
    assert parse_package_id(text) == PackageId(name=name, version=version, source=source)


@given(text=st.text(max_size=40))
def test_any_text_is_a_package_id_or_unreadable(text: str) -> None:
    try:
        found = parse_package_id(text)
    except UnreadableError:
        return
    assert "#" not in (found.source or "")


@pytest.mark.parametrize("text", ["", "leaf", "leaf 1.0.0", "#1.0.0", "path+file:///srv/tea", "a#b@c@d"])
def test_other_text_is_no_package_id(text: str) -> None:
    with pytest.raises(UnreadableError, match="is no package id of cargo's"):
        parse_package_id(text)


def _lock(folder: Path, text: str) -> Mapping[PackageId, Locked]:
    path = folder / "Cargo.lock"
    path.write_text(text)
    return read_lock(path)


V1 = f"""
[root]
name = "tea"
version = "0.1.0"

[[package]]
name = "leaf"
version = "1.0.0"
source = "{REGISTRY}"

[[package]]
name = "pot"
version = "0.1.0"
source = "git+https://tea.example/pot?branch=main#{COMMIT}"

[metadata]
"checksum leaf 1.0.0 ({REGISTRY})" = "{SUM}"
"checksum pot 0.1.0 (git+https://tea.example/pot?branch=main#{COMMIT})" = "<none>"
"""


def _modern(version: str, branch: str = "main") -> str:
    return f"""
{version}

[[package]]
name = "leaf"
version = "1.0.0"
source = "{REGISTRY}"
checksum = "{SUM}"

[[package]]
name = "pot"
version = "0.1.0"
source = "git+https://tea.example/pot?branch={branch}#{COMMIT}"

[[package]]
name = "tea"
version = "0.1.0"
dependencies = ["leaf", "pot 0.1.0"]
"""


POT = PackageId(name="pot", version="0.1.0", source="git+https://tea.example/pot?branch=main")


@pytest.mark.parametrize("text", [V1, *map(_modern, ("", "version = 3", "version = 4"))], ids=["1", "2", "3", "4"])
def test_lock_of_each_version(tmp_path: Path, text: str) -> None:
    found = _lock(tmp_path, text)
    assert found[LEAF] == Locked(checksum=SUM, commit=None)
    assert found[POT] == Locked(checksum=None, commit=COMMIT)


def test_path_packages_have_neither_checksum_nor_commit(tmp_path: Path) -> None:
    found = _lock(tmp_path, _modern("version = 4"))
    assert found[PackageId(name="tea", version="0.1.0", source=None)] == Locked(checksum=None, commit=None)


@pytest.mark.parametrize(("version", "branch"), [("version = 3", "feat/x+1"), ("version = 4", "feat%2Fx%2B1")])
def test_branch_is_found_by_the_id_that_cargo_prints(tmp_path: Path, version: str, branch: str) -> None:
    """Ids encode a branch's name as a URL does; the lock file does only from version 4 on."""
    package = parse_package_id("git+https://tea.example/pot?branch=feat%2Fx%2B1#0.1.0")
    assert _lock(tmp_path, _modern(version, branch))[package].commit == COMMIT


@pytest.mark.parametrize(
    "text",
    [
        "<<<<<<< HEAD",
        '[[package]]\nname = "leaf"',
        "package = 1",
        "package = ['leaf']",
        "metadata = 1",
        '[[package]]\nname = "leaf"\nversion = "1"\nsource = 1',
        '[[package]]\nname = ["leaf"]\nversion = "1"',
        f"a = {'[' * 100_000}",
    ],
)
def test_damaged_lock(tmp_path: Path, text: str) -> None:
    with pytest.raises(UnreadableError, match=r"`Cargo\.lock` is no lock file of cargo's") as caught:
        _lock(tmp_path, text)
    assert caught.value.hint == "restore it from git, or let cargo make it again"


def test_lock_that_is_no_text_or_missing(tmp_path: Path) -> None:
    (tmp_path / "Cargo.lock").write_bytes(b"\xff\xfe")
    with pytest.raises(UnreadableError, match="is no lock file"):
        read_lock(tmp_path / "Cargo.lock")
    with pytest.raises(UnreadableError, match="No such file"):
        read_lock(tmp_path / "none" / "Cargo.lock")


GIT = "git+https://tea.example/pot"


@pytest.mark.parametrize(
    ("source", "commit", "project", "expected"),
    [
        (REGISTRY, None, "https://tea.example", "pkg:cargo/pot@1.0.0"),
        (SPARSE, None, None, "pkg:cargo/pot@1.0.0"),
        (None, None, None, "pkg:generic/pot@1.0.0"),
        (None, None, "https://tea.example", "pkg:cargo/pot@1.0.0?vcs_url=git%2Bhttps://tea.example"),
        (f"{GIT}?rev=ab", COMMIT, None, f"pkg:cargo/pot@1.0.0?vcs_url=git%2Bhttps://tea.example/pot%40{COMMIT}"),
        (GIT, None, None, "pkg:cargo/pot@1.0.0?vcs_url=git%2Bhttps://tea.example/pot"),
        (
            "sparse+https://tea.example/index/",
            None,
            None,
            "pkg:cargo/pot@1.0.0?repository_url=https://tea.example/index/",
        ),
        ("registry+file:///srv/index", None, None, "pkg:generic/pot@1.0.0"),
        ("git+file:///srv/pot", COMMIT, None, "pkg:generic/pot@1.0.0"),
    ],
)
def test_package_url_says_where_a_package_is_from(
    source: str | None, commit: str | None, project: str | None, expected: str
) -> None:
    package = PackageId(name="pot", version="1.0.0", source=source)
    assert package_url(package, Locked(checksum=None, commit=commit), project) == expected


def test_package_url_of_a_version_with_a_build_part() -> None:
    package = PackageId(name="pot", version="1.0.0+up.2", source=REGISTRY)
    assert package_url(package, None, None) == "pkg:cargo/pot@1.0.0%2Bup.2"


def _component(source: str | None = REGISTRY, locked: Locked | None = None, **table: object) -> Component:
    package = PackageId(name="pot", version="1.0.0", source=source)
    return component(
        package,
        ref="pot",
        purl=package_url(package, locked, "https://tea.example/tea"),
        role=Role.LINKED,
        features=("lid", "std"),
        table=table,
        locked=locked,
        project=PROJECT,
    )


@pytest.mark.parametrize(
    "source",
    [
        "git+https://ada:SECRET@tea.example/pot?branch=main",
        "git+https://SECRET@tea.example/pot",
        "git+ssh://git:SECRET@tea.example/pot",
        "sparse+https://ada:SECRET@tea.example/index/",
        "registry+https://SECRET@tea.example/index",
        "registry+https://a@SECRET@tea.example/index",
    ],
)
def test_password_in_a_dependencys_address_is_not_published(source: str) -> None:
    found = _component(source, Locked(checksum=None, commit=COMMIT))
    assert "SECRET" not in repr(found)
    assert "tea.example" in (found.purl or "")


def test_user_of_an_ssh_address_stays() -> None:
    found = _component("git+ssh://git@tea.example/pot", Locked(checksum=None, commit=COMMIT))
    assert found.download == f"git+ssh://git@tea.example/pot@{COMMIT}"
    assert found.supplier == Party(name="tea.example/pot")


@pytest.mark.parametrize("source", ["git+file:///srv/SECRET", "registry+file:///srv/SECRET"])
def test_path_of_this_machine_is_not_published(source: str) -> None:
    found = _component(source, Locked(checksum=None, commit=COMMIT))
    assert "SECRET" not in repr(found)
    assert (found.download, found.supplier) == (None, PROJECT)


def test_component_of_the_registry() -> None:
    found = _component(
        locked=Locked(checksum=SUM, commit=None),
        license="MIT/Apache-2.0",
        authors=["Ada <ada@tea.example>", 7, "Bob"],
        description=" a \n pot ",
        homepage="https://tea.example",
        repository="git@tea.example:pot",
    )
    assert found.hashes == {"sha256": SUM}
    assert found.licence == "MIT OR Apache-2.0"
    assert found.supplier == Party(name="crates.io")
    assert found.authors == (Party(name="Ada", email="ada@tea.example", person=True), Party(name="Bob", person=True))
    assert (found.description, found.homepage, found.repository) == ("a pot", "https://tea.example", None)
    assert found.properties == {"cargo:source": "registry", "cargo:features": "lid,std"}


def test_component_of_the_workspace_is_the_projects() -> None:
    found = _component(None)
    assert (found.supplier, found.properties["cargo:source"], found.hashes) == (PROJECT, "path", {})


def test_component_with_a_licence_file_says_so() -> None:
    found = _component(**{"license-file": "LICENCE"})
    assert (found.licence, found.properties["cargo:license-file"]) == (None, "LICENCE")
    assert "cargo:license-file" not in _component(license="MIT", **{"license-file": "LICENCE"}).properties


@pytest.mark.parametrize(
    ("text", "name", "email"),
    [
        ("Ada <ada@tea.example>", "Ada", "ada@tea.example"),
        (" Ada  Lovelace  < ada@tea.example > ", "Ada  Lovelace", "ada@tea.example"),
        ("Ada", "Ada", None),
        ("Ada <>", "Ada", None),
        ("<ada@tea.example>", "<ada@tea.example>", None),
        ("Ada <ada@tea.example", "Ada <ada@tea.example", None),
        ("", "unknown", None),
        ("   ", "unknown", None),
        ("\t" * 50_000 + "<x", "<x", None),
    ],
)
def test_authors(text: str, name: str, email: str | None) -> None:
    assert _component(authors=[text]).authors == (Party(name=name, email=email, person=True),)


@pytest.mark.parametrize(
    ("text", "person"),
    [
        ("The Tea Project Developers", False),
        ("Teapot authors <pot@tea.example>", False),
        ("Pots, Inc.", False),
        ("Incandella Teamer <team@tea.example>", True),
    ],
)
def test_authors_who_are_no_person(text: str, *, person: bool) -> None:
    assert [a.person for a in _component(authors=[text]).authors] == [person]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path+file:///s/tea#0.1.0", "/s/tea"),
        ("path+file:///s/a%20b%23c%3Fd%25e@f%20gr%C3%B6%C3%9Fe/x#tea@0.1.0", "/s/a b#c?d%e@f größe/x"),
        ("tea 0.1.0 (path+file:///s/tea)", "/s/tea"),
        ("registry+https://github.com/rust-lang/crates.io-index#tea@0.1.0", None),
        ("git+file:///s/tea?branch=main#0.1.0", None),
    ],
)
def test_folder_of_a_path_package(text: str, expected: str | None) -> None:
    assert local_folder(text) == (Path(expected) if expected else None)
