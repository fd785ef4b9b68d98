"""`doit export`: an image as one archive, which `docker load` and every other tool for images takes."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...provenance.errors import StoreError, UsageError, VerificationError, quoted
from .base import WorkspaceCommand
from .verify import OPT_KEY, artifact_folders, trust_of, verified

if TYPE_CHECKING:
    from ...provenance.oci.reference import Reference
    from ...provenance.verify.verifier import VerifiedArtifact

_OPT_NAME = {
    "name": "name",
    "long": "name",
    "type": str,
    "default": "",
    "help": "what an engine shall call the image, as `ghcr.io/owner/tea:1` (default: the artifact's name and `latest`)",
}

_SEVERAL = "          of several platforms: `docker load` takes it where docker keeps images in containerd's store\n"


class Export(WorkspaceCommand):
    """Writes an image into an archive; only one whose evidence verifies."""

    name = "export"
    doc_purpose = "write an image into an archive, as for `docker load`"
    doc_usage = "WHAT FILE"
    doc_description = (
        "WHAT is an image's id, or its folder. It is verified first. Its digest stays: the archive is its OCI layout, "
        "with a manifest.json for engines before version 25. An index has none of these: of it docker loads what it "
        "keeps in containerd's store; others take one platform. A FILE that is there is replaced as a whole."
    )
    cmd_options = (OPT_KEY, _OPT_NAME)

    def run(self, params: Any, args: list[str]) -> int:
        """Verify the image, then write the archive."""
        from ...provenance.oci.model import INDEXES

        if len(args) != 2:  # noqa: PLR2004 - what, and where
            raise UsageError("`export` takes an image and a file", hint=f"`{self.bin_name} export docker:tea tea.tar`")
        folder, id_ = self._folder(args[0])
        found = verified(folder, trust_of(params["keys"]), id_)
        if found.record.media_type is None:
            raise UsageError(
                f"`{found.record.artifact}` is a file and no image", hint=f"copy it from {quoted(str(folder))}"
            )
        _write(folder, found, _reference(params["name"], found), Path(args[1]))
        sys.stdout.write(f"exported  {found.record.artifact}  {found.digest}  to `{args[1]}`\n")
        if found.record.media_type in INDEXES:
            sys.stdout.write(_SEVERAL)
        return 0

    def _folder(self, what: str) -> tuple[Path, str | None]:
        """Return where the artifact lies, and its id where it was asked for by that."""
        if os.path.lexists(what):
            folders = artifact_folders(Path(what)) if Path(what).is_dir() else []
            if len(folders) != 1:
                raise UsageError(f"{quoted(what)} is not the folder of one artifact")
            return folders[0], None
        found = self.artifacts([what])
        if len(found) != 1:
            listed = ", ".join(f"`{artifact.id}`" for _, artifact in found)
            raise UsageError(f"{quoted(what)} stands for {len(found)} artifacts; name one of {listed}")
        session, artifact = found[0]
        return session.workspace.output / artifact.folder, artifact.id


def _reference(text: str, found: VerifiedArtifact) -> Reference | None:
    """Return the name for an engine: the one asked for, else the artifact's, if it can be an image's."""
    from ...provenance.oci.reference import Reference

    if text:
        name = Reference.parse(text)
        if name.tag is None or name.digest is not None:
            raise UsageError(f"{quoted(text)} is no name with a tag alone", hint="as `ghcr.io/owner/tea:1`")
        return name
    try:
        return Reference.parse(found.record.artifact.partition(":")[2].rpartition("@")[0])
    except UsageError:
        return None  # `--name` gives it one


def _write(folder: Path, found: VerifiedArtifact, name: Reference | None, target: Path) -> None:
    from ...provenance.fs.store import writing
    from ...provenance.oci.export import export
    from ...provenance.oci.layout import verify_layout

    layout = folder / found.record.file
    image = verify_layout(layout)
    if image.digest != found.digest:
        raise VerificationError(f"`{found.record.artifact}` changed while it was exported", hint="run again")
    new = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    if not target.parent.is_dir():
        raise StoreError(f"can't write {quoted(str(target))}: {quoted(str(target.parent))} is no folder")
    with writing(target):
        try:
            with new.open("xb") as archive:
                export(layout, image, name, archive)
            new.replace(target)
        finally:
            new.unlink(missing_ok=True)
