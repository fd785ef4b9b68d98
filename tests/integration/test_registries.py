"""Reading from real registries what real clients have put there."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import RegistryError
from doit_provenance.provenance.oci.layout import verify_layout
from doit_provenance.provenance.oci.model import Index
from doit_provenance.provenance.oci.pull import fetch, pull, resolve
from doit_provenance.provenance.oci.reference import Reference
from doit_provenance.provenance.oci.registry import Registry
from doit_provenance.provenance.oci.writer import LayoutWriter

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Service, Tools

pytestmark = pytest.mark.integration

LOGIN = {"auth": "dGVzdGVyOnNlY3JldA=="}
DOCKERFILE = "FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /$TARGETARCH\nLABEL pot=tea\n"


@pytest.fixture
def image(buildkit: Service, tmp_path: Path) -> Path:
    """Return a layout with an index of two platforms."""
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(DOCKERFILE, encoding="utf-8")
    argv = ["docker", "buildx", "build", "--platform=linux/amd64,linux/arm64", "--provenance=false"]
    argv += ["-o", f"type=oci,tar=false,dest={tmp_path / 'made'}", str(context)]
    subprocess.run(argv, env=os.environ | buildkit.env, check=True, capture_output=True)
    return tmp_path / "made"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return docker's configuration: our own for this test, and empty."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder / "config.json"


def _pushed(tools: Tools, image: Path, reference: str) -> str:
    """Put a layout into a registry with regctl; return the digest of what is there."""
    host = reference.partition("/")[0]
    regctl = [str(tools.path("bin/regctl")), "--host", f"reg={host},tls=disabled"]
    subprocess.run([*regctl, "image", "copy", f"ocidir://{image}", reference], check=True, capture_output=True)
    said = subprocess.run([*regctl, "manifest", "head", reference], check=True, capture_output=True, text=True)
    return said.stdout.strip()


@pytest.mark.parametrize("name", ["registry", "registry_memory", "registry_basic"])
def test_an_image_comes_as_it_is(
    name: str, image: Path, tools: Tools, config: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    found: Service = request.getfixturevalue(name)
    if name == "registry_basic":
        config.write_text(json.dumps({"auths": {found.host: LOGIN}}), encoding="utf-8")
    reference = Reference.parse(f"{found.host}/pot/tea:1")
    digest = _pushed(tools, image, str(reference))
    writer = LayoutWriter(tmp_path / "pulled")
    with Registry() as registry:
        root = resolve(registry, reference)
        pull(registry, reference, root, writer)
        writer.finish(root)
        index = fetch(registry, reference, root)
        with pytest.raises(RegistryError, match=f"has no `{found.host}/pot/none:1`"):
            resolve(registry, Reference.parse(f"{found.host}/pot/none:1"))
    assert root.digest == digest
    assert verify_layout(tmp_path / "pulled").descriptor == root
    assert isinstance(index, Index)
    assert sorted(str(one.platform) for one in index.manifests) == ["linux/amd64", "linux/arm64"]
    subprocess.run([tools.path("bin/crane"), "validate", "--remote", str(reference)], check=True, capture_output=True)


def test_one_platform(registry: Service, image: Path, tools: Tools, config: Path, tmp_path: Path) -> None:
    assert not config.exists()
    reference = Reference.parse(f"{registry.host}/pot/tea:2")
    _pushed(tools, image, str(reference))
    writer = LayoutWriter(tmp_path / "pulled")
    with Registry() as client:
        index = fetch(client, reference, resolve(client, reference))
        assert isinstance(index, Index)
        pull(client, reference, index.manifests[1], writer)
    writer.finish(index.manifests[1])
    ours = verify_layout(tmp_path / "pulled")
    argv = ["skopeo", "--override-arch=arm64", "copy", "--src-tls-verify=false", f"docker://{reference}"]
    subprocess.run([*argv, f"oci:{tmp_path / 'skopeo'}"], check=True, capture_output=True)
    theirs = json.loads((tmp_path / "skopeo/index.json").read_bytes())["manifests"][0]["digest"]
    assert ours.descriptor.digest == theirs


@pytest.mark.parametrize("login", [None, {"auth": "dGVzdGVyOndyb25n"}])
def test_who_may_not_read(registry_basic: Service, config: Path, login: dict[str, str] | None) -> None:
    config.write_text(json.dumps({"auths": {registry_basic.host: login} if login else {}}), encoding="utf-8")
    with Registry() as client, pytest.raises(RegistryError, match="does not let you read `pot/tea`"):
        resolve(client, Reference.parse(f"{registry_basic.host}/pot/tea:1"))
