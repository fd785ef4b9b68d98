from __future__ import annotations

import json
from typing import Any

import pytest

from doit_provenance.provenance.sbom.image import node
from doit_provenance.provenance.sbom.package import Package, Unread


def read(files: dict[str, Any]) -> list[Package | Unread]:
    packed = {
        p: content if isinstance(content, bytes) else json.dumps(content).encode() for p, content in files.items()
    }
    assert all(map(node.WANTED.fullmatch, packed))
    return list(node.read(packed, None))


def test_a_package() -> None:
    (found,) = read(
        {
            "app/node_modules/@tea/pot/package.json": {
                "name": "@tea/pot",
                "version": "1.0.0",
                "description": "Serves\n tea",
                "license": "MIT",
                "author": "Ada Brewer <ada@tea.example> (https://tea.example)",
                "repository": {"type": "git", "url": "git+https://tea.example/pot.git"},
                "homepage": "https://tea.example/",
            }
        }
    )
    assert isinstance(found, Package)
    component = found.component
    assert (component.purl, component.name) == ("pkg:npm/%40tea/pot@1.0.0", "@tea/pot")
    assert (component.licence, component.description) == ("MIT", "Serves tea")
    assert component.authors[0].email == "ada@tea.example"
    assert component.repository == "https://tea.example/pot.git"
    assert found.folder == "app/node_modules/@tea/pot"


def test_dependencies_are_looked_for_from_the_nearest_place() -> None:
    (found,) = read(
        {
            "app/node_modules/a/node_modules/b/package.json": {
                "name": "b",
                "version": "1",
                "dependencies": {"c": "*"},
                "peerDependencies": {"@d/e": "1"},
                "devDependencies": {"never": "1"},
            }
        }
    )
    assert isinstance(found, Package)
    base = "npm:app/node_modules"
    assert found.requires == (
        (f"{base}/a/node_modules/b/node_modules/@d/e", f"{base}/a/node_modules/@d/e", f"{base}/@d/e"),
        (f"{base}/a/node_modules/b/node_modules/c", f"{base}/a/node_modules/c", f"{base}/c"),
    )
    assert found.provides == {f"{base}/a/node_modules/b"}


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ({"license": {"type": "MIT", "url": "x"}}, "MIT"),
        ({"licenses": [{"type": "MIT"}, {"type": "Apache-2.0"}]}, "MIT OR Apache-2.0"),
        ({"license": "SEE LICENSE IN x"}, "LicenseRef-doit-provenance-SEE-LICENSE-IN-x-d6f3c1d5"),
        ({"license": 1}, None),
        ({}, None),
    ],
)
def test_licences(fields: dict[str, Any], licence: str | None) -> None:
    (found,) = read({"node_modules/a/package.json": {"name": "a", "version": "1"} | fields})
    assert isinstance(found, Package)
    assert (found.component.licence or "")[:40] == (licence or "")[:40]


@pytest.mark.parametrize("repository", ["github:tea/pot", "tea/pot", {"url": "https://github.com/tea/pot"}])
def test_short_addresses(repository: Any) -> None:
    (found,) = read({"node_modules/a/package.json": {"name": "a", "version": "1", "repository": repository}})
    assert isinstance(found, Package)
    assert found.component.repository == "https://github.com/tea/pot"


@pytest.mark.parametrize(
    "fields", [{"name": "a"}, {"version": "1"}, {"name": "a/", "version": "1"}, {"name": 1, "version": "1"}, []]
)
def test_a_file_that_names_no_package_is_none(fields: Any) -> None:
    """As test data and folders of types have it."""
    assert read({"node_modules/a/package.json": fields}) == []


@pytest.mark.parametrize("data", [b"", b"{", b'{"name": "a", "name": "b"}', b"[" * 100_000])
def test_what_is_no_json_is_told(data: bytes) -> None:
    (found,) = read({"node_modules/a/package.json": data})
    assert isinstance(found, Unread)


@pytest.mark.parametrize(
    "path", ["node_modules/.bin/package.json", "app/node_modules/a/b/package.json", "a/package.jsonx"]
)
def test_does_not_look_inside_of_packages(path: str) -> None:
    assert not node.WANTED.fullmatch(path)


@pytest.mark.parametrize(("path", "folder"), [("package.json", ""), ("srv/app/package.json", "srv/app/")])
def test_an_application_is_a_package_that_does_not_own_what_lies_beside_it(path: str, folder: str) -> None:
    (found,) = read({path: {"name": "shop", "version": "1", "dependencies": {"tea": "1"}}})
    assert isinstance(found, Package)
    assert (found.folder, set(found.files)) == (None, {path})
    assert found.requires[0][0] == f"npm:{folder}node_modules/tea"
