"""What the inputs of an image are, and their values at one moment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ....provenance.digest import read_limited
from ....provenance.errors import BuildError, quoted
from ....provenance.platform import Platform
from ...builder import Declared
from ...freshness.build_context import name_of
from ...freshness.inputs import Kind, key
from ..annotations import as_input
from .dockerfile import LIMIT, parse
from .pins import Asking, resolution
from .stages import named_by
from .tool import TOOL, tool_value
from .units import dockerfile_of, folders_of, secret_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ....provenance.config import Docker
    from ...builder import Artifact
    from ...context import Context
    from ...workspace import Workspace
    from .pins import Pins
    from .tool import Tool

POLICY_SUFFIX = ".rego"
"""A file of this ending beside a Dockerfile is buildx's policy for it."""


def declare(context: Context, docker: Docker, artifact: Artifact, pins: Pins, find: Callable[[], Tool]) -> Declared:
    """Return the inputs of an image that are known without building it; no registry is asked unless `pull` says so.

    Args:
        context: the run.
        docker: its table.
        artifact: the image for one platform.
        pins: the digests of this run.
        find: asks what builds.

    Raises:
        ProvenanceError: the Dockerfile can't be understood, or docker has to be asked and does not answer.
    """
    resolutions = _resolutions(context.workspace, docker, artifact, pins, find)
    return declared(context.workspace, docker, tool_value(context, find), resolutions)


def declared(workspace: Workspace, docker: Docker, tool: str, pins: Mapping[str, str]) -> Declared:
    """Return the same, where tool and digests are known."""
    settings = {
        "context": docker.context,
        "dockerfile": dockerfile_of(docker),
        "args": _rendered(docker.args),
        "target": docker.target or "",
        "secrets": " ".join(secret_ids(docker)),
        "contexts": _rendered(docker.contexts),
        "annotations": as_input(workspace, docker.name, docker.annotations),
    }
    dockerfile = dockerfile_of(docker)
    return Declared(
        values={
            **{key(Kind.SETTING, name): value for name, value in settings.items()},
            **{resolution(reference): digest for reference, digest in pins.items()},
            TOOL: tool,
        },
        measured=[
            key(Kind.FILE, dockerfile),
            key(Kind.FILE, f"{dockerfile}{POLICY_SUFFIX}"),
            *contexts(docker),
            key(Kind.VARIABLE, "SOURCE_DATE_EPOCH"),
        ],
        hint="run again when it holds still; what the build itself writes, exclude in `.dockerignore`",
    )


def contexts(docker: Docker) -> list[str]:
    """Return the keys of an image's contexts, the main one first."""
    found = [name_of(docker.context, dockerfile_of(docker)), *sorted(set(folders_of(docker).values()))]
    return [key(Kind.CONTEXT, name) for name in found]


def _resolutions(
    workspace: Workspace, docker: Docker, artifact: Artifact, pins: Pins, find: Callable[[], Tool]
) -> dict[str, str]:
    path = workspace.root / dockerfile_of(docker)
    if not path.is_file():
        return {}  # which is why it is to be built, and why that fails
    dockerfile = parse(read_limited(path, LIMIT), dockerfile_of(docker))
    named = named_by(dockerfile, docker, Platform.parse(artifact.platform))
    return pins.of(named.images, find, Asking.ALWAYS if docker.pull else Asking.WHERE_NEVER_ASKED)


def _rendered(table: Mapping[str, str]) -> str:
    return json.dumps(dict(table), sort_keys=True)


def read_dockerfile(workspace: Workspace, docker: Docker) -> bytes:
    """Return the bytes of an image's Dockerfile.

    Raises:
        BuildError: there is none.
        UnreadableError: it is larger than a Dockerfile can be.
    """
    name = dockerfile_of(docker)
    path = workspace.root / name
    if not path.resolve().is_relative_to(workspace.root.resolve()) or not path.is_file():
        raise BuildError(
            f"the Dockerfile {quoted(name)} is no file of the workspace",
            hint=f"correct `dockerfile` or `context` of `[docker.{docker.name}]` in provenance.toml",
        )
    return read_limited(path, LIMIT)
