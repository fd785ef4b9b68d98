"""One image, built between two looks at all that it is made from, as an OCI layout of ours."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ....provenance.errors import BuildError, InputChangedError, StoreError, quoted
from ....provenance.oci.annotations import annotate
from ....provenance.oci.archive import read_archive
from ....provenance.oci.convert import to_oci
from ....provenance.oci.model import Manifest
from ....provenance.oci.select import select
from ....provenance.oci.writer import LayoutWriter, Means, copy_layout
from ....provenance.platform import Platform
from ....provenance.record import IMAGE
from ....provenance.source import time_of
from ...builder import Built
from ...freshness.inputs import ABSENT
from ..annotations import Base, wanted
from .buildx import Call, build
from .dockerfile import parse
from .inputs import declared, read_dockerfile
from .labels import without_inherited
from .materials import Material, refuse_unpinned
from .pins import Asking
from .secret import refuse_in_contexts, refuse_missing
from .stages import named_by
from .staging import Staged, remove, stage
from .units import BUILD_TYPE, dockerfile_of, external, image_contexts_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ....provenance.config import Docker
    from ....provenance.oci.model import Descriptor
    from ...builder import Artifact
    from ...context import Context
    from ...freshness.snapshot import Snapshot, Upstream
    from ...workspace import Workspace
    from .pins import Pins
    from .stages import Named
    from .tool import Tool

_SECONDS = re.compile(r"[0-9]{1,11}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An image that was built.

    Attributes:
        created: the time of its sources.
        materials: what BuildKit has used beside the context.
        upstream: the artifacts that were put into the context, by their ids.
    """

    built: Built
    created: datetime
    tool: Tool
    materials: tuple[Material, ...]
    upstream: Mapping[str, Upstream]


def make(context: Context, docker: Docker, artifact: Artifact, tool: Tool, pins: Pins, snapshot: Snapshot) -> Made:
    """Build an image.

    Args:
        context: the run.
        docker: its table.
        artifact: the image for one platform.
        tool: what builds.
        pins: the digests of this run.
        snapshot: its inputs.

    Raises:
        BuildError: the build failed, or used what nobody had pinned.
        InputChangedError: an input changed while it was copied.
        ProvenanceError: something can't be read or written.
    """
    folder = context.scratch_dir(artifact)
    remove(folder)
    scratch = folder / "scratch"
    try:
        return _Making(context=context, docker=docker, artifact=artifact, tool=tool, pins=pins, snapshot=snapshot).run(
            folder, scratch
        )
    except BaseException:
        remove(folder)
        raise
    finally:
        remove(scratch)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Making:
    context: Context
    docker: Docker
    artifact: Artifact
    tool: Tool
    pins: Pins
    snapshot: Snapshot

    @property
    def workspace(self) -> Workspace:
        return self.context.workspace

    def run(self, folder: Path, scratch: Path) -> Made:
        refuse_missing(self.workspace, self.docker)
        refuse_in_contexts(self.context, self.docker)
        named = self._named()
        if not (self.tool.argv or named.is_all):
            raise BuildError(
                f"what the Dockerfile of `{self.artifact.id}` is built on or copies from only BuildKit can tell",
                hint="name it plainly: an engine without buildx does not say what it has used",
            )
        pins = self.pins.of(named.images, lambda: self.tool, Asking.ALWAYS)
        upstream = self.snapshot.upstream
        files = self.snapshot.in_repository(self.workspace)
        created = time_of(self.workspace.source, sorted(files))
        started = datetime.now(UTC)
        try:
            scratch.mkdir(parents=True)
        except OSError as error:
            raise StoreError(f"no image can be built in `{scratch}`: {error.strerror}") from error
        staged = stage(self.context, self.docker, upstream.values(), int(created.timestamp()), scratch / "staged")
        _refuse_others(staged, self.snapshot)
        call = Call(
            docker=self.docker,
            artifact=self.artifact,
            tool=self.tool,
            staged=staged,
            pins=pins,
            epoch=int(created.timestamp()),
            folder=scratch,
        )
        materials, writer, root = self._build(call, folder)
        texts = [staged.text.decode(), *self.docker.args.values(), *image_contexts_of(self.docker).values()]
        refuse_unpinned(materials, pins.values(), texts, dockerfile_of(self.docker))
        base = Base(name=named.base.partition("@")[0], digest=pins[named.base]) if named.base else None
        path = self._finish(writer, root, files, base, staged.text.decode())
        values = declared(self.workspace, self.docker, self.tool.value, pins).values
        return Made(
            built=Built(
                path=path,
                build_type=BUILD_TYPE,
                external=external(self.docker),
                internal={
                    "platform": self.artifact.platform,
                    "driver": self.tool.driver,
                    "version": self.tool.version,
                    "sourceDateEpoch": call.epoch,
                },
                files=files,
                resolved=values,
                started=started,
                finished=datetime.now(UTC),
            ),
            created=created,
            tool=self.tool,
            materials=tuple(materials),
            upstream=upstream,
        )

    def _named(self) -> Named:
        text = read_dockerfile(self.workspace, self.docker)
        dockerfile = parse(text, dockerfile_of(self.docker))
        return named_by(dockerfile, self.docker, Platform.parse(self.artifact.platform))

    def _build(self, call: Call, folder: Path) -> tuple[list[Material], LayoutWriter, Descriptor]:
        """Build, and take what was built into a layout of ours; return what was used, and the image in the layout."""
        writer = LayoutWriter(folder / IMAGE)
        if call.tool.argv:
            materials = build(self.context, call)
            entries = copy_layout(call.layout, writer, Means.LINK)
        else:
            from . import engine

            archive = call.folder / "engine.tar"
            materials = engine.build(self.context, call, archive)
            entries = read_archive(archive, writer)
        images = select(entries, writer).images
        asked = Platform.parse(self.artifact.platform)
        if images.keys() != {asked}:
            there = ", ".join(f"`{one}`" for one in images)
            raise BuildError(f"the build left an image for {there}, and `{asked}` was asked for")
        return materials, writer, images[asked]

    def _finish(
        self, writer: LayoutWriter, root: Descriptor, files: Mapping[str, str], base: Base | None, text: str
    ) -> Path:
        """Convert and annotate the image, which settles its digest."""
        found = writer.manifest(root)
        if not isinstance(found, Manifest):  # pragma: no cover - `select` selects nothing else
            raise BuildError(f"`{self.artifact.id}` is no image")
        said = wanted(
            self.workspace,
            self.docker.name,
            self.docker.annotations,
            config=without_inherited(writer.config(found), text),
            files=files,
            base=base,
        )
        bare = replace(root, annotations={})  # of BuildKit's index: a time, and a name that nobody gave
        writer.finish(annotate(to_oci(bare, writer), said, writer))
        return writer.folder


def _refuse_others(staged: Staged, snapshot: Snapshot) -> None:
    """See that what was copied is what was measured."""
    measured = {name: sha256 for name, sha256 in snapshot.files.items() if sha256 != ABSENT}
    for name in sorted(measured.keys() | staged.files.keys()):
        if measured.get(name) != staged.files.get(name):
            raise InputChangedError(f"an input changed while it was copied: {quoted(name)}", hint="run again")
