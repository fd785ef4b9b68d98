"""What `[docker.NAME]` comes to, and what is said of tables that come to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import ConfigError
from doit_provenance.provenance.platform import Platform
from doit_provenance.tasks.artifacts import Form
from doit_provenance.tasks.images.docker.artifacts import dockerfile_of, external, secret_ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from doit_provenance.tasks.images.docker.builder import DockerBuilder

    Images = Callable[[str], DockerBuilder]


def test_each_platform_is_an_artifact_and_the_index_over_them_is_one(images: Images) -> None:
    """A program is what was built for the image's platform; what is for any goes into all."""
    found = images(
        """
        [docker.wash]
        platforms = ["linux/amd64", "linux/arm64/v8"]
        artifacts = ["cargo:wash", "command:words"]
        """
    ).discover()
    assert {artifact.id: artifact.upstream for artifact in found} == {
        "docker:wash@linux/amd64": ("cargo:wash@x86_64-unknown-linux-musl", "command:words@any"),
        "docker:wash@linux/arm64": ("cargo:wash@aarch64-unknown-linux-musl", "command:words@any"),
        "docker:wash@index": ("docker:wash@linux/amd64", "docker:wash@linux/arm64"),
    }
    assert {artifact.form for artifact in found} == {Form.IMAGE}
    assert len({artifact.group for artifact in found}) == 3


def test_one_platform_has_no_index(images: Images) -> None:
    (artifact,) = images("[docker.wash]").discover()
    assert artifact.id == f"docker:wash@{Platform.of_host()}"


def test_nothing_is_made_of_nothing(images: Images) -> None:
    assert images("").discover() == ()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('platforms = ["linux/arm64", "linux/arm64/v8"]', "platforms[1]: `linux/arm64/v8` is the same platform as"),
        ('contexts = { a = "docker-image://A:B:C" }', "contexts.a: `A:B:C` is not a reference to an image"),
        ('secrets = ["id=a,env=A", "id=a,env=B"]', "secrets: two secrets have the id `a`"),
        ('artifacts = ["cargo:wsh"]', "artifacts[0]: `cargo:wsh` stands for no artifact; did you mean `cargo:wash`?"),
        ('artifacts = ["docker:x"]', "artifacts[0]: `docker:x` is an image, and no file that a context can hold"),
        ('artifacts = ["docker:x@linux/arm64"]', "artifacts[0]: `docker:x@linux/arm64` is an image, and no file"),
        ('artifacts = ["docker:y"]', "artifacts[0]: `docker:y` stands for no artifact"),
        ('artifacts = ["oci:base"]', "artifacts[0]: `oci:base@linux/amd64` is an image, and no file"),
        (
            'platforms = ["linux/s390x"]\nartifacts = ["cargo:wash"]',
            "`cargo:wash` is built for no platform that fits `linux/s390x`; there is `cargo:wash@x86_64-unknown-linux-",
        ),
        (
            'platforms = ["linux/amd64"]\nartifacts = ["cargo:wash", "command:wash"]',
            "artifacts: `cargo:wash@x86_64-unknown-linux-musl` and `command:wash@any` would both be `wash`",
        ),
    ],
)
def test_mistake(images: Images, table: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        images(f"[docker.x]\n{table}").discover()
    assert f"provenance.toml: docker.x.{said}" in str(caught.value) or said in str(caught.value)


def test_all_mistakes_are_told_at_once(images: Images) -> None:
    with pytest.raises(ConfigError) as caught:
        images("[docker.a]\nartifacts = ['x:y']\n[docker.b]\nartifacts = ['x:z', 'oci:base']").discover()
    assert len(caught.value.message.splitlines()) == 3


def test_a_platform_in_a_reference_is_taken_at_its_word(images: Images) -> None:
    (artifact,) = images(
        '[docker.x]\nplatforms = ["linux/arm64"]\nartifacts = ["cargo:wash@x86_64-apple-darwin"]'
    ).discover()
    assert artifact.upstream == ("cargo:wash@x86_64-apple-darwin",)


def test_of_a_secret_only_its_id_is_said(images: Images) -> None:
    """Where its value comes from is in no parameter."""
    builder = images('[docker.x]\nsecrets = ["type=env,id=token,env=HUNTER", "id=a,src=hunter2"]')
    (docker,) = builder.workspace.config.dockers
    assert secret_ids(docker) == ["a", "token"]
    assert "hunter" not in str(external(docker)).lower()


def test_dockerfile_lies_in_the_context(images: Images) -> None:
    builder = images('[docker.a]\n[docker.b]\ncontext = "x/y"\n[docker.c]\ncontext = "x"\ndockerfile = "./d/e"')
    assert [dockerfile_of(one) for one in builder.workspace.config.dockers] == ["Dockerfile", "x/y/Dockerfile", "d/e"]
