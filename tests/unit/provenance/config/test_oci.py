"""`[oci.NAME]`: what it takes, what it means when it is left out, and what is said of mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.config import Oci, parse
from doit_provenance.provenance.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def read(text: str, workspace: Path) -> tuple[Oci, ...]:
    return parse(text.encode(), workspace=workspace).ocis


def test_defaults(tmp_path: Path) -> None:
    (image,) = read("[oci.wash]\nsource = 'oci:images/wash'", tmp_path)
    assert image == Oci(name="wash", source="oci:images/wash")
    assert (image.artifact, image.platforms, image.pull) == (None, (), False)


def test_every_key(tmp_path: Path) -> None:
    (image,) = read(
        """
        [oci.wash]
        artifact = "command:image"
        platforms = ["linux/amd64", "linux/arm/v7"]
        annotations = { "org.opencontainers.image.licenses" = "Apache-2.0" }
        pull = true
        """,
        tmp_path,
    )
    assert image == Oci(
        name="wash",
        artifact="command:image",
        platforms=("linux/amd64", "linux/arm/v7"),
        annotations={"org.opencontainers.image.licenses": "Apache-2.0"},
        pull=True,
    )


@pytest.mark.parametrize(
    "source",
    [
        "docker-archive:result",
        "oci-archive:out/image.tar.gz",
        "oci:out/image",
        "docker-daemon:wash:latest",
        "docker-daemon:localhost:5000/wash@sha256:abc",
        "docker://ghcr.io/wasmcloud/wash:1",
        "docker://[::1]:5000/x",
    ],
)
def test_sources(tmp_path: Path, source: str) -> None:
    assert read(f"[oci.wash]\nsource = '{source}'", tmp_path)[0].source == source


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("result", "expected `docker-archive:PATH`"),
        ("docker-archive:", "expected `docker-archive:PATH`"),
        ("docker:x", "expected `docker-archive:PATH`"),
        ("docker://", "expected `docker-archive:PATH`"),
        ("docker-daemon:--help", "expected `docker-archive:PATH`"),
        ("oci:/etc", "expected a path from the workspace's root"),
        ("oci:~/x", "expected a path from the workspace's root"),
        ("oci:../x", "expected a path without `..`"),
        ("docker-archive:a/../../x", "expected a path without `..`"),
        ("oci-archive:out/*.tar", "expected a path without wildcards"),
        ("oci:im[ages", "expected a path without wildcards"),
        ("docker-archive:a.tar:tag", "expected a path without `:`"),
    ],
)
def test_no_sources(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"^provenance.toml: oci.wash.source: ") as caught:
        read(f"[oci.wash]\nsource = '{source}'", tmp_path)
    assert said in caught.value.message


def test_unknown_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"oci\.wash\.compression: unknown key"):
        read("[oci.wash]\ncompression = 'gzip'", tmp_path)
