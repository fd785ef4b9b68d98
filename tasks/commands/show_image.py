"""What `doit show` says of an image beyond what it says of every artifact: its layers, or its platforms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...provenance.oci.layout import opened_layout
from ...provenance.oci.model import Index

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ...provenance.json import JSONValue
    from ...provenance.oci.layout import Layout
    from ...provenance.oci.model import Descriptor, Manifest

_COMMAND = 100
"""Characters of a step that are shown."""


def rows(path: Path) -> Iterator[tuple[str, str]]:
    """Yield title and text of what is said of the image whose layout lies at `path`, which was verified.

    Raises:
        ProvenanceError: it changed since.
    """
    with opened_layout(path) as layout:
        root = layout.manifest(layout.root)
        if isinstance(root, Index):
            yield "index", f"{layout.root.digest}, {len(root.manifests)} manifests"
            yield from (("platform", f"{_platform(one)}  {one.digest}") for one in root.manifests)
        else:
            yield from _layers(layout, root)


def _layers(layout: Layout, manifest: Manifest) -> Iterator[tuple[str, str]]:
    config = layout.config(manifest)
    size = sum(layer.size for layer in manifest.layers)
    what = f"{config.get('os')}/{config.get('architecture')}, {len(manifest.layers)} layers, {size:,} bytes"
    yield "image", what
    steps = _steps(config)
    for number, layer in enumerate(manifest.layers):
        step = steps[number] if number < len(steps) else ""
        yield f"layer {number + 1}", f"{layer.digest}  {layer.size:,} bytes  {step}".rstrip()


def _steps(config: Mapping[str, JSONValue]) -> list[str]:
    """Return what made each layer (OCI image-spec, config.md, `history`); steps that made none are left out."""
    history = config.get("history")
    found = []
    for entry in history if isinstance(history, list) else ():
        if isinstance(entry, dict) and not entry.get("empty_layer"):
            text = " ".join(str(entry.get("created_by", "")).split())
            found.append(text if len(text) <= _COMMAND else f"{text[:_COMMAND]}…")
    return found


def _platform(descriptor: Descriptor) -> str:
    return str(descriptor.platform) if descriptor.platform else "no platform"
