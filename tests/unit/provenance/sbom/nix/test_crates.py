"""Lock files among the inputs of derivations."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.provenance.sbom.inventory import Component, Kind, Role
from doit_provenance.provenance.sbom.nix.crates import VendoredLock, direct_inputs, vendored_lock
from doit_provenance.provenance.sbom.party import Party

SUM = "ab" * 32
LOCK = f"""version = 4
[[package]]
name = "leaf"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "{SUM}"
[[package]]
name = "tea"
version = "0.1.0"
""".encode()
OTHER = b'version = 4\n[[package]]\nname = "other"\nversion = "9.0.0"\n'


def found(store: Any, derivation: str) -> VendoredLock | None:
    return vendored_lock(store.derivations[derivation], store.derivations)


def names(lock: VendoredLock | None) -> list[str]:
    assert lock is not None
    return [package.name for package in lock.packages]


@pytest.mark.parametrize("variable", ["cargoDeps", "cargoVendorDir"])
def test_vendored_crates_come_before_sources(store: Any, variable: str) -> None:
    """The sources' lock file may be another one than that of which the crates were vendored."""
    crates, source = store.add("z-vendor", {"Cargo.lock": LOCK}), store.add("a-source", {"Cargo.lock": OTHER})
    tea = store.derive(store.add("tea-1.4"), inputs=(crates, source), **{variable: crates, "src": source})
    lock = found(store, tea)
    assert names(lock) == ["leaf", "tea"]
    assert lock is not None
    assert lock.place == crates


def test_any_input_may_have_it(store: Any) -> None:
    """Also one that another derivation makes, as vendored crates do."""
    crates = store.add("crates", {"Cargo.lock": LOCK})
    maker = store.derive(crates)
    tea = store.derive(store.add("tea-1.4"))
    store.derivations[tea] = replace(store.derivations[tea], inputs={maker: ("out", "none"), "/unknown.drv": ("out",)})
    assert direct_inputs(store.derivations[tea], store.derivations) == {crates}
    assert names(found(store, tea)) == ["leaf", "tea"]


def test_what_is_no_input_does_not_count(store: Any) -> None:
    """A variable may name any path."""
    elsewhere = store.add("elsewhere", {"Cargo.lock": LOCK})
    tea = store.derive(store.add("tea-1.4"), inputs=(store.add("source", {"a": b""}),), cargoDeps=elsewhere)
    assert found(store, tea) is None


def test_inputs_may_be_gone(store: Any) -> None:
    tea = store.derive(store.add("tea-1.4"), inputs=(store.path("collected"),))
    assert found(store, tea) is None


def test_links_lead_to_the_store_alone(store: Any, tmp_path: Path) -> None:
    """As those of `importCargoLock` do; a file of the machine is not read."""
    lock = store.add("Cargo.lock", LOCK)
    vendored, stray = store.add("vendored", {"a": b""}), store.add("stray", {"a": b""})
    Path(vendored, "Cargo.lock").symlink_to(lock)
    (tmp_path / "secret").write_bytes(LOCK)
    Path(stray, "Cargo.lock").symlink_to(tmp_path / "secret")
    assert names(found(store, store.derive(store.add("tea-1.4"), inputs=(vendored,)))) == ["leaf", "tea"]
    assert found(store, store.derive(store.add("pot-1.4"), inputs=(stray,))) is None


def test_broken_lock_file_is_an_error(store: Any) -> None:
    tea = store.derive(store.add("tea-1.4"), inputs=(store.add("source", {"Cargo.lock": b"["}),))
    with pytest.raises(UnreadableError, match="no lock file of cargo's"):
        found(store, tea)


def test_locked_crates_are_inputs(store: Any) -> None:
    """Of role `input`, with the hash of the crate, and with how they are known."""
    tea = store.derive(store.add("tea-1.4"), inputs=(store.add("source", {"Cargo.lock": LOCK}),))
    lock = found(store, tea)
    assert lock is not None
    leaf, own = lock.components(Party(name="tea"), "https://git.example/tea")
    assert (leaf.role, leaf.purl, leaf.hashes) == (Role.INPUT, "pkg:cargo/leaf@1.0.0", {"sha256": SUM})
    assert leaf.properties["nix:known-by"] == "Cargo.lock in the derivation's inputs"
    assert own.supplier == Party(name="tea")


@pytest.mark.parametrize(
    ("purl", "hashes"),
    [
        ("pkg:cargo/leaf@1.0.0", {"sha256": SUM}),
        ("pkg:cargo/leaf@1.0.1", {}),
        ("pkg:generic/leaf@1.0.0", {}),
    ],
)
def test_crates_in_a_program_get_the_hash_of_the_lock(store: Any, purl: str, hashes: dict[str, str]) -> None:
    """Of the same version from the same registry; of one from elsewhere the program names no place."""
    tea = store.derive(store.add("tea-1.4"), inputs=(store.add("source", {"Cargo.lock": LOCK}),))
    lock = found(store, tea)
    assert lock is not None
    part = Component(ref=purl, kind=Kind.LIBRARY, role=Role.LINKED, name="leaf", purl=purl)
    assert lock.with_checksum(part).hashes == hashes


def test_vendored_crates_may_be_packed(store: Any) -> None:
    """As nixpkgs had them before 25.05: a folder in an archive; the sources may be packed as well."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("tea-1.4-vendor/Cargo.lock")
        info.size = len(LOCK)
        archive.addfile(info, io.BytesIO(LOCK))
    crates = store.add("tea-1.4-vendor.tar.gz", buffer.getvalue())
    assert names(found(store, store.derive(store.add("tea-1.4"), inputs=(crates,), cargoDeps=crates))) == [
        "leaf",
        "tea",
    ]
    assert found(store, store.derive(store.add("pot-1.4"), inputs=(crates,))) is None, "nothing says what it is for"
