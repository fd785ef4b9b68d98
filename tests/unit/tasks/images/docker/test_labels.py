"""What a base image says of itself is not said of what is built on it."""

from __future__ import annotations

import pytest

from doit_provenance.tasks.images.docker.build import without_inherited

VERSION, SOURCE = "org.opencontainers.image.version", "org.opencontainers.image.source"
DOCKERFILE = f'FROM debian\nARG V\nLABEL "{VERSION}"=$V \\\n  other=1\n'


def test_labels_of_the_dockerfile_stay_and_those_of_the_base_go() -> None:
    labels = {VERSION: "1.2", "other": "1", SOURCE: "https://debian.example"}
    config = {"os": "linux", "config": {"Cmd": ["tea"], "Labels": labels}}
    found = without_inherited(config, DOCKERFILE)
    assert found == {"os": "linux", "config": {"Cmd": ["tea"], "Labels": {VERSION: "1.2", "other": "1"}}}
    assert config["config"] == {"Cmd": ["tea"], "Labels": labels}, "the image's own is as it was"


@pytest.mark.parametrize("config", [{}, {"config": None}, {"config": {}}, {"config": {"Labels": None}}, {"config": []}])
def test_image_without_labels(config: dict[str, object]) -> None:
    assert without_inherited(config, DOCKERFILE) == config  # type: ignore[arg-type] # as read from a stranger
