"""Which images a build names: no more than are needed, each in full."""

from __future__ import annotations

import pytest

from doit_provenance.provenance.config import Docker
from doit_provenance.provenance.platform import Platform
from doit_provenance.tasks.images.docker.dockerfile import NamedImages, named_by, parse

SHA = "sha256:" + "a" * 64


def named(text: str, docker: Docker | None = None, platform: str = "linux/arm64") -> NamedImages:
    return named_by(parse(text.encode(), "Dockerfile"), docker or Docker(name="x"), Platform.parse(platform))


@pytest.mark.parametrize(
    ("text", "images", "base"),
    [
        ("FROM debian:12", ["docker.io/library/debian:12"], "docker.io/library/debian:12"),
        ("FROM ghcr.io/a/b", ["ghcr.io/a/b:latest"], "ghcr.io/a/b:latest"),
        (f"FROM a@{SHA}", [f"docker.io/library/a@{SHA}"], f"docker.io/library/a@{SHA}"),
        ("FROM scratch", [], None),
        ("FROM a AS b\nFROM b", ["docker.io/library/a:latest"], "docker.io/library/a:latest"),
        ("FROM a AS b\nFROM c", ["docker.io/library/c:latest"], "docker.io/library/c:latest"),
        ("FROM a AS B\nFROM scratch\nCOPY --from=b / /", ["docker.io/library/a:latest"], None),
        ("FROM a\nFROM scratch\nCOPY --from=0 / /", ["docker.io/library/a:latest"], None),
        ("FROM scratch\nCOPY --from=a:1 / /", ["docker.io/library/a:1"], None),
        ("FROM scratch\nRUN --mount=type=bind,from=a:1,target=/x y", ["docker.io/library/a:1"], None),
        ('FROM scratch\nRUN --mount=type=cache,"from=a:1",target=/x y', ["docker.io/library/a:1"], None),
        ("FROM scratch\nONBUILD COPY --from=a / /", [], None),
        ("ARG V=1\nARG W=${V}.2\nFROM a:$W", ["docker.io/library/a:1.2"], "docker.io/library/a:1.2"),
        ('ARG V="1" W=2\nFROM a:$V$W', ["docker.io/library/a:12"], "docker.io/library/a:12"),
        ("FROM a:${TARGETARCH}", ["docker.io/library/a:arm64"], "docker.io/library/a:arm64"),
        ("ARG V\nFROM a:${V:-3}", ["docker.io/library/a:3"], "docker.io/library/a:3"),
        ("FROM a:${V#x}", [], None),
        ("FROM --platform=$BUILDPLATFORM a", ["docker.io/library/a:latest"], "docker.io/library/a:latest"),
        ("# syntax=docker/dockerfile:1\nFROM scratch", ["docker.io/docker/dockerfile:1"], None),
        ("FROM a/B", [], None),
        ("FROM", [], None),
        ("", [], None),
    ],
)
def test_images(text: str, images: list[str], base: str | None) -> None:
    found = named(text)
    assert (found.images, found.base) == (tuple(images), base)


@pytest.mark.parametrize(
    ("text", "is_complete"),
    [
        ("FROM a\nCOPY --from=b:1 / /\nADD a.tar /", True),
        ("FROM scratch\nFROM a", True),
        ("FROM a:${V#x}", False),
        ("FROM a:${V#x} AS not-needed\nFROM scratch", True),
        ("FROM a\nCOPY --from=$X / /", False),
        ("FROM a\nADD https://example.com/x /", False),
        ("FROM a\nADD --chown=1 git@example.com:x /", False),
        ("FROM a\nADD $X /", False),
        ("FROM a\nONBUILD ADD http://example.com/x /", False),
    ],
)
def test_whether_all_is_told_before_the_build(text: str, *, is_complete: bool) -> None:
    assert named(text).is_complete is is_complete


def test_arguments_of_the_table_count_where_they_are_declared() -> None:
    docker = Docker(name="x", args={"V": "2", "BUILDKIT_SYNTAX": "a/b:1"})
    text = "# syntax=c/d\nARG V=1\nFROM a:$V AS s\nARG W=5\nFROM s"
    assert named(text, docker).images == ("docker.io/library/a:2", "docker.io/a/b:1")


@pytest.mark.parametrize(("target", "images"), [("one", ("docker.io/library/a:latest",)), ("1", ("b.io/c:latest",))])
def test_only_what_the_target_needs(target: str, images: tuple[str, ...]) -> None:
    text = "FROM a AS one\nFROM b.io/c AS two\nFROM d\nCOPY --from=two / /"
    assert named(text, Docker(name="x", target=target)).images == images


def test_contexts_take_the_place_of_images() -> None:
    docker = Docker(name="x", contexts={"alpine": "files", "deb": "docker-image://debian:12"})
    text = "FROM alpine:latest AS a\nFROM deb\nCOPY --from=a / /\nCOPY --from=alpine / /"
    assert named(text, docker) == NamedImages(
        images=("docker.io/library/debian:12",), base="docker.io/library/debian:12", is_complete=True
    )
