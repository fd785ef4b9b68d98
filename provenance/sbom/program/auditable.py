"""Crates in a Rust program, from the list that cargo-auditable embedded (cargo-auditable, PARSING.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import UnreadableError
from ...json import JSONObject, read_object
from ..cargo import PackageId, package_url
from ..inventory import Component, Kind, Role
from ..party import Party
from .linked import Linked

if TYPE_CHECKING:
    from collections.abc import Mapping

_CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def linked(data: bytes) -> Linked:
    """Return the contents of a program from its embedded list, without build dependencies.

    Raises:
        ValueError: the list is malformed.
    """
    try:
        return _linked(read_object(data, what="the list of crates", limit=len(data)).children("packages"))
    except UnreadableError as error:
        raise ValueError(error.message) from error


def _linked(packages: tuple[JSONObject, ...]) -> Linked:
    roots = [package for package in packages if package.found.get("root")]
    if len(roots) != 1:
        raise ValueError("it does not name exactly one root")
    runtime = [p for p in packages if p.found.get("kind") in {None, "runtime"} and p is not roots[0]]
    components = {id(package): _component(package, Role.LINKED) for package in runtime}
    edges = {id(package): _uses(package, packages, components) for package in [*runtime, roots[0]]}
    merged: dict[str, frozenset[str]] = {}
    for package in runtime:
        ref = components[id(package)].ref
        merged[ref] = merged.get(ref, frozenset()) | edges[id(package)]
    return Linked(
        main=_component(roots[0], Role.CONTAINED),
        components={component.ref: component for component in components.values()},
        uses=edges[id(roots[0])],
        edges=merged,
    )


def _uses(package: JSONObject, packages: tuple[JSONObject, ...], components: Mapping[int, Component]) -> frozenset[str]:
    indices = package.counts("dependencies") if "dependencies" in package.found else ()
    if any(index >= len(packages) for index in indices):
        raise package.error("dependencies", "names a package that is not in the list")
    used = (components.get(id(packages[index])) for index in indices)
    return frozenset(component.ref for component in used if component is not None)


def _component(package: JSONObject, role: Role) -> Component:
    name, version = package.name("name"), package.name("version")
    source = package.text("source")
    # For other sources the list has only the kind (`git`, `local` or `registry`), not the location.
    registry = _CRATES_IO if source == "crates.io" else None
    purl = package_url(PackageId(name=name, version=version, source=registry), None, None)
    return Component(
        ref=purl,
        kind=Kind.APPLICATION if role is Role.CONTAINED else Kind.LIBRARY,
        role=role,
        name=name,
        version=version,
        purl=purl,
        supplier=Party(name="crates.io") if registry else None,
        properties={"cargo:source": "registry" if registry else source},
    )
