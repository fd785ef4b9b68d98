"""`[docker.NAME]`: what it takes, what it means when it is left out, and what is said of mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.config import Docker, parse
from doit_provenance.provenance.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def read(text: str, workspace: Path) -> tuple[Docker, ...]:
    return parse(text.encode(), workspace=workspace).dockers


def test_defaults(tmp_path: Path) -> None:
    (image,) = read("[docker.wash]", tmp_path)
    assert image == Docker(name="wash")
    assert (image.context, image.dockerfile, image.platforms, image.pull) == (".", None, (), False)


def test_every_key(tmp_path: Path) -> None:
    (image,) = read(
        """
        [docker."wash.full"]
        context = "images/wash"
        dockerfile = "images/Dockerfile.wash"
        platforms = ["linux/amd64", "linux/arm/v7"]
        args = { VERSION = "1.2", EMPTY = "" }
        target = "runtime"
        secrets = ["id=token,env=TOKEN", "type=file,id=npmrc,src=.npmrc"]
        contexts = { assets = "web/assets", "alpine:3" = "docker-image://alpine:3.20" }
        artifacts = ["cargo:wash"]
        annotations = { "org.opencontainers.image.vendor" = "Example GmbH" }
        pull = true
        """,
        tmp_path,
    )
    assert image == Docker(
        name="wash.full",
        context="images/wash",
        dockerfile="images/Dockerfile.wash",
        platforms=("linux/amd64", "linux/arm/v7"),
        args={"VERSION": "1.2", "EMPTY": ""},
        target="runtime",
        secrets=("id=token,env=TOKEN", "type=file,id=npmrc,src=.npmrc"),
        contexts={"assets": "web/assets", "alpine:3": "docker-image://alpine:3.20"},
        artifacts=("cargo:wash",),
        annotations={"org.opencontainers.image.vendor": "Example GmbH"},
        pull=True,
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('context = "../elsewhere"', "docker.x.context: expected a path without `..`"),
        ('context = "a !b"', "docker.x.context: expected a path without a space before `!`"),
        ('dockerfile = "/etc/passwd"', "docker.x.dockerfile: expected a path from the workspace's root"),
        ('platforms = ["amd64"]', "docker.x.platforms[0]: expected a platform such as `linux/amd64`"),
        ('args = { SOURCE_DATE_EPOCH = "0" }', "docker.x.args.SOURCE_DATE_EPOCH: expected another name"),
        ('args = { "A B" = "0" }', "expected a build argument's name"),
        (
            'secrets = ["token"]',
            "docker.x.secrets[0]: expected a secret in the words of `docker buildx build --secret`",
        ),
        ('secrets = ["id=a,env=B\\n"]', "docker.x.secrets[0]: expected text without control characters"),
        ('contexts = { a = "https://example.com/x" }', "docker.x.contexts.a: expected a folder of the workspace"),
        ('target = "--load"', "docker.x.target: expected a stage's name or number"),
        ('annotations = { "a=b" = "c" }', "expected an annotation's key without spaces and `=`"),
        ("tags = []", "docker.x.tags: unknown key"),
    ],
)
def test_mistake_is_told(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f"[docker.x]\n{line}", tmp_path)
    assert said in str(caught.value)


def test_name_could_not_be_an_option(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected an image's name"):
        read('[docker."-x"]', tmp_path)
