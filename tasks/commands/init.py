"""`doit init`: a `dodo.py` and a starter `provenance.toml`, never over existing ones; shows what was found."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...provenance import config
from ...provenance.config import FILE
from ...provenance.config.starter import Standing, starter
from ...provenance.errors import ProvenanceError, StoreError
from ..graph import BUILDERS, open_session
from ..images.docker.dockerfile_discovery import propose_images
from .base import WorkspaceCommand

if TYPE_CHECKING:
    from ..workspace import Workspace

_DODO = '''\
"""Builds what this repository ships, each artifact with its SBOM, its provenance and their signatures."""

from doit_provenance.tasks.graph import workspace

DOIT_CONFIG, task_artifacts = workspace()
'''


class Init(WorkspaceCommand):
    """Writes what a repository needs to be built by `doit`."""

    name = "init"
    doc_purpose = "write dodo.py and a starter provenance.toml, and show what was found"
    doc_usage = ""
    doc_description = "Files that are there already are left as they are."

    def run(self, params: Any, args: list[str]) -> int:
        """Write both files, then list the artifacts that the workspace has by them."""
        del params
        self.refuse_arguments(args)
        root = Path.cwd()
        sys.stdout.write(_write_new(root / "dodo.py", _DODO))
        if (root / FILE).exists():
            sys.stdout.write(f"kept    {FILE}\n")
        else:
            text, offered = _proposed(root)
            sys.stdout.write(_write_new(root / FILE, text))
            sys.stdout.writelines(f"{line}\n" for line in offered)
        session = open_session(root)
        worst = 0
        for make_builder in BUILDERS:
            builder = make_builder(session.context)
            try:
                for artifact in session.add(builder):
                    sys.stdout.write(f"found   {artifact.id}\n")
            except ProvenanceError as error:
                sys.stdout.write(f"{builder.name}: {error}\n")
                worst = 1
        if not session.artifacts and not worst:
            sys.stdout.write(f"found   nothing to build yet: `{config.FILE}` says how to name it\n")
        return worst


def _proposed(root: Path) -> tuple[str, list[str]]:
    """Return the starter file with what the builders see here, and what to say of what is not simply set in it.

    A builder that can't tell says so when it is asked next.
    """
    session = open_session(root)
    found: dict[str, str | tuple[str, ...]] = {}
    notes: dict[str, tuple[str, ...]] = {}
    for make_builder in BUILDERS:
        with contextlib.suppress(ProvenanceError):
            found |= make_builder(session.context).propose()
    with contextlib.suppress(ProvenanceError):
        if session.workspace.source_url is None and root.name.isprintable() and root.name.strip():
            # Nothing but the folder names the project: said once, it is the same in everybody's checkout.
            found["project.name"] = root.name
            notes["project.name"] = ("Git has no remote to take it from; this is the folder's name.",)
    images = propose_images(root, _name_of(session.workspace), session.context.build_dirs)
    offered = [one for one in images.proposed if one.standing is Standing.OFFERED]
    lines = [f"offered {one.parent}:{one.name}, behind `#` in {FILE}" for one in offered]
    return starter(found, notes=notes, proposed=images.proposed), [
        *lines,
        *(f"note    {line}" for line in images.notes),
    ]


def _name_of(workspace: Workspace) -> str:
    """Return what the project is called by its repository, else by its folder."""
    with contextlib.suppress(ProvenanceError):
        return workspace.project.name
    return workspace.root.name


def _write_new(path: Path, text: str) -> str:
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        return f"kept    {path.name}\n"
    except OSError as error:
        raise StoreError(f"can't write `{path}`: {error.strerror}") from error
    return f"wrote   {path.name}\n"
