"""Store paths as components: a closure, with the references in it as relationships."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ...errors import UnreadableError, quoted
from .. import licence
from ..inventory import Component, Kind, Role
from .name import PackageName, StoreName, package_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..graph import Graph
    from .model import Derivation, Meta, PathInfo


@dataclass(frozen=True, kw_only=True)
class Packages:
    """What gives store paths their names, versions and licences.

    Attributes:
        derivations: by the paths of their `.drv` files.
        meta: what the evaluation says of packages, by the store paths of their outputs.
    """

    derivations: Mapping[str, Derivation]
    meta: Mapping[str, Meta]

    @cached_property
    def _makers(self) -> Mapping[str, tuple[Derivation, str]]:
        """Every output of the derivations, to the derivation and the output's name."""
        return {
            output.path: (derivation, name)
            for _, derivation in sorted(self.derivations.items())
            for name, output in derivation.outputs.items()
            if output.path
        }

    def name_of(self, path: str, deriver: str = "") -> PackageName:
        """Return what a store path is called: by the evaluation, else by its derivation, else by its own name.

        Raises:
            UnreadableError: it is no store path.
        """
        made = self._makers.get(path)
        found = package_name(path, made[0].path if made else deriver)
        if made:
            environment = made[0].environment
            name, version = environment.get("pname"), environment.get("version")
            found = PackageName(
                name=name or found.name, version=(version or None) if name else found.version, output=made[1]
            )
        said = self.meta.get(path)
        if said and said.name:
            return PackageName(name=said.name, version=said.version or None, output=found.output)
        return found

    def component(self, info: PathInfo, role: Role) -> Component:
        """Return a store path as a component, whose package URL is its `ref`.

        Its hash is that of its NAR, which is the form that store paths are distributed in.

        Raises:
            UnreadableError: it is no store path.
        """
        named = self.name_of(info.path, info.deriver)
        said = self.meta.get(info.path)
        purl = package_url(named, StoreName.of(info.path).hash)
        properties = {"nix:store-path": info.path, "nix:nar-size": str(info.nar_size)}
        if info.content_address:
            properties["nix:content-address"] = info.content_address
        return Component(
            ref=purl,
            kind=Kind.LIBRARY,
            role=role,
            name=named.name,
            version=named.version,
            purl=purl,
            hashes={"sha256": info.nar_hash},
            licence=expression(said.licences) if said else None,
            description=(" ".join(said.description.split()) or None) if said else None,
            homepage=(said.homepage or None) if said else None,
            properties=properties,
        )


def package_url(named: PackageName, hash_: str, *, place: str = "") -> str:
    """Return the package URL of a store path, or of the file at `place` in it.

    The type `nix` is proposed and not settled (package-url/purl-spec, 314 and 877). Here it has, of what is proposed
    and written by others, `output`, and `outputhash`: the 32 characters that the store path begins with.
    """
    from packageurl import PackageURL

    qualifiers = {"outputhash": hash_} | ({"output": named.output} if named.output else {})
    return PackageURL("nix", None, named.name, named.version, qualifiers, place or None).to_string()


def expression(licences: Collection[str]) -> str | None:
    """Return one licence expression for all that apply (nixpkgs: several licences of a package all apply to it)."""
    known = sorted({found for text in licences if (found := licence.normalise(text))})
    if len(known) > 1:
        known = [f"({one})" if " OR " in one else one for one in known]
    return licence.normalise(" AND ".join(known)) if known else None


def add_closure(
    graph: Graph,
    paths: Mapping[str, PathInfo],
    packages: Packages,
    role: Role,
    known: Mapping[str, str] | None = None,
) -> Mapping[str, str]:
    """Add a closure to a graph, an edge for each reference; return the `ref` of each store path.

    Those in `known` are in the graph already, by the `ref`s that they have there.

    Raises:
        UnreadableError: it is no closure: a reference leads out of it.
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
