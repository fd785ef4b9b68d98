"""One build of an image: from its inputs to an annotated OCI layout, with the materials that it used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ....provenance.attest.resource import ResourceDescriptor
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
from ..builder import BuiltImage
from . import buildx, engine
from .artifacts import BUILD_TYPE, dockerfile_of, external, image_contexts_of
from .dockerfile import named_by, parse
from .inputs import BuildRequest, declared, read_dockerfile, refuse_in_contexts, refuse_missing, remove, stage
from .pins import Asking, refuse_unpinned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ....provenance.config import Docker
    from ....provenance.json import JSONValue
    from ....provenance.oci.model import Descriptor
    from ...artifacts import Artifact
    from ...context import Context
    from ...freshness.snapshot import Snapshot
    from ...workspace import Workspace
    from .buildx import Tool
    from .dockerfile import NamedImages
    from .inputs import Staged
    from .pins import Material, Pins


def build(
    context: Context, docker: Docker, artifact: Artifact, tool: Tool, pins: Pins, snapshot: Snapshot
) -> BuiltImage:
    """Build an image.

    Args:
        context: the run.
        docker: its table.
        artifact: the image for one platform.
        tool: what builds.
        pins: the digests of this run.
        snapshot: its inputs.

    Raises:
        BuildError: the build failed, or used something that was not pinned.
        InputChangedError: an input changed while it was copied.
        ProvenanceError: something can't be read or written.
    """
    folder = context.scratch_dir(artifact)
    remove(folder)
    build = _Build(context=context, docker=docker, artifact=artifact, tool=tool, pins=pins, snapshot=snapshot)
    try:
        return build.run(folder, folder / "scratch")
    except BaseException:
        remove(folder)
        raise
    finally:
        remove(folder / "scratch")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Build:
    context: Context
    docker: Docker
    artifact: Artifact
    tool: Tool
    pins: Pins
    snapshot: Snapshot

    @property
    def workspace(self) -> Workspace:
        return self.context.workspace

    def run(self, folder: Path, scratch: Path) -> BuiltImage:
        refuse_missing(self.workspace, self.docker)
        refuse_in_contexts(self.context, self.docker)
        named = self._named_images()
        pins = self.pins.resolve(named.images, Asking.ALWAYS)
        files = self.snapshot.in_repository(self.workspace)
        created = time_of(self.workspace.source, sorted(files))
        started = datetime.now(UTC)
        try:
            scratch.mkdir(parents=True)
        except OSError as error:
            raise StoreError(f"no image can be built in `{scratch}`: {error.strerror}") from error
        epoch = int(created.timestamp())
        staged = stage(self.context, self.docker, self.snapshot.upstream.values(), epoch, scratch / "staged")
        _refuse_changes(staged, self.snapshot)
        request = BuildRequest(
            docker=self.docker, artifact=self.artifact, staged=staged, pins=pins, epoch=epoch, folder=scratch
        )
        materials, writer, root = self._build(request, folder)
        texts = [staged.text.decode(), *self.docker.args.values(), *image_contexts_of(self.docker).values()]
        refuse_unpinned(materials, pins.values(), texts, dockerfile_of(self.docker))
        base = Base(name=named.base.partition("@")[0], digest=pins[named.base]) if named.base else None
        return BuiltImage(
            built=Built(
                path=self._finish(writer, root, files, base, staged.text.decode()),
                build_type=BUILD_TYPE,
                external=external(self.docker),
                internal={
                    "platform": self.artifact.platform,
                    "driver": self.tool.driver,
                    "version": self.tool.version,
                    "sourceDateEpoch": epoch,
                },
                files=files,
                resolved=declared(self.workspace, self.docker, self.tool.value, pins).values,
                started=started,
                finished=datetime.now(UTC),
            ),
            created=created,
            materials=self._materials(materials),
            sources=files,
            upstream=tuple(self.snapshot.upstream),
        )

    def _named_images(self) -> NamedImages:
        text = read_dockerfile(self.workspace, self.docker)
        dockerfile = parse(text, dockerfile_of(self.docker))
        named = named_by(dockerfile, self.docker, Platform.parse(self.artifact.platform))
        if not (self.tool.argv or named.is_complete):
            raise BuildError(
                f"what the Dockerfile of `{self.artifact.id}` is built on or copies from only BuildKit can tell",
                hint="name it plainly: an engine without buildx does not say what it has used",
            )
        return named

    def _build(self, request: BuildRequest, folder: Path) -> tuple[list[Material], LayoutWriter, Descriptor]:
        """Build, and copy the image into a layout of ours; return what was used, and the image in the layout."""
        writer = LayoutWriter(folder / IMAGE)
        if self.tool.argv:
            materials = buildx.build(self.context, request, self.tool)
            entries = copy_layout(request.layout, writer, Means.LINK)
        else:
            archive = request.folder / "engine.tar"
            materials = engine.build(self.context, request, archive)
            entries = read_archive(archive, writer)
        images = select(entries, writer).images
        platform = Platform.parse(self.artifact.platform)
        if images.keys() != {platform}:
            built = ", ".join(f"`{each}`" for each in images)
            raise BuildError(f"the build left an image for {built}, and `{platform}` was asked for")
        return materials, writer, images[platform]

    def _finish(
        self, writer: LayoutWriter, root: Descriptor, files: Mapping[str, str], base: Base | None, text: str
    ) -> Path:
        """Convert and annotate the image, which settles its digest."""
        manifest = writer.manifest(root)
        if not isinstance(manifest, Manifest):  # pragma: no cover - `select` selects nothing else
            raise BuildError(f"`{self.artifact.id}` is no image")
        annotations = wanted(
            self.workspace,
            self.docker.name,
            self.docker.annotations,
            config=without_inherited(writer.config(manifest), text),
            files=files,
            base=base,
        )
        bare = replace(root, annotations={})  # BuildKit's index has a time, and a name that the user did not give
        writer.finish(annotate(to_oci(bare, writer), annotations, writer))
        return writer.folder

    def _materials(self, used: Sequence[Material]) -> list[ResourceDescriptor]:
        """Return the upstream artifacts, what BuildKit has used, and BuildKit itself."""
        upstream = [each.material for _, each in sorted(self.snapshot.upstream.items())]
        name, project = ("BuildKit", "moby/buildkit") if self.tool.argv else ("engine", "moby/moby")
        tool = ResourceDescriptor(
            uri=f"https://github.com/{project}", name=name, annotations={"version": self.tool.version}
        )
        return [*upstream, *(material.resource() for material in used), tool]


def _refuse_changes(staged: Staged, snapshot: Snapshot) -> None:
    """Require that what was copied is what was measured."""
    measured = {name: sha256 for name, sha256 in snapshot.files.items() if sha256 != ABSENT}
    for name in sorted(measured.keys() | staged.files.keys()):
        if measured.get(name) != staged.files.get(name):
            raise InputChangedError(f"an input changed while it was copied: {quoted(name)}", hint="run again")


def without_inherited(config: Mapping[str, JSONValue], dockerfile: str) -> Mapping[str, JSONValue]:
    """Return an image's configuration with only those labels whose keys appear in its Dockerfile.

    The labels of a distribution's image describe *that* image (`org.opencontainers.image.source`, `.version`), and
    BuildKit passes them on to everything that is built on it. The image's own configuration is not changed: only
    annotations are derived from what this returns.
    """
    inner = config.get("config")
    labels = inner.get("Labels") if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or not isinstance(labels, dict):
        return config
    own = {key: value for key, value in labels.items() if key in dockerfile}
    return {**config, "config": {**inner, "Labels": own}}
