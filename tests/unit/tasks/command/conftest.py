"""Workspaces with commands, in a folder that is no git repository."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.config import load
from doit_provenance.tasks.artifacts import Artifact
from doit_provenance.tasks.command.builder import CommandBuilder
from doit_provenance.tasks.context import Context
from doit_provenance.tasks.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def upstream() -> list[Artifact]:
    """Return what another builder has found: a binary for two platforms."""
    return [
        Artifact(builder="kettle", name="tea", platform=platform, group="g", file="tea")
        for platform in ("mac", "linux")
    ]


@pytest.fixture
def commands(root: Path, upstream: list[Artifact]) -> Callable[[str], CommandBuilder]:
    """Return the builder of a provenance.toml, in a workspace that has upstream artifacts."""

    def make(text: str) -> CommandBuilder:
        (root / "provenance.toml").write_text(textwrap.dedent(text), encoding="utf-8")
        context = Context(workspace=Workspace(root=root, config=load(root)))
        context.artifacts.update({artifact.id: artifact for artifact in upstream})
        return CommandBuilder(context)

    return make
