"""Workspaces with images to take over, in a folder that is no git repository."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import textwrap
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.config import load
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
from doit_provenance.tasks.artifacts import Artifact
from doit_provenance.tasks.context import Context
from doit_provenance.tasks.images.oci.builder import OciBuilder
from doit_provenance.tasks.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doit_provenance.provenance.json import JSONValue


@pytest.fixture
def upstream() -> list[Artifact]:
    """Return what another builder has found: an archive, and a binary for two platforms."""
    return [
        Artifact(builder="kettle", name=name, platform=platform, group="g", file=name)
        for name, platform in (("archive", "any"), ("tea", "mac"), ("tea", "linux"))
    ]


@pytest.fixture
def images(root: Path, upstream: list[Artifact]) -> Callable[[str], OciBuilder]:
    """Return what makes the builder of a provenance.toml."""

    def make(text: str) -> OciBuilder:
        (root / "provenance.toml").write_text(textwrap.dedent(text), encoding="utf-8")
        context = Context(workspace=Workspace(root=root, config=load(root)))
        context.artifacts.update({artifact.id: artifact for artifact in upstream})
        builder = OciBuilder(context)
        for artifact in builder.discover():
            context.artifacts[artifact.id] = artifact
        return builder

    return make


def layer(name: str = "etc/tea") -> bytes:
    """Return a layer of one file."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        header = tarfile.TarInfo(name)
        header.size = len(name)
        archive.addfile(header, io.BytesIO(name.encode()))
    return stream.getvalue()


def _config(platform: Platform, *, created: str | None = None, labels: dict[str, str] | None = None) -> bytes:
    diff_ids: list[JSONValue] = [f"sha256:{hashlib.sha256(layer()).hexdigest()}"]
    document: dict[str, JSONValue] = {
        **platform_json(platform),
        "config": {"Labels": dict(labels or {})},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    return encode({**document, "created": created} if created else document)


def archive(path: Path, *, platform: str = "linux/amd64", labels: dict[str, str] | None = None) -> None:
    """Write a docker-archive of one image."""
    config = _config(Platform.parse(platform), labels=labels)
    files = {
        "1/layer.tar": layer(),
        "config.json": config,
        "manifest.json": json.dumps([{"Config": "config.json", "RepoTags": None, "Layers": ["1/layer.tar"]}]).encode(),
    }
    with tarfile.open(path, "w") as written:
        for name, content in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            written.addfile(header, io.BytesIO(content))


def layout(path: Path, *platforms: str, created: str | None = None, **annotations: str) -> Descriptor:
    """Write a layout of an index over images, and return its root."""
    writer = LayoutWriter(path)
    entries: list[JSONValue] = []
    for platform in map(Platform.parse, platforms):
        config = writer.add(_config(platform, created=created), OCI_CONFIG)
        blob = writer.add(layer(), OCI_LAYER)
        document: dict[str, JSONValue] = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config.to_json(),
            "layers": [blob.to_json()],
        }
        found = writer.add(encode(document), OCI_MANIFEST)
        entries.append({**found.to_json(), "platform": platform_json(platform)})
    said: dict[str, JSONValue] = {**annotations}
    index: dict[str, JSONValue] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    root = writer.add(encode({**index, "annotations": said} if said else index), OCI_INDEX)
    writer.finish(root)
    return root
