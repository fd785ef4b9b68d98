"""Small images as layouts on disk, well made and damaged."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.oci.model import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    encode,
    platform_json,
)
from doit_provenance.provenance.oci.writer import LayoutWriter
from doit_provenance.provenance.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from doit_provenance.provenance.json import JSONValue

AMD64 = Platform(os="linux", architecture="amd64")
ARM64 = Platform(os="linux", architecture="arm64")


@dataclass(frozen=True, kw_only=True)
class Made:
    """A layout on disk, with the descriptors of what is in it."""

    path: Path
    root: Descriptor
    images: tuple[Descriptor, ...]
    config: Descriptor
    layer: Descriptor

    def blob(self, descriptor: Descriptor) -> Path:
        return self.path / "blobs" / "sha256" / descriptor.sha256


def add_image(
    writer: LayoutWriter, platform: Platform, *, layer: bytes = b"layer", extra: Mapping[str, JSONValue] | None = None
) -> tuple[Descriptor, Descriptor, Descriptor]:
    """Add an image of one layer; return the descriptors of manifest, configuration and layer."""
    config = writer.add(
        encode({**platform_json(platform), "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}), OCI_CONFIG
    )
    blob = writer.add(layer, OCI_LAYER)
    document: dict[str, JSONValue] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.to_json(),
        "layers": [blob.to_json()],
    }
    return writer.add(encode({**document, **(extra or {})}), OCI_MANIFEST), config, blob


def add_index(writer: LayoutWriter, *entries: Descriptor) -> Descriptor:
    found: list[JSONValue] = [entry.to_json() for entry in entries]
    return writer.add(encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found}), OCI_INDEX)


@pytest.fixture
def single(tmp_path: Path) -> Made:
    writer = LayoutWriter(tmp_path / "single")
    root, config, layer = add_image(writer, AMD64)
    writer.finish(root)
    return Made(path=writer.folder, root=root, images=(root,), config=config, layer=layer)


@pytest.fixture
def multi(tmp_path: Path) -> Made:
    writer = LayoutWriter(tmp_path / "multi")
    first, config, layer = add_image(writer, AMD64)
    second, _, _ = add_image(writer, ARM64, layer=b"other")
    root = add_index(writer, first, second)
    writer.finish(root)
    return Made(path=writer.folder, root=root, images=(first, second), config=config, layer=layer)


@pytest.fixture
def writer(tmp_path: Path) -> LayoutWriter:
    return LayoutWriter(tmp_path / "out")


@pytest.fixture
def layout_of(tmp_path: Path) -> Callable[[Callable[[LayoutWriter], Descriptor]], Path]:
    """Return what makes a layout whose root a function adds."""

    def make(add_root: Callable[[LayoutWriter], Descriptor]) -> Path:
        writer = LayoutWriter(tmp_path / "made")
        writer.finish(add_root(writer))
        return writer.folder

    return make


def tar(path: Path, files: Mapping[str, bytes | tarfile.TarInfo], *, mode: str = "w") -> Path:
    """Write an archive; a `TarInfo` stands for itself."""
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload] # modes as text
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return path


def docker_files(*layers: bytes, architecture: str = "amd64", name: str = "it:1") -> dict[str, bytes]:
    """Return the files of a docker-archive as `docker save` of engine 24 writes it."""
    digests: list[JSONValue] = [f"sha256:{hashlib.sha256(expand(layer)).hexdigest()}" for layer in layers]
    config = encode(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Labels": {"org.opencontainers.image.title": "labelled", "other": "x"}},
            "rootfs": {"type": "layers", "diff_ids": digests},
        }
    )
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    found = {f"{number}/layer.tar": layer for number, layer in enumerate(layers)}
    listed: list[JSONValue] = [*found]
    entry: dict[str, JSONValue] = {"Config": config_name, "RepoTags": [name], "Layers": listed}
    manifest = json.dumps([entry]).encode()
    return {**found, config_name: config, "manifest.json": manifest, "repositories": b"{}"}


def expand(layer: bytes) -> bytes:
    return gzip.decompress(layer) if layer.startswith(b"\x1f\x8b") else layer
