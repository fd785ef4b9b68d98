"""The inventory of one cargo binary, and the parameters and materials of its provenance.

`docs/build-types/cargo.v1.md` explains each parameter to those who verify.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance import VERSION
from ...provenance.attest.resource import ResourceDescriptor
from ...provenance.sbom.cargo import Locked, PackageId, component, package_url, parse_package_id
from ...provenance.sbom.inventory import Completeness, Component, Inventory, Kind, Role
from ...provenance.sbom.party import Party
from ...provenance.sbom.program.elf import Needed, needed_libraries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from ...provenance.config import CargoTool
    from ...provenance.digest import Digest
    from ...provenance.json import JSONValue
    from ...provenance.sbom.manifest import Manifests
    from .discover import Binary, Group
    from .invoke import Messages
    from .observe import Contents, Node


BUILD_TYPE = "https://github.com/doit-provenance/doit-provenance/blob/main/docs/build-types/cargo.v1.md"

_TELLING = (
    "CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "CARGO_INCREMENTAL", "CARGO_ENCODED_RUSTFLAGS",
    "RUSTFLAGS", "RUSTC", "RUSTUP_TOOLCHAIN", "SOURCE_DATE_EPOCH",
)  # fmt: skip
"""Variables, by how their names begin, that the user sets to change what cargo builds. No credential is among them."""


_RUST = Party(name="The Rust Project", url="https://www.rust-lang.org")
_RUST_LICENCE = "MIT OR Apache-2.0"
_STD = "rust-std"


def external(binary: Binary, group: Group, *, tool: CargoTool, repository: Path) -> dict[str, JSONValue]:
    """Return what the user chose (SLSA v1, externalParameters); paths are from the repository's root."""
    choice = group.features
    return {
        "builder": "cargo",
        "tool": tool,
        "workspace": Path(os.path.relpath(group.root, repository)).as_posix(),
        "package": binary.package.name,
        "binary": binary.target,
        "target": group.triple,
        "profile": group.profile,
        "features": list(choice.features),
        "allFeatures": choice.all_features,
        "noDefaultFeatures": choice.no_default_features,
        "groupPackages": [p.name for p in group.packages],
    }


def internal(group: Group, messages: Messages) -> dict[str, JSONValue]:
    """Return what the environment gave (SLSA v1, internalParameters)."""
    toolchain = group.toolchain
    fresh = sum(1 for one in messages.compiled if one.fresh)
    environment: dict[str, JSONValue] = {
        name: value for name, value in sorted(os.environ.items()) if name.startswith(_TELLING)
    }
    return {
        "platform": group.platform,
        "host": toolchain.host,
        "rustc": toolchain.version["release"],
        "rustflags": list(toolchain.rustflags(group.platform)),
        "environment": environment,
        "unitsCompiled": len(messages.compiled) - fresh,
        "unitsReused": fresh,
    }


