"""`doit init` proposes what buildx itself plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.config import parse
from doit_provenance.provenance.config.starter import starter
from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.images.docker.bake import read_bake
from doit_provenance.tasks.images.docker.dockerfile_discovery import propose_images

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Tools

pytestmark = pytest.mark.integration

BAKE = """
variable "VERSION" { default = "1.2" }
variable "TOKEN" { default = "none" }
group "default" { targets = ["tea", "pot"] }
target "_common" { platforms = ["linux/amd64", "linux/arm64"] }
target "tea" {
  inherits = ["_common"]
  dockerfile = "images/Dockerfile.tea"
  args = { VERSION = VERSION, TOKEN = TOKEN }
  target = "runtime"
  secret = ["id=token,env=TOKEN", "id=file,src=secret.txt"]
  contexts = { assets = "web", base = "docker-image://example.com/base:3" }
  annotations = ["org.opencontainers.image.vendor=Pots", "index,manifest:a.b=c"]
  tags = ["example.com/tea:1"]
  output = ["type=registry"]
}
target "pot" { context = "pot" }
target "dev" {
  context = "pot"
  contexts = { tea = "target:tea" }
  labels = { "a" = "b" }
}
target "inline" { dockerfile-inline = "FROM scratch" }
target "many" {
  name = "many-${v}"
  matrix = { v = ["a", "b"] }
  target = v
}
"""


@pytest.fixture
def root(tmp_path: Path, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> Path:
    plugins = tmp_path / "docker/cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-buildx").symlink_to(tools.path("bin/buildx"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("TOKEN", "hunter2")
    root = tmp_path / "pots"
    root.mkdir()
    (root / "docker-bake.hcl").write_text(BAKE, encoding="utf-8")
    (root / "secret.txt").touch()
    (root / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    return root


def test_targets_of_a_bake_file(root: Path) -> None:
    found = propose_images(root, "pots", ())
    text = starter(proposed=found.proposed)
    tea, pot = sorted(parse(text.encode(), workspace=root).dockers, key=lambda one: one.name, reverse=True)
    assert (tea.name, tea.context, tea.dockerfile) == ("tea", ".", "images/Dockerfile.tea")
    assert (tea.platforms, tea.target) == (("linux/amd64", "linux/arm64"), "runtime")
    assert dict(tea.args) == {"VERSION": "1.2", "TOKEN": "none"}
    assert tea.secrets == ("id=token,env=TOKEN", "id=file,src=secret.txt")
    assert dict(tea.contexts) == {"assets": "web", "base": "docker-image://example.com/base:3"}
    assert dict(tea.annotations) == {"org.opencontainers.image.vendor": "Pots", "a.b": "c"}
    assert (pot.name, pot.context, pot.dockerfile) == ("pot", "pot", None)
    assert sorted(one.name for one in found.proposed) == ["dev", "many-a", "many-b", "pot", "tea"]
    assert "No setting says of it: labels, the context `tea=target:tea`." in " ".join(text.replace("\n#", "").split())
    assert found.notes == (
        "target `inline` of docker-bake.hcl is not proposed: its Dockerfile stands in the bake file",
    )
    assert "hunter2" not in text


def test_a_bake_file_that_is_wrong(root: Path) -> None:
    (root / "docker-bake.hcl").write_text('target "tea" {\n', encoding="utf-8")
    with pytest.raises(ToolError, match=r"docker-bake\.hcl:1"):
        read_bake(root, ["docker-bake.hcl"])
    found = propose_images(root, "pots", ())
    assert [one.name for one in found.proposed] == ["pots"]
