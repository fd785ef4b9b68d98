"""What a build has used, as BuildKit reports it, and whether that is what it was to use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from ....provenance.attest.resource import ResourceDescriptor
from ....provenance.errors import BuildError, ToolError, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ....provenance.json import JSONValue

_HEX = re.compile(r"[0-9a-f]{32,128}\Z")
_IMAGE = "pkg:docker/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """One source of a build.

    Attributes:
        uri: as BuildKit gives it: of an image its package URL.
        digest: algorithm to hex.
    """

    uri: str
    digest: Mapping[str, str]

    @property
    def is_image(self) -> bool:
        """Whether it is an image."""
        return self.uri.startswith(_IMAGE)

    @property
    def name(self) -> str:
        """What a Dockerfile would call it."""
        if not self.is_image:
            return self.uri
        path, _, _ = self.uri.removeprefix(_IMAGE).partition("?")
        name, _, tag = path.partition("@")
        return unquote(f"{name}:{tag}" if tag and not tag.startswith("sha256") else name)

    def resource(self) -> ResourceDescriptor:
        """Return it as in-toto has it."""
        return ResourceDescriptor(name=self.name, uri=self.uri, digest=dict(self.digest))


def read_materials(provenance: Mapping[str, JSONValue]) -> list[Material]:
    """Read the materials of BuildKit's provenance (SLSA v0.2, `materials`; v1, `resolvedDependencies`).

    Raises:
        ToolError: there is no list of them, or one is not understood.
    """
    definition = provenance.get("buildDefinition")
    listed = definition.get("resolvedDependencies") if isinstance(definition, dict) else provenance.get("materials")
    if listed is None:
        return []  # it was made from nothing but the context
    if not isinstance(listed, list):
        raise ToolError("BuildKit reports what it has used in a form that is not known")
    return sorted((_material(one) for one in listed), key=lambda material: (material.uri, sorted(material.digest)))


def _material(found: JSONValue) -> Material:
    match found:
        case {"uri": str(uri), "digest": dict(digest)} if digest:
            pairs = {name: value for name, value in digest.items() if isinstance(value, str) and _HEX.match(value)}
            if len(pairs) == len(digest):
                return Material(uri=uri, digest=pairs)
    raise ToolError(f"BuildKit reports what it has used without a digest: {quoted(str(found))}")


def refuse_unpinned(materials: Sequence[Material], digests: Collection[str], texts: Collection[str], name: str) -> None:
    """See that each source is one whose digest was settled before the build.

    Args:
        materials: what was used.
        digests: of the images that were looked up, `sha256:…`.
        texts: where the user may have named a digest: the Dockerfile, build arguments, named contexts.
        name: the Dockerfile's.

    Raises:
        BuildError: one is not.
    """
    settled = {digest.partition(":")[2] for digest in digests}
    for material in materials:
        hexes = {*material.digest.values(), *_asked_for(material)}
        if not hexes & settled and not any(one in text for one in hexes for text in texts):
            raise _unpinned(material, name)


def _asked_for(material: Material) -> list[str]:
    """Return the digests by which BuildKit was asked for an image; those of its parts may be reported beside."""
    query = parse_qs(material.uri.partition("?")[2]) if material.is_image else {}
    return [digest.partition(":")[2] for digest in query.get("digest", [])]


def _unpinned(material: Material, name: str) -> BuildError:
    algorithm, found = next(iter(sorted(material.digest.items(), reverse=True)))
    if material.is_image:
        hint = f"name it by its digest, as `{material.name}@{algorithm}:{found}`"
    elif algorithm == "sha256":
        hint = f"write `ADD --checksum=sha256:{found}`, or another digest if that is not what it has to be"
    else:
        hint = f"name the commit, as `#{found}`"
    return BuildError(
        f"the build used {quoted(material.name)}, and {quoted(name)} does not say by a digest what that is", hint=hint
    )
