"""What can be wrong with the platforms of an image, told with what was meant."""

from __future__ import annotations

import pytest

from doit_provenance.provenance.platform import Platform
from doit_provenance.tasks.images.builder import read_platforms, wrong_platforms


@pytest.mark.parametrize(
    ("texts", "lines"),
    [
        (["linux/amd64", "linux/arm/v7", "windows/amd64"], []),
        (["linux/amd65"], ["at[0]: `amd65` is no architecture that is known; did you mean `amd64`?"]),
        (["linus/amd64"], ["at[0]: `linus` is no operating system that is known; did you mean `linux`?"]),
        (["linux/arm64", "linux/aarch64"], ["at[1]: `linux/aarch64` is the same platform as `linux/arm64`"]),
    ],
)
def test_mistakes(texts: list[str], lines: list[str]) -> None:
    assert list(wrong_platforms(texts, "at")) == lines


def test_what_is_no_platform_is_told_once_and_read_by_nobody() -> None:
    (line,) = wrong_platforms(["linux"], "docker.wash.platforms")
    assert line.startswith("docker.wash.platforms[0]: ")
    assert read_platforms(["linux", "linux/arm64/v8", "linux/arm64"]) == [Platform(os="linux", architecture="arm64")]


def test_none_is_the_machine_s_own() -> None:
    assert read_platforms([]) == [Platform.of_host()]
