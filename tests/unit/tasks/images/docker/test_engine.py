"""What an engine without BuildKit answers is not believed where it says something else than was asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from doit_provenance.provenance.config import Docker
from doit_provenance.provenance.errors import BuildError
from doit_provenance.tasks.artifacts import Artifact
from doit_provenance.tasks.images.docker.engine import _follow, _refuse_other_platform
from doit_provenance.tasks.images.docker.inputs import BuildRequest, Staged

if TYPE_CHECKING:
    from pathlib import Path

    from docker import DockerClient

ID = "sha256:" + "ab" * 32


@pytest.fixture
def request_(tmp_path: Path) -> BuildRequest:
    staged = Staged(context=tmp_path, dockerfile=tmp_path / "Dockerfile", named={}, text=b"", files={})
    return BuildRequest(
        docker=Docker(name="x"),
        artifact=Artifact(builder="docker", name="x", platform="linux/arm64", group="x", file="image"),
        staged=staged,
        pins={},
        epoch=0,
        folder=tmp_path,
    )


@pytest.mark.parametrize(("made", "fits"), [("amd64", False), ("arm64", True)])
def test_platform(request_: BuildRequest, made: str, *, fits: bool) -> None:
    """Engines have built for their own platform and said nothing."""
    api = SimpleNamespace(inspect_image=lambda _: {"Os": "linux", "Architecture": made, "Variant": ""})
    client = cast("DockerClient", SimpleNamespace(api=api))
    if fits:
        _refuse_other_platform(client, ID, request_)
        return
    with pytest.raises(BuildError, match="`docker:x@linux/arm64` for `linux/amd64`: without BuildKit"):
        _refuse_other_platform(client, ID, request_)


def test_answers(request_: BuildRequest) -> None:
    said: list[bytes] = []
    answers = [{"stream": "Step 1\n"}, {"status": "x"}, {"aux": {"ID": ID}}]
    assert _follow(answers, request_, said.append) == ID
    assert said == [b"Step 1\n"]
    with pytest.raises(BuildError, match="the docker engine failed to build `docker:x@linux/arm64`: `no such file`"):
        _follow([{"error": "no such file", "errorDetail": {}}], request_, said.append)
    assert said[-1] == b"no such file\n"
