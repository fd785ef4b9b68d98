"""Secrets are for the steps that ask for them: they have to be there, and must not be sent with a context."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ....provenance.errors import BuildError, quoted
from ...freshness.build_context import files
from ...freshness.inputs import parts
from .inputs import contexts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ....provenance.config import Docker
    from ...context import Context
    from ...workspace import Workspace

_PATHS = ("src", "source")


def refuse_in_contexts(context: Context, docker: Docker) -> None:
    """See that no secret is a file of a context, before any is read.

    BuildKit would be sent it with all else, a `COPY . .` would put it into a layer, and its digest would be an input.

    Raises:
        BuildError: one is.
        ProvenanceError: a context can't be read.
    """
    secrets = {os.path.realpath(context.workspace.root / path) for path in _files(docker)}
    if not secrets:
        return
    for of in contexts(docker):
        for name in files(context.workspace.root, parts(of)[1], context.build_dirs):
            if os.path.realpath(context.workspace.root / name) in secrets:
                raise BuildError(
                    f"the secret {quoted(name)} of `[docker.{docker.name}]` lies in its build context",
                    hint="exclude it in `.dockerignore`: all that is sent can get into the image",
                )


def refuse_missing(workspace: Workspace, docker: Docker) -> None:
    """See that each secret is there: BuildKit takes a variable that is not set for an empty secret, and says nothing.

    Raises:
        BuildError: one is not.
    """
    for secret in docker.secrets:
        fields = _fields(secret)
        variable = fields.get("env")
        if variable is not None and variable not in os.environ:
            raise BuildError(
                f"the secret {quoted(fields['id'])} of `[docker.{docker.name}]` is the environment variable "
                f"{quoted(variable)}, which is not set",
                hint="set it for this run",
            )
        for path in (fields[key] for key in _PATHS if key in fields):
            if not (workspace.root / path).is_file():
                raise BuildError(
                    f"the secret {quoted(fields['id'])} of `[docker.{docker.name}]` is no file: {quoted(path)}",
                    hint="paths are taken from the workspace's root",
                )


def _fields(secret: str) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in secret.split(","))


def _files(docker: Docker) -> Iterator[str]:
    """Yield the paths of secrets that are files; with nothing but an id, that may be one (buildx)."""
    for secret in docker.secrets:
        fields = _fields(secret)
        if named := [fields[key] for key in _PATHS if key in fields]:
            yield from named
        elif "env" not in fields and fields.get("type") != "env":
            yield fields["id"]
