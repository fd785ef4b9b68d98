"""What one file says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.provenance.sbom.nix.output import Program, read_program

if TYPE_CHECKING:
    from pathlib import Path

ONE, OTHER = "h0cnbmfcn93xm5dg2x27ixhag1cwndga", "aaaabbbbccccddddffffgggghhhhiiii"


def read(path: Path, data: bytes, *hashes: str) -> Program:
    path.write_bytes(data)
    return read_program(path, hashes, name="bin/tea")


def test_mentions_are_hashes_that_stand_in_it(tmp_path: Path) -> None:
    """As Nix finds references: anywhere, whatever stands around."""
    found = read(tmp_path / "a", b"x" * 70000 + ONE.encode() + b"y", ONE, OTHER)
    assert found.mentions == {ONE}


@pytest.mark.parametrize(
    ("data", "executable", "script"),
    [
        (b"", False, False),
        (b"hello", False, False),
        (b"\0asm\1\0\0\0", True, False),
        (b"#!/bin/sh\n", True, True),
    ],
)
def test_kinds_of_files(tmp_path: Path, data: bytes, executable: bool, script: bool) -> None:  # noqa: FBT001 - a table
    found = read(tmp_path / "a", data, ONE)
    assert (found.executable, found.script, found.needed, found.linked) == (executable, script, None, ())
    assert found.unread == ()


def test_crates_in_a_program(tmp_path: Path, store: Any) -> None:
    found = read(tmp_path / "a", store.auditable())
    assert [contents.main.name for contents in found.linked] == ["tea"]
    assert found.needed == ()
    assert found.executable


@pytest.mark.parametrize(
    ("section", "body", "reason"),
    [
        (".dep-v0", b"no zlib", "damaged"),
        (".go.buildinfo", b"\xff Go buildinf:\x08\x00" + bytes(40), "of an old kind"),
    ],
)
def test_what_can_not_be_read_is_said(tmp_path: Path, store: Any, section: str, body: bytes, reason: str) -> None:
    found = read(tmp_path / "a", store.elf(section, body))
    assert found.linked == ()
    assert [one.path for one in found.unread] == ["bin/tea"]
    assert reason in str(found.unread[0])


def test_list_that_contradicts_itself_is_said(tmp_path: Path, store: Any) -> None:
    found = read(tmp_path / "a", store.auditable([{"name": "tea", "version": "1", "source": "local"}]))
    assert [str(one) for one in found.unread] == [
        "`bin/tea`: what its linker wrote into it: it does not name exactly one root"
    ]


def test_damaged_elf_file_is_said(tmp_path: Path) -> None:
    found = read(tmp_path / "tea", b"\x7fELF" + b"\1" * 40)
    assert found.executable
    assert found.needed is None
    assert "no whole ELF file" in str(found.unread[0])


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="can't read"):
        read_program(tmp_path / "none", name="none")
