from __future__ import annotations

import pytest

from doit_provenance.provenance.sbom.image import metadata, readers


@pytest.mark.parametrize(
    "path",
    ["lib/apk/db/installed", "var/lib/dpkg/status", "var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/Packages.db"],
)
def test_what_lists_all_packages_may_be_large(path: str) -> None:
    text = path.endswith(("status", "installed"))
    assert readers.wanted(path) == (readers.TEXT_LIMIT if text else readers.DATABASE_LIMIT) > readers.FILE_LIMIT


@pytest.mark.parametrize("path", ["etc/os-release", "x/tea-1.dist-info/METADATA", "node_modules/a/package.json"])
def test_what_tells_of_one_is_small(path: str) -> None:
    assert readers.wanted(path) == readers.FILE_LIMIT


@pytest.mark.parametrize("path", ["bin/tea", "var/lib/dpkg/statusx", "home/lib/apk/db/installed", "etc/os-release/x"])
def test_all_else_is_not_kept(path: str) -> None:
    assert readers.wanted(path) == 0


@pytest.mark.parametrize(
    "unit",
    [
        "/" + "a" * 250,
        "/" + ".so" * 80,
        "/" + "node_modules/a" * 15,
        "/" + "java" * 60,
        "/__pycache__",
        "/" + ".egg-info" * 25,
    ],
)
@pytest.mark.parametrize("end", ["", "/release", "/package.json", ".pyc", "/METADATA"])
def test_no_name_takes_long(unit: str, end: str) -> None:
    """As many names as a layer may have are looked at: a thousand of the longest take no second."""
    path = (unit * 40)[1:4000] + end
    for _ in range(20):
        readers.wanted(path)
        metadata.is_metadata(path)
