"""A Nix store made by hand: what lies in it, and what nix would say of it."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.digest import digest_file
from doit_provenance.provenance.sbom.nix.closure import PackageMetadata
from doit_provenance.provenance.sbom.nix.compose import Shipped, compose
from doit_provenance.provenance.sbom.nix.store import Derivation, DerivationOutput, Meta, PathInfo
from doit_provenance.provenance.sbom.party import Party

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from doit_provenance.provenance.sbom.inventory import Inventory

ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
CREATED = datetime(2024, 5, 17, tzinfo=UTC)
PROJECT = Party(name="tea")
CRATES = [
    {"name": "leaf", "version": "1.0.0", "source": "crates.io"},
    {"name": "tea", "version": "0.1.0", "source": "local", "dependencies": [0], "root": True},
]


def elf(section: str | None = None, body: bytes = b"") -> bytes:
    """Return a small ELF file without segments, with one section if it is named."""
    if section is None:
        return struct.pack("<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 2, 62, 1, 0, 0, 0, 0, 64, 56, 0, 64, 0, 0)
    names = b"\0" + section.encode() + b"\0.shstrtab\0"
    entry, at = struct.Struct("<IIQQQQIIQQ"), 64 + len(body)
    table = bytes(64) + entry.pack(1, 1, 0, 0, 64, len(body), 0, 0, 1, 0)
    table += entry.pack(len(section) + 2, 3, 0, 0, at, len(names), 0, 0, 1, 0)
    head = struct.pack(
        "<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 2, 62, 1, 0, 0, at + len(names), 0, 64, 56, 0, 64, 3, 2
    )
    return head + body + names + table


def auditable(packages: list[dict[str, Any]] | None = None) -> bytes:
    """Return a Rust program with a list of its crates."""
    return elf(".dep-v0", zlib.compress(json.dumps({"packages": packages or CRATES}).encode()))


@dataclass(slots=True)
class Store:
    """Store paths below a folder, and derivations that made them."""

    root: Path
    infos: dict[str, PathInfo] = field(default_factory=dict)
    derivations: dict[str, Derivation] = field(default_factory=dict)
    meta: dict[str, Meta] = field(default_factory=dict)

    def path(self, name: str) -> str:
        """Return the store path of this name."""
        digest = hashlib.sha256(name.encode()).digest()
        return f"{self.root}/{''.join(ALPHABET[byte % 32] for byte in digest)}-{name}"

    def add(self, name: str, content: bytes | Mapping[str, bytes] = b"x", uses: tuple[str, ...] = ()) -> str:
        """Write a store path, a file or a folder of files, that refers to others."""
        path = self.root.joinpath(self.path(name))
        for place, data in content.items() if isinstance(content, dict) else [("", content)]:
            file = path / place if place else path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        nar = hashlib.sha256(str(content).encode()).hexdigest()
        self.infos[str(path)] = PathInfo(path=str(path), nar_hash=nar, nar_size=120, references=uses)
        return str(path)

    def derive(self, path: str, *, output: str = "out", inputs: tuple[str, ...] = (), **environment: str) -> str:
        """Say which derivation made a store path, from which sources."""
        made = path.rpartition("-" + output)[0] if output != "out" else path
        drv = self.path(made.rpartition("/")[2][33:] + ".drv")
        self.derivations[drv] = Derivation(
            path=drv,
            system="x86_64-linux",
            outputs={output: DerivationOutput(path=path)},
            inputs={},
            sources=inputs,
            environment=environment,
        )
        self.infos[path] = replace(self.infos[path], deriver=drv)
        return drv

    @property
    def packages(self) -> PackageMetadata:
        return PackageMetadata(derivations=self.derivations, meta=self.meta)

    def closure(self, path: str) -> dict[str, PathInfo]:
        """Return the closure of a store path."""
        found, waiting = dict[str, PathInfo](), [path]
        while waiting:
            if (one := waiting.pop()) not in found:
                found[one] = self.infos[one]
                waiting += self.infos[one].references
        return found

    def inventory(self, output: str, place: str = "", **rest: Any) -> Inventory:
        """Return the inventory of a file of an output."""
        path = self.root.joinpath(output, place)
        shipped = Shipped(
            artifact="nix:tea@x86_64-linux",
            name="tea",
            filename=path.name,
            path=path,
            digest=digest_file(path),
            output=output,
            place=place,
            derivation=rest.pop("derivation", self.path("tea-1.4.drv")),
            system="x86_64-linux",
            closure=self.closure(output),
            build_closure=rest.pop("build_closure", None),
            unbuilt=rest.pop("unbuilt", ""),
        )
        return compose(
            shipped, self.packages, project_source="https://git.example/tea", created=CREATED, author=PROJECT
        )

    elf = staticmethod(elf)
    auditable = staticmethod(auditable)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store((tmp_path / "store").resolve())
