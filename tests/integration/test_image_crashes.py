"""A run that is killed or runs out of disk while it takes over images: what a reader accepts is the old or the new."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.oci.layout import opened_layout
from doit_provenance.provenance.oci.model import Manifest
from doit_provenance.provenance.verify.trust import trust_for
from doit_provenance.provenance.verify.verifier import verify_folder

from .forks import FULL, paths
from .scene import spread
from .workspaces import Repository, repository

if TYPE_CHECKING:
    from .forks import Forks

pytestmark = pytest.mark.integration

PLATFORMS = ("amd64", "arm64")
ACCEPTED = {"oci:tea@linux/amd64", "oci:tea@linux/arm64", "oci:tea@index"}
SETTINGS = """
[oci.tea]
source = "oci-archive:tea.tar"
platforms = ["linux/amd64", "linux/arm64"]
"""


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def archive(text: str) -> bytes:
    """Return an OCI archive of an index over both platforms, with a file that holds `text`."""
    blobs: dict[str, bytes] = {}

    def add(media_type: str, data: bytes) -> dict[str, object]:
        sha256 = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{sha256}"] = data
        return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": f"sha256:{sha256}", "size": len(data)}

    manifests = []
    for architecture in PLATFORMS:
        layer = _tar({"tea": f"{text} for {architecture}\n".encode()})
        config = {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
        manifest = {
            "schemaVersion": 2,
            "config": add("config.v1+json", json.dumps(config).encode()),
            "layers": [add("layer.v1.tar", layer)],
        }
        platform = {"architecture": architecture, "os": "linux"}
        manifests.append(add("manifest.v1+json", json.dumps(manifest).encode()) | {"platform": platform})
    root = add("index.v1+json", json.dumps({"schemaVersion": 2, "manifests": manifests}).encode())
    entry = json.dumps({"schemaVersion": 2, "manifests": [root]}).encode()
    return _tar({"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": entry, **blobs})


@dataclass(kw_only=True)
class Scene:
    """A workspace with one image for two platforms, and the index over them."""

    forked: Forks
    made: Repository
    edits: int = 0
    settled: set[str] = field(default_factory=set)

    @classmethod
    def begin(cls, forked: Forks, root: Path) -> Scene:
        scene = cls(forked=forked, made=repository(root, {"provenance.toml": SETTINGS}))
        scene.edit()
        forked.doit(scene.made).ok()
        scene.settled = paths(root)
        return scene

    def edit(self) -> None:
        self.edits += 1
        (self.made.root / "tea.tar").write_bytes(archive(f"cup {self.edits}"))

    def verified(self) -> dict[str, set[str]]:
        """Return what each artifact's layers say, of those that are there; all of them verify, whole and tied."""
        trust = trust_for(
            keys=(), configured=(), own=Path(self.made.environ["DOIT_PROVENANCE_KEY"]).with_suffix(".pub")
        )
        found = {}
        for place in self.made.root.glob("dist/oci/tea/*"):
            if not place.name.startswith("."):
                held = verify_folder(place, trust=trust)
                found[held.record.artifact] = _texts(place / "image")
        return found

    def recovers(self) -> None:
        """Hold that one more run makes everything of the source as it is, and leaves nothing beside it."""
        plan = self.forked.plan(self.made)
        done = self.forked.doit(self.made).ok().done()
        assert done.keys() >= {id_ for id_, action in plan.items() if action in {"build", "attest"}}
        assert done.keys() <= {id_ for id_, action in plan.items() if action != "fresh"}
        expected = {f"oci:tea@linux/{arch}": {f"cup {self.edits} for {arch}\n"} for arch in PLATFORMS}
        assert self.verified() == expected | {"oci:tea@index": set().union(*expected.values())}
        assert self.forked.plan(self.made) == dict.fromkeys(ACCEPTED, "fresh")
        assert paths(self.made.root) - self.settled == _blobs(self.made.root) - self.settled
        assert not list(self.made.root.glob(".provenance/oci/*"))


def _blobs(root: Path) -> set[str]:
    """Return the paths of blobs, whose names change with what they hold."""
    return {path for path in paths(root) if "/blobs/sha256/" in path}


def _texts(layout: Path) -> set[str]:
    found = set()
    with opened_layout(layout) as opened:
        for _, manifest in opened.images():
            assert isinstance(manifest, Manifest)
            for layer in manifest.layers:
                with opened.blob(layer) as stream, tarfile.open(fileobj=io.BytesIO(stream.read())) as tar:
                    found |= {tar.extractfile(member).read().decode() for member in tar}  # type: ignore[union-attr] # files
    return found


def test_killed_while_it_takes_over(forked: Forks, shelf: Path) -> None:
    scene = Scene.begin(forked, shelf / "work")
    scene.edit()
    calls = forked.doit(scene.made).ok().calls
    killed = 0
    for call in spread(calls, 14):
        before = scene.verified()
        scene.edit()
        killed += forked.doit(scene.made, call=call).killed
        for id_, texts in scene.verified().items():
            fresh = {text.replace(f"cup {scene.edits - 1}", f"cup {scene.edits}") for text in before[id_]}
            assert texts in (before[id_], fresh)
        scene.recovers()
    assert killed >= 12


def test_disk_that_is_full(forked: Forks, shelf: Path) -> None:
    scene = Scene.begin(forked, shelf / "work")
    scene.edit()
    calls = forked.doit(scene.made).ok().calls
    failed = 0
    for call in spread(calls, 9):
        before = scene.verified()
        scene.edit()
        ran = forked.doit(scene.made, call=call, error=FULL)
        assert ran.code in {0, 1}, ran.said
        assert "Traceback" not in ran.said
        failed += ran.code
        assert scene.verified().keys() == before.keys()
        scene.recovers()
    assert failed >= 5