def materials(inventory: Inventory) -> list[ResourceDescriptor]:
    """Return the components that came from elsewhere and whose bytes are known, once each."""
    found: dict[str, ResourceDescriptor] = {}
    for material in inventory.components:
        commit = material.properties.get("cargo:commit")
        digest = dict(material.hashes) or ({"gitCommit": commit} if commit else {})
        if digest and material.purl:
            found[material.purl] = ResourceDescriptor(uri=material.purl, digest=digest)
    return [found[uri] for uri in sorted(found)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What one build of a group knows, beside the contents of each binary.

    Attributes:
        manifests: cargo's package id to the package's Cargo.toml.
        archives: likewise, to the names of static libraries of the machine that its build script links.
        lock: of the workspace.
        tables: reader of manifests, shared by the group's binaries.
        programs: `rustc` and `cargo` to version and sha256.
        project: who ships the workspace's own packages. project_source: its repository's URL.
    """

    manifests: Mapping[str, Path]
    archives: Mapping[str, tuple[str, ...]]
    lock: Mapping[PackageId, Locked]
    tables: Manifests
    programs: Mapping[str, tuple[str, str]]
    project: Party
    project_source: str | None


def describe(  # noqa: PLR0913 - the things that an inventory is made of
    binary: Binary,
    group: Group,
    *,
    path: Path,
    digest: Digest,
    contents: Contents,
    standard: tuple[str, ...],
    unobserved: str | None,
    facts: Facts,
    created: datetime,
) -> Inventory:
    """Return the inventory of the binary at `path`.

    `standard` names the standard library's crates in it; `unobserved` says why the contents could not be observed, in
    which case they are what cargo's graph declares: everything that is in it, and more.
    """
    needed = needed_libraries(path)
    subject = _subject(binary, digest, facts)
    crates = _crates(contents, facts)
    refs = {contents.subject: subject.ref} | {node: crate.ref for node, crate in crates.items()}
    components = list(crates.values())
    dependencies = {refs[node]: {refs[used] for used in contents.edges[node]} for node in refs}
    archives = list(_archives(contents, facts))
    for node, archive in archives:
        if archive.ref not in dependencies:
            components.append(archive)
        dependencies.setdefault(archive.ref, set())
        dependencies[refs[node]].add(archive.ref)
    for extra in (*_toolchain(group, standard, facts, needed or ()), *_shared_libraries(needed or ())):
        components.append(extra)
        dependencies[subject.ref].add(extra.ref)
        dependencies.setdefault(extra.ref, set())
    return Inventory(
        artifact=binary.artifact.id,
        digest=digest,
        subject=subject,
        components=tuple(sorted(components, key=lambda c: c.ref)),
        dependencies={ref: tuple(sorted(used)) for ref, used in sorted(dependencies.items())},
        completeness=_completeness(unobserved, needed, archives),
        note=_note(unobserved, needed, archives),
        created=created,
        author=facts.project,
        generator=("doit-provenance", VERSION),
    )


def _completeness(
    unobserved: str | None, needed: tuple[Needed, ...] | None, archives: Sequence[tuple[Node, Component]]
) -> Completeness:
    if unobserved:
        return Completeness.UNKNOWN
    return Completeness.INCOMPLETE if needed is None or archives else Completeness.COMPLETE


def _note(unobserved: str | None, needed: tuple[Needed, ...] | None, archives: Sequence[tuple[Node, Component]]) -> str:
    found = (
        f"Linked crates: as cargo's unit graph declares them, a superset, as rustc could not be observed: {unobserved}"
        if unobserved
        else "Linked crates: the crate files that rustc loaded to link this binary; dependencies: cargo's unit graph."
    )
    if needed is None:
        found += " Shared libraries: not known, the file is not ELF."
    if archives:
        found += " Static libraries of the machine: named, but what they consist of is not known."
    return found


def _subject(binary: Binary, digest: Digest, facts: Facts) -> Component:
    package = PackageId(name=binary.package.name, version=binary.package.version, source=None)
    made = component(
        package,
        ref=binary.artifact.id,
        purl=package_url(package, None, facts.project_source),
        role=Role.SUBJECT,
        features=(),
        table=facts.tables.package(binary.package.manifest),
        locked=None,
        project=facts.project,
    )
    return Component(
        ref=binary.artifact.id,
        kind=Kind.APPLICATION,
        role=Role.SUBJECT,
        name=binary.artifact.name,
        version=made.version,
        purl=made.purl,
        hashes=digest.as_digest_set(),
        licence=made.licence,
        supplier=made.supplier,
        authors=made.authors,
        description=made.description,
        homepage=made.homepage,
        repository=made.repository or facts.project_source,
        filename=binary.artifact.file,
        properties={"cargo:package": binary.package.name, "cargo:target": binary.artifact.platform},
    )


def _crates(contents: Contents, facts: Facts) -> dict[Node, Component]:
    """Return the crates as components, in the order of their ids.

    One is named by its package URL, with `#build` for the build-time twin of a package that is also linked.
    """
    found: dict[Node, Component] = {}
    taken: set[str] = set()
    nodes = (n for n in contents.edges if n != contents.subject)
    for node in sorted(nodes, key=lambda n: (n.role is Role.BUILD, n.package)):
        package = parse_package_id(node.package)
        locked = facts.lock.get(package)
        ref = purl = package_url(package, locked, facts.project_source)
        if ref in taken and node.role is Role.BUILD:
            ref += "#build"
        while ref in taken:  # one name and version from two paths of the workspace
            ref += "~"
        taken.add(ref)
        manifest = facts.manifests.get(node.package)
        found[node] = component(
            package,
            ref=ref,
            purl=purl,
            role=node.role,
            features=contents.features.get(node, ()),
            table=facts.tables.package(manifest) if manifest else {},
            locked=locked,
            project=facts.project,
        )
    return found


def _archives(contents: Contents, facts: Facts) -> Iterator[tuple[Node, Component]]:
    """Yield the static libraries of the machine that went into the binary, each with the crate that asked for it."""
    for node in contents.edges:
        if node.role in {Role.SUBJECT, Role.LINKED}:
            for name in facts.archives.get(node.package, ()):
                file = f"lib{name}.a"
                yield node, Component(ref=f"lib:{file}", kind=Kind.LIBRARY, role=Role.LINKED, name=file, filename=file)


def _toolchain(
    group: Group, standard: tuple[str, ...], facts: Facts, needed: tuple[Needed, ...]
) -> Iterator[Component]:
    release = group.toolchain.version["release"]
    commit = group.toolchain.version.get("commit-hash", "unknown")
    properties = {"rust:commit": commit, "rust:target": group.platform}
    if standard:
        properties["rust:crates"] = ",".join(standard)
    # As with `-C prefer-dynamic`, or where a crate is a dylib.
    role = Role.DYNAMIC if any(library.name.startswith("libstd-") for library in needed) else Role.LINKED
    yield _tool(_STD, release, role, properties, "Rust standard library, as distributed with the compiler")
    for name, (version, sha256) in sorted(facts.programs.items()):
        hashes = {"sha256": sha256} if sha256 else {}
        yield _tool(name, version, Role.BUILD, {"rust:commit": commit} if name == "rustc" else {}, None, hashes)


def _tool(
    name: str,
    version: str,
    role: Role,
    properties: Mapping[str, str],
    text: str | None,
    hashes: Mapping[str, str] | None = None,
) -> Component:
    purl = f"pkg:generic/{name}@{version}"
    return Component(
        ref=purl,
        kind=Kind.APPLICATION if role is Role.BUILD else Kind.LIBRARY,
        role=role,
        name=name,
        version=version,
        purl=purl,
        hashes=hashes or {},
        licence=_RUST_LICENCE,
        supplier=_RUST,
        authors=(_RUST,),
        description=text,
        homepage=_RUST.url,
        repository="https://github.com/rust-lang/rust" if name != "cargo" else "https://github.com/rust-lang/cargo",
        properties=properties,
    )


def _shared_libraries(libraries: tuple[Needed, ...]) -> Iterator[Component]:
    for needed in libraries:
        yield Component(
            ref=f"lib:{needed.name}",
            kind=Kind.LIBRARY,
            role=Role.DYNAMIC,
            name=needed.name,
            filename=needed.name,
            properties={"elf:symbol-versions": ",".join(needed.versions)} if needed.versions else {},
        )
