"""Images that lie elsewhere: in the docker engine's store, or in a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....provenance.oci.archive import read_archive
from ....provenance.oci.pull import pull, resolve
from ....provenance.oci.reference import Reference
from ....provenance.oci.registry import Registry
from ..docker import store
from .units import Place

if TYPE_CHECKING:
    from pathlib import Path

    from ....provenance.oci.model import Descriptor
    from ....provenance.oci.writer import LayoutWriter
    from .units import Source


def look_up(source: Source) -> str:
    """Return the digest of what a name stands for now: an engine's id of the image, a registry's of the manifest.

    Raises:
        ToolError: the engine can't be asked, or has no such image.
        RegistryError: the registry can't be asked, or has no such image.
    """
    if source.place is Place.ENGINE:
        return store.image_id(source.name)
    with Registry() as registry:
        return resolve(registry, Reference.parse(source.name)).digest


def bring(source: Source, writer: LayoutWriter, scratch: Path) -> tuple[str, tuple[Descriptor, ...]]:
    """Bring an image into a layout; return its digest (`look_up`) and its entries.

    Args:
        source: where it is.
        writer: of the layout.
        scratch: a path that may be written for a while.

    Raises:
        ToolError: the engine can't be asked, has no such image, or ends in the middle.
        RegistryError: likewise a registry.
        UnreadableError: what came is no image.
        VerificationError: other bytes came than were named.
        StoreError: it can't be written.
    """
    if source.place is Place.ENGINE:
        try:
            digest = store.save(source.name, scratch)
            return digest, read_archive(scratch, writer)
        finally:
            scratch.unlink(missing_ok=True)
    with Registry() as registry:
        reference = Reference.parse(source.name)
        root = resolve(registry, reference)
        pull(registry, reference, root, writer)
    return root.digest, (root,)
