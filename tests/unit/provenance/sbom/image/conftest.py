"""Layers and images made by hand."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import pytest

from doit_provenance.provenance.oci.layout import Layout, opened_layout
from doit_provenance.provenance.oci.model import Manifest
from doit_provenance.provenance.sbom.image.attribution import Attribution, attribute
from doit_provenance.provenance.sbom.image.layer import Allowance, Limits, read_layer
from doit_provenance.provenance.sbom.image.rootfs import Rootfs
from doit_provenance.provenance.sbom.image.scan import scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_LAYER = "application/vnd.oci.image.layer.v1.tar"
Content: TypeAlias = "bytes | tuple[bytes, int] | str | tarfile.TarInfo | None"
"""A file, a file and its mode, a symbolic link, any member without content, or a folder."""


def pack(files: Mapping[str, Content], form: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar archive, its members in this order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for path, content in files.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo()
            data, info.mode = content if isinstance(content, tuple) else (content, 0o644)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            elif content is None:
                info.type = tarfile.DIRTYPE
            info.name = path
            info.size = len(data) if isinstance(data, bytes) else 0
            archive.addfile(info, io.BytesIO(data if isinstance(data, bytes) else b""))
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Images:
    """Makes images below a folder."""

    folder: Path

    def layout(self, *layers: bytes, media_types: Sequence[str] = ()) -> Path:
        """Write a layout with one image of these layers, and return its path."""
        path = self.folder / f"image{len(list(self.folder.iterdir()))}"
        (path / "blobs/sha256").mkdir(parents=True)
        types = [*media_types, *[_LAYER] * (len(layers) - len(media_types))]
        config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _blob(path, json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": [_blob(path, data, kind) for data, kind in zip(layers, types, strict=True)],
        }
        root = _blob(path, json.dumps(manifest).encode(), str(manifest["mediaType"]))
        (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [root]}))
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return path

    @contextmanager
    def opened(self, *layers: bytes, media_types: Sequence[str] = ()) -> Iterator[tuple[Layout, Manifest]]:
        """Open an image of these layers."""
        with opened_layout(self.layout(*layers, media_types=media_types)) as layout:
            manifest = layout.manifest(layout.root)
            assert isinstance(manifest, Manifest)
            yield layout, manifest

    def survey(
        self,
        *layers: Mapping[str, Content],
        known: Mapping[str, str] | None = None,
        sources: Mapping[str, str] | None = None,
    ) -> Attribution:
        """Attribution an image of layers with these files."""
        with self.opened(*map(pack, layers)) as (layout, manifest):
            return attribute(scan(layout, manifest), known or {}, sources or {})

    @staticmethod
    def rootfs(*layers: bytes, limits: Limits | None = None) -> Rootfs:
        """Read layers and put them on top of each other; up to ten bytes of each `.kept` are kept."""
        limits = limits or Limits()
        found, allowance = Rootfs(limits), Allowance.of(limits)
        for index, data in enumerate(layers):
            digest = f"sha256:{index}"
            layer = read_layer(
                io.BytesIO(data),
                index=index,
                digest=digest,
                wanted=lambda path: 10 if path.endswith(".kept") else 0,
                allowance=allowance,
            )
            found.apply(layer, digest)
        return found

    pack = staticmethod(pack)


def _blob(path: Path, data: bytes, kind: str) -> dict[str, str | int]:
    sha256 = hashlib.sha256(data).hexdigest()
    (path / "blobs/sha256" / sha256).write_bytes(data)
    return {"mediaType": kind, "digest": f"sha256:{sha256}", "size": len(data)}


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(tmp_path)
