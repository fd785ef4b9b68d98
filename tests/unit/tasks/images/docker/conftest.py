"""Workspaces with images, in a folder that is no git repository, and a `docker` that does what a test says."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.config import load
from doit_provenance.tasks.artifacts import Artifact, Form
from doit_provenance.tasks.context import Context
from doit_provenance.tasks.images.docker.builder import DockerBuilder
from doit_provenance.tasks.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def upstream() -> list[Artifact]:
    """Return what other builders have found: a program for three platforms, a file for all, and an image."""
    platforms = ("x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl", "x86_64-apple-darwin")
    return [
        *(Artifact(builder="cargo", name="wash", platform=one, group="g", file="wash") for one in platforms),
        Artifact(builder="command", name="words", platform="any", group="w", file="words.txt"),
        Artifact(builder="command", name="wash", platform="any", group="x", file="wash"),
        Artifact(builder="oci", name="base", platform="linux/amd64", group="b", file="image", form=Form.IMAGE),
    ]


@pytest.fixture
def images(root: Path, upstream: list[Artifact]) -> Callable[[str], DockerBuilder]:
    """Return the builder of a provenance.toml, in a workspace that has upstream artifacts."""

    def make(text: str) -> DockerBuilder:
        (root / "provenance.toml").write_text(textwrap.dedent(text), encoding="utf-8")
        context = Context(workspace=Workspace(root=root, config=load(root)))
        context.artifacts.update({artifact.id: artifact for artifact in upstream})
        return DockerBuilder(context)

    return make


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return what puts a `docker` on the PATH that is this shell script, and notes its calls in the file returned."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker-config"))
    for name in ("BUILDX_BUILDER", "BUILDX_CONFIG", "DOCKER_CONTEXT", "DOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)

    def make(script: str) -> Path:
        path = folder / "docker"
        path.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n{textwrap.dedent(script)}\n', encoding="utf-8")
        path.chmod(0o755)
        (tmp_path / "calls").write_text("")
        return tmp_path / "calls"

    return make
