"""Folders of store paths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.provenance.sbom.nix import output
from doit_provenance.provenance.sbom.nix.output import distributions, files_below
from doit_provenance.provenance.sbom.package import Package, Unread

if TYPE_CHECKING:
    from collections.abc import Iterable

LEAF = b"Metadata-Version: 2.1\nName: leaf\nVersion: 1.0\nRequires-Dist: water\n"
SITE = "lib/python3.11/site-packages"


def named(found: Iterable[Package | Unread]) -> list[str]:
    return [one.component.ref if isinstance(one, Package) else str(one) for one in found]


def test_distributions_lie_where_python_looks(store: Any) -> None:
    path = store.add(
        "python3.11-leaf-1.0",
        {
            f"{SITE}/leaf-1.0.dist-info/METADATA": LEAF,
            f"{SITE}/water.egg-info": b"Metadata-Version: 1.0\nName: water\nVersion: 2\n",
            f"{SITE}/old.egg-info/PKG-INFO": b"Metadata-Version: 1.0\nName: old\nVersion: 3\n",
            f"{SITE}/leaf.py": b"",
            "share/doc/x-9.dist-info/METADATA": LEAF.replace(b"leaf", b"x"),
            "lib/pythonic/site-packages/x-9.dist-info/METADATA": LEAF.replace(b"leaf", b"x"),
        },
    )
    assert named(distributions(Path(path))) == ["pkg:pypi/leaf@1.0", "pkg:pypi/old@3", "pkg:pypi/water@2"]


@pytest.mark.parametrize("content", [b"a file", {"bin/tea": b""}, {"lib": b"a file"}, {f"{SITE}/leaf.py": b""}])
def test_most_store_paths_have_none(store: Any, content: Any) -> None:
    assert named(distributions(Path(store.add("tea-1.4", content)))) == []


def test_store_path_may_be_gone(store: Any) -> None:
    assert named(distributions(Path(store.path("collected")))) == []


def test_what_can_not_be_read_is_said(store: Any) -> None:
    """No metadata, and none that says who it is."""
    path = store.add(
        "tea-1.4", {f"{SITE}/leaf-1.dist-info/RECORD": b"", f"{SITE}/x-1.dist-info/METADATA": b"Name: x\n"}
    )
    found = named(distributions(Path(path)))
    assert len(found) == 2
    assert found[0] == f"`{SITE}/leaf-1.dist-info/METADATA`: no file of the store"
    assert found[1] == f"`{SITE}/x-1.dist-info/METADATA`: it has no name or no version"


def test_links_lead_to_the_store_alone(store: Any, tmp_path: Path) -> None:
    """As those of an environment that joins packages; a file of the machine is not read."""
    leaf = store.add("leaf-1.0", {f"{SITE}/leaf-1.0.dist-info/METADATA": LEAF})
    joined = Path(store.add("joined", {f"{SITE}/README": b""}))
    (tmp_path / "secret.dist-info").mkdir()
    (tmp_path / "secret.dist-info" / "METADATA").write_bytes(LEAF)
    (joined / SITE / "leaf-1.0.dist-info").symlink_to(Path(leaf, SITE, "leaf-1.0.dist-info"))
    (joined / SITE / "secret.dist-info").symlink_to(tmp_path / "secret.dist-info")
    (joined / SITE / "loop.dist-info").symlink_to("loop.dist-info")
    egg = store.add("egg", {f"{SITE}/water.egg-info": b"Metadata-Version: 1.0\nName: water\nVersion: 2\n"})
    (joined / SITE / "water.egg-info").symlink_to(Path(egg, SITE, "water.egg-info"))
    found = named(distributions(joined))
    assert found[2:] == ["pkg:pypi/leaf@1.0", "pkg:pypi/water@2"]
    assert found[:2] == [
        f"`{SITE}/loop.dist-info`: no file of the store",
        f"`{SITE}/secret.dist-info/METADATA`: no file of the store",
    ]


def test_files_below_are_regular_ones(store: Any) -> None:
    path = Path(store.add("tea-1.4", {"b": b"", "a/c": b"", "a/b/d": b""}))
    (path / "link").symlink_to("b")
    (path / "folder").symlink_to("a")
    assert list(files_below(path)) == ["b", "a/c", "a/b/d"]


def test_folder_of_too_many_files_is_refused(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_ENTRIES", 2)
    path = Path(store.add("tea-1.4", {"a": b"", "b": b"", "c": b""}))
    with pytest.raises(UnreadableError, match=r"more than the 2 files"):
        list(files_below(path))


def test_missing_folder_is_an_error(store: Any) -> None:
    with pytest.raises(UnreadableError, match="can't read"):
        list(files_below(Path(store.path("collected"))))
