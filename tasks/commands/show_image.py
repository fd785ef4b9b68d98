"""What `doit show` says of an image beyond what it says of every artifact: its layers, and who explains its files."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from ...provenance.oci.layout import opened_layout
from ...provenance.oci.model import Index, Manifest
from ...provenance.sbom.image.attribution import AttributedTo, attribute
from ...provenance.sbom.image.scan import scan
from ...provenance.sbom.package import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ...provenance.json import JSONValue
    from ...provenance.oci.layout import Layout
    from ...provenance.oci.model import Descriptor
    from ...provenance.sbom.image.attribution import AttributedFile
    from ...provenance.sbom.inventory import Inventory

_COMMAND = 100
"""Characters of a step that are shown."""
_NAMED = 5
"""Files that are named of those that one thing explains; nobody's are named up to `_UNKNOWN`."""
_UNKNOWN = 50


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


def explanations(path: Path, inventory: Inventory, sources: Mapping[str, str]) -> Iterator[str]:
    """Yield lines that say who explains the files of the image at `path`; of an index nothing.

    Args:
        path: of its layout, which was verified.
        inventory: of the image, which says which artifacts of the workspace are in it.
        sources: the files that it was built from, by sha256 in hex, as far as they are known here.

    Raises:
        ProvenanceError: it changed since, or is larger than what is looked into.
    """
    parts = (part for part in inventory.components if part.sbom and "sha256" in part.hashes)
    known = {part.hashes["sha256"]: part.sbom.artifact for part in parts if part.sbom}
    with opened_layout(path) as layout:
        manifest = layout.manifest(layout.root)
        if not isinstance(manifest, Manifest):
            return
        files = attribute(scan(layout, manifest), known, sources).files
    yield f"who explains its files ({len(files):,}):"
    absent = int(inventory.subject.properties.get("image:files-by-source", "0")) - sum(
        f.attributed_to is AttributedTo.SOURCE for f in files
    )
    order = list(AttributedTo)
    named = sorted(files, key=lambda file: (order.index(file.attributed_to), _title(file), file.path))
    for (by, title), group in groupby(named, key=lambda file: (file.attributed_to, _title(file))):
        # What was signed counted those that are from the sources.
        also = (
            f", or sources that are not known here ({absent:,} of these)"
            if by is AttributedTo.NOBODY and absent > 0
            else ""
        )
        yield f"  {title}{also}: {_listed(list(group), _UNKNOWN if by is AttributedTo.NOBODY else _NAMED)}"


def _title(file: AttributedFile) -> str:
    return (
        file.name or file.attributed_to.value
        if file.attributed_to
        in {AttributedTo.ARTIFACT, AttributedTo.SYSTEM, AttributedTo.LANGUAGE, AttributedTo.PROGRAM}
        else file.attributed_to.value
    )


def _listed(files: list[AttributedFile], most: int) -> str:
    more = len(files) - most
    names = ", ".join(f"{shown(file.path)} (layer {file.layer + 1})" for file in files[:most])
    return names + (f", and {more:,} more" if more > 0 else "")


def _layers(layout: Layout, manifest: Manifest) -> Iterator[tuple[str, str]]:
    config = layout.config(manifest)
    size = sum(layer.size for layer in manifest.layers)
    count = len(manifest.layers)
    layers = f"{count} layer{'' if count == 1 else 's'}"
    what = f"{config.get('os')}/{config.get('architecture')}, {layers}, {size:,} bytes"
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
