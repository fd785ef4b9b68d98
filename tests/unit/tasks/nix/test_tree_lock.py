"""`flake.lock`, as provenance and freshness read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.tasks.nix.tree import read_lock, sri_to_hex

if TYPE_CHECKING:
    from pathlib import Path

HASH = "sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM="
HEX = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
REVISION = "a" * 40
LOCKED = {
    "github": (
        {"type": "github", "owner": "NixOS", "repo": "nixpkgs", "rev": REVISION},
        "git+https://github.com/NixOS/nixpkgs",
    ),
    "gitlab": ({"type": "gitlab", "host": "git.example", "owner": "a", "repo": "b"}, "git+https://git.example/a/b"),
    "a group": ({"type": "gitlab", "owner": "a%2Fb", "repo": "c"}, "git+https://gitlab.com/a/b/c"),
    "a host": ({"type": "gitlab", "host": "u:p@git.example", "owner": "a", "repo": "b"}, "git+https://git.example/a/b"),
    "git": (
        {"type": "git", "url": "https://u:p@git.example/a.git?ref=x", "rev": REVISION},
        "git+https://git.example/a",
    ),
    "tarball": ({"type": "tarball", "url": "https://example.com/a.tar.gz"}, "https://example.com/a.tar.gz"),
    "path": ({"type": "path", "path": "/beside"}, ""),
}


def write(folder: Path, nodes: object) -> None:
    (folder / "flake.lock").write_text(json.dumps({"nodes": nodes, "root": "root", "version": 7}), encoding="utf-8")


@pytest.mark.parametrize("kind", LOCKED)
def test_inputs_are_read(tmp_path: Path, kind: str) -> None:
    """Where each is from, without credentials; its revision; its hash, in hex."""
    locked, uri = LOCKED[kind]
    write(tmp_path, {"root": {"inputs": {"x": "x"}}, "x": {"locked": {**locked, "narHash": HASH}, "original": {}}})
    (found,) = read_lock(tmp_path)
    assert (found.name, found.uri, found.nar_hash) == ("x", uri, HEX)
    assert found.revision == locked.get("rev", "")
    assert found.path == locked.get("path", "")


def test_only_what_an_input_leads_to_counts(tmp_path: Path) -> None:
    """Nix ignores other nodes, so anything may stand there; inputs of inputs count, and a ring of them ends."""
    one = {"locked": {"type": "tarball", "url": "https://example.com/a", "narHash": HASH}}
    nodes = {
        "root": {"inputs": {"a": "one", "b": ["a", "deep"], "c": "missing"}},
        "one": {**one, "inputs": {"deep": "deep"}},
        "deep": {**one, "inputs": {"ring": "one"}},
        "audited": one,
    }
    write(tmp_path, nodes)
    assert [found.name for found in read_lock(tmp_path)] == ["deep", "one"]


def test_no_lock_has_no_inputs(tmp_path: Path) -> None:
    """A flake without inputs needs none."""
    assert read_lock(tmp_path) == ()


@pytest.mark.parametrize("text", ["", "[", "[]", "{}", '{"nodes": []}', '{"nodes": {}, "nodes": {}}'])
def test_what_is_no_lock_is_told(tmp_path: Path, text: str) -> None:
    """Its error says what to run."""
    (tmp_path / "flake.lock").write_text(text, encoding="utf-8")
    with pytest.raises(UnreadableError) as caught:
        read_lock(tmp_path)
    assert caught.value.hint == "run `nix flake lock`"


@pytest.mark.parametrize("text", ["", "sha256-", "sha512-AAAA", "sha256-AAAA", "sha256-!", HEX])
def test_what_is_no_hash_is_none(text: str) -> None:
    """Nothing is made up of it."""
    assert sri_to_hex(text) == ""
