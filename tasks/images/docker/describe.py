"""What an image was built from, by digest, as provenance lists it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....provenance.attest.resource import ResourceDescriptor

if TYPE_CHECKING:
    from .build import Made


def materials(made: Made) -> list[ResourceDescriptor]:
    """Return the upstream artifacts, what BuildKit has used, and BuildKit itself."""
    upstream = [one.material for _, one in sorted(made.upstream.items())]
    name = "github.com/moby/buildkit" if made.tool.argv else "github.com/moby/moby"
    tool = ResourceDescriptor(
        uri=f"https://{name}",
        name="BuildKit" if made.tool.argv else "engine",
        annotations={"version": made.tool.version},
    )
    return [*upstream, *(material.resource() for material in made.materials), tool]
