"""Inventories of files that Nix built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.provenance.sbom.inventory import Completeness, Inventory, Kind, Role
from doit_provenance.provenance.sbom.nix.store import Meta

SUM = "ab" * 32
LOCK = f"""version = 4
[[package]]
name = "leaf"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "{SUM}"
""".encode()
ARTIFACT = "nix:tea@x86_64-linux"
SITE = "lib/python3.11/site-packages"


def mentioning(*paths: str) -> bytes:
    return "\n".join(["#!/bin/sh", *paths]).encode()


def uses(inventory: Inventory, ref: str = ARTIFACT) -> set[str]:
    """Return the names of what a component uses."""
    names = {part.ref: part.name for part in inventory.components}
    return {names[target] for target in inventory.dependencies[ref]}


def test_file_of_a_folder_uses_what_it_names(store: Any) -> None:
    """And no more of the references of its output, for which it stands; all of the closure is listed."""
    leaf = store.add("leaf-0.3")
    water = store.add("water-2", uses=(leaf,))
    tea = store.add("tea-1.4", {"bin/tea": mentioning(water), "bin/pot": mentioning(leaf)}, uses=(leaf, water))
    store.meta[tea] = Meta(name="tea", version="1.4", licences=("MIT",), homepage="https://tea.example")
    found = store.inventory(tea, "bin/tea")
    assert {part.properties["nix:store-path"] for part in found.components} == {leaf, water}
    assert {part.role for part in found.components} == {Role.DYNAMIC}
    assert uses(found) == {"water"}
    by_name = {part.name: part.ref for part in found.components}
    assert uses(found, by_name["water"]) == {"leaf"}
    subject = found.subject
    assert (subject.version, subject.licence, subject.filename, subject.kind) == ("1.4", "MIT", "tea", Kind.APPLICATION)
    assert subject.purl is not None
    assert subject.purl.endswith("#bin/tea")
    assert subject.properties["nix:nar-sha256"] == store.infos[tea].nar_hash
    assert found.completeness is Completeness.COMPLETE
    assert "a script" in found.note
    assert "nix:unknown" not in subject.properties


def test_output_that_is_the_file_is_the_artifact(store: Any) -> None:
    """It stands for its store path, and uses what that refers to, be it readable in it or packed."""
    leaf = store.add("leaf-0.3")
    tea = store.add("tea-1.4.tar.gz", b"packed", uses=(leaf,))
    store.infos[tea] = replace(store.infos[tea], references=tuple(sorted((leaf, tea))))
    found = store.inventory(tea)
    assert [part.name for part in found.components] == ["leaf"]
    assert uses(found) == {"leaf"}
    assert found.subject.purl is not None
    assert "#" not in found.subject.purl
    assert found.subject.kind is Kind.FILE
    assert found.completeness is Completeness.INCOMPLETE
    assert "is not known" in found.note


def test_crates_that_a_program_lists(store: Any) -> None:
    """With the hashes of the lock file that its build was given."""
    tea = store.add("tea-1.4", {"bin/tea": store.auditable()})
    drv = store.derive(tea, inputs=(store.add("source", {"Cargo.lock": LOCK}),))
    found = store.inventory(tea, "bin/tea", derivation=drv)
    (leaf,) = found.of_role(Role.LINKED)
    assert (leaf.name, leaf.hashes) == ("leaf", {"sha256": SUM})
    assert uses(found) == {"leaf"}
    assert not found.of_role(Role.INPUT)
    assert found.subject.properties["nix:program"] == "pkg:generic/tea@0.1.0"
    assert found.completeness is Completeness.COMPLETE


def test_crates_that_only_the_lock_lists(store: Any) -> None:
    tea = store.add("tea-1.4", {"bin/tea": store.elf()})
    drv = store.derive(tea, inputs=(store.add("source", {"Cargo.lock": LOCK}),))
    found = store.inventory(tea, "bin/tea", derivation=drv)
    assert [part.name for part in found.of_role(Role.INPUT)] == ["leaf"]
    assert uses(found) == {"leaf"}
    assert found.completeness is Completeness.INCOMPLETE
    assert "by its lock file" in found.note
    assert found.subject.properties["nix:unknown"] == "which of the crates given to its build are in it"


def test_program_behind_a_wrapper(store: Any) -> None:
    """A script that names its own output may start what lies there: it is looked into, as are its crates."""
    path = store.path("tea-1.4")
    content = {"bin/tea": mentioning(f"{path}/bin/.tea-wrapped"), "bin/.tea-wrapped": store.auditable()}
    tea = store.add("tea-1.4", content, uses=(path,))
    drv = store.derive(tea, inputs=(store.add("source", {"Cargo.lock": LOCK}),))
    found = store.inventory(tea, "bin/tea", derivation=drv)
    parts = {part.ref: part for part in found.components}
    wrapped = parts["file:bin/.tea-wrapped"]
    assert (wrapped.name, wrapped.role, wrapped.filename) == ("tea", Role.DYNAMIC, ".tea-wrapped")
    assert wrapped.hashes.keys() == {"sha256", "sha512"}
    assert uses(found, wrapped.ref) == {"leaf"}
    assert (parts["pkg:cargo/leaf@1.0.0"].role, parts["pkg:cargo/leaf@1.0.0"].hashes) == (Role.DYNAMIC, {"sha256": SUM})
    assert not found.of_role(Role.INPUT)
    assert found.completeness is Completeness.COMPLETE
    assert "`bin/.tea-wrapped`" in found.note or "bin/.tea-wrapped" in found.note


def test_other_programs_of_the_output_are_their_own_artifacts(store: Any) -> None:
    tea = store.add("tea-1.4", {"bin/tea": mentioning(), "bin/pot": store.auditable()})
    assert not store.inventory(tea, "bin/tea").components


def test_silent_program_behind_a_wrapper_is_an_unknown(store: Any) -> None:
    path = store.path("tea-1.4")
    tea = store.add("tea-1.4", {"bin/tea": mentioning(path), "bin/.tea": store.elf(), "a": b""}, uses=(path,))
    found = store.inventory(tea, "bin/tea")
    assert found.completeness is Completeness.INCOMPLETE
    assert "do not say what they are made of: bin/.tea." in found.note
    assert found.subject.properties["nix:unknown"] == "what is linked into bin/.tea"


@pytest.mark.parametrize("content", [b"whole", {"bin/tea": b"part"}])
def test_links_to_other_store_paths_are_followed(store: Any, content: Any) -> None:
    """As packages that join others have them: the file is of the path where it lies, and uses what it names there."""
    leaf, path = store.add("leaf-0.3"), store.path("tea-1.4")
    if isinstance(content, bytes):
        tea, target = store.add("tea-1.4", content, uses=(leaf,)), path
    else:
        target = f"{path}/bin/tea"
        content = {"bin/tea": mentioning(leaf, path), "bin/.tea": store.auditable()}
        tea = store.add("tea-1.4", content, uses=(leaf, path))
    joined = store.add("joined", {"bin/x": b""}, uses=(tea,))
    Path(joined, "bin", "tea").symlink_to(target)
    found = store.inventory(joined, "bin/tea")
    paths = {part.properties.get("nix:store-path") for part in found.components}
    if isinstance(content, bytes):
        assert paths == {leaf, joined}
        assert uses(found) == {"leaf"}
    else:
        assert paths - {None} == {leaf, tea, joined}
        assert uses(found) == {"leaf", "tea"}
        assert "file:bin/.tea" in found.dependencies


def test_python_of_the_whole_closure(store: Any) -> None:
    """Each distribution is used by its store path, and by the distributions that ask for it."""
    water = store.add("python3.11-water-2", {f"{SITE}/water-2.dist-info/METADATA": b"Name: water\nVersion: 2\n"})
    metadata = b"Name: tea\nVersion: 1.4\nRequires-Dist: water\n"
    path = store.path("tea-1.4")
    content = {"bin/tea": mentioning(path), f"{SITE}/tea-1.4.dist-info/METADATA": metadata}
    tea = store.add("tea-1.4", content, uses=(path, water))
    found = store.inventory(tea, "bin/tea")
    assert found.dependencies["pkg:pypi/tea@1.4"] == ("pkg:pypi/water@2",)
    holders = {ref for ref, targets in found.dependencies.items() if "pkg:pypi/water@2" in targets}
    assert {ref.partition("@")[0] for ref in holders} == {"pkg:pypi/tea", "pkg:nix/python3.11-water"}
    part = next(part for part in found.components if part.ref == "pkg:pypi/water@2")
    assert (part.role, part.properties["nix:store-path"]) == (Role.DYNAMIC, water)


def test_build_tools_on_request(store: Any) -> None:
    """What is used at run time too stands once, in the runtime closure."""
    libc = store.add("libc-2")
    cc = store.add("cc-13", uses=(libc,))
    bash = store.add("bash-5", uses=(libc,))
    tea = store.add("tea-1.4", {"bin/tea": mentioning(libc)}, uses=(libc,))
    drv = store.derive(tea, inputs=(cc, libc))
    closure = {**store.closure(cc), **store.closure(bash), **store.closure(tea)}
    found = store.inventory(tea, "bin/tea", derivation=drv, build_closure=closure)
    assert {part.name for part in found.of_role(Role.BUILD)} == {"cc", "bash"}
    assert [part.name for part in found.components].count("libc") == 1
    assert uses(found) == {"libc", "cc"}
    assert not store.inventory(tea, "bin/tea", derivation=drv).of_role(Role.BUILD)


def test_library_that_no_store_path_has(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that the file finds in a store path is part of that package."""
    from doit_provenance.provenance.sbom.nix import output
    from doit_provenance.provenance.sbom.program.elf import Needed

    leaf = store.add("leaf-0.3", {"lib/libleaf.so.0": b""})
    tea = store.add("tea-1.4", {"bin/tea": store.elf() + leaf.encode()}, uses=(leaf,))
    needed = (Needed(name="libleaf.so.0", versions=()), Needed(name="libc.so.6", versions=("GLIBC_2.34",)))
    monkeypatch.setattr(output, "needed_libraries", lambda _: needed)
    found = store.inventory(tea, "bin/tea")
    assert uses(found) == {"leaf", "libc.so.6"}
    part = next(part for part in found.components if part.ref == "lib:libc.so.6")
    assert part.properties == {"elf:symbol-versions": "GLIBC_2.34"}


def test_who_did_not_build_says_so(store: Any) -> None:
    found = store.inventory(store.add("tea-1.4", b"#!"), unbuilt="It came from elsewhere.")
    assert found.note.endswith(" It came from elsewhere.")


def test_unread_metadata_makes_it_incomplete(store: Any) -> None:
    tea = store.add("tea-1.4", {"bin/tea": mentioning(), f"{SITE}/x-1.dist-info/METADATA": b""})
    found = store.inventory(tea, "bin/tea")
    assert found.completeness is Completeness.INCOMPLETE
    assert f"Not read: `{SITE}/x-1.dist-info/METADATA`" in found.note
    assert found.subject.properties["nix:unknown"].startswith("what could not be read: `lib/")


def test_closure_without_the_output_is_refused(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tea = store.add("tea-1.4")
    monkeypatch.setattr(type(store), "closure", lambda *_: {})
    with pytest.raises(UnreadableError, match="does not hold it"):
        store.inventory(tea)
