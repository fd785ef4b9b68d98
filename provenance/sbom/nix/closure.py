"""Store paths as components: a closure, with its references as relationships."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ...errors import UnreadableError, quoted
from .. import licence
from ..inventory import Component, Kind, Role
from .store import PackageName, StoreName, package_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..graph import Graph
    from .store import Derivation, Meta, PathInfo


@dataclass(frozen=True, kw_only=True)
class PackageMetadata:
    """Names, versions and licences of store paths.

    Attributes:
        derivations: by the paths of their `.drv` files.
        meta: metadata from the evaluation, by the store paths of the outputs.
    """

    derivations: Mapping[str, Derivation]
    meta: Mapping[str, Meta]

    @cached_property
    def _derivers(self) -> Mapping[str, tuple[Derivation, str]]:
        """The derivation and the output name of every output path."""
        return {
            output.path: (derivation, name)
            for _, derivation in sorted(self.derivations.items())
            for name, output in derivation.outputs.items()
            if output.path
        }

    def name_of(self, path: str, deriver: str = "") -> PackageName:
        """Return the name of a store path: from the evaluation, else its derivation, else its own name.

        Raises:
            UnreadableError: it is not a store path.
        """
        derivation, output = self._derivers.get(path, (None, ""))
        named = package_name(path, derivation.path if derivation else deriver)
        if derivation:
            name, version = derivation.environment.get("pname"), derivation.environment.get("version")
            named = PackageName(
                name=name or named.name, version=(version or None) if name else named.version, output=output
            )
        meta = self.meta.get(path)
        if meta and meta.name:
            return PackageName(name=meta.name, version=meta.version or None, output=named.output)
        return named

    def component(self, info: PathInfo, role: Role) -> Component:
        """Return a store path as a component, whose `ref` is its package URL.

        Its hash is that of its NAR, the form in which store paths are distributed.

        Raises:
            UnreadableError: it is not a store path.
        """
        named = self.name_of(info.path, info.deriver)
        purl = package_url(named, StoreName.of(info.path).hash)
        properties = {"nix:store-path": info.path, "nix:nar-size": str(info.nar_size)}
        if info.content_address:
            properties["nix:content-address"] = info.content_address
        component = Component(
            ref=purl,
            kind=Kind.LIBRARY,
            role=role,
            name=named.name,
            version=named.version,
            purl=purl,
            hashes={"sha256": info.nar_hash},
            properties=properties,
        )
        return with_meta(component, self.meta.get(info.path))


def with_meta(component: Component, meta: Meta | None) -> Component:
    """Return a component with the licence, description and homepage of its package's metadata."""
    if meta is None:
        return component
    return replace(
        component,
        licence=expression(meta.licences),
        description=" ".join(meta.description.split()) or None,
        homepage=meta.homepage or None,
    )


def package_url(named: PackageName, hash_: str, *, place: str = "") -> str:
    """Return the package URL of a store path, or of the file at `place` in it.

    The type `nix` is proposed but not yet settled (package-url/purl-spec, 314 and 877). Of the proposals and of what
    others write, this uses `output` and `outputhash`: the first 32 characters of the store path's base name.
    """
    from packageurl import PackageURL

    qualifiers = {"outputhash": hash_} | ({"output": named.output} if named.output else {})
    return PackageURL("nix", None, named.name, named.version, qualifiers, place or None).to_string()


def expression(licences: Collection[str]) -> str | None:
    """Return one licence expression for all that apply (nixpkgs: several licences of a package all apply to it)."""
    known = sorted({normal for text in licences if (normal := licence.normalise(text))})
    if len(known) > 1:
        known = [f"({each})" if " OR " in each else each for each in known]
    return licence.normalise(" AND ".join(known)) if known else None


def add_closure(
    graph: Graph,
    paths: Mapping[str, PathInfo],
    packages: PackageMetadata,
    role: Role,
    known: Mapping[str, str] | None = None,
) -> Mapping[str, str]:
    """Add a closure to a graph, with an edge for each reference; return the `ref` of each store path.

    `known` are the `ref`s of store paths that the graph has already.

    Raises:
        UnreadableError: a reference leads out of the closure.
    """
    refs = dict(known or {})
    added = sorted(paths.keys() - refs.keys())
    refs.update((path, graph.add(packages.component(paths[path], role), origin=path)) for path in added)
    for path in added:
        references = paths[path].references
        missing = next((reference for reference in references if reference not in refs), None)
        if missing is not None:
            raise UnreadableError(
                f"{quoted(path)} refers to {quoted(missing)}, which nix does not list",
                hint="is the store damaged? `nix-store --verify` says so",
            )
        graph.connect(refs[path], (refs[reference] for reference in references))
    return refs
