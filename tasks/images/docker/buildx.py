"""One call of `docker buildx build`, and what it says that it has used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ....provenance.digest import read_limited
from ....provenance.errors import BuildError, ToolError, UnreadableError
from ....provenance.json import read_json
from ....provenance.platform import Platform
from ....provenance.process import run
from .materials import Material, read_materials
from .pins import POLICY, policy
from .tool import environment
from .units import image_contexts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ....provenance.config import Docker
    from ...builder import Artifact
    from ...context import Context
    from .staging import Staged
    from .tool import Tool

_METADATA_LIMIT = 64 << 20
_PROVENANCE = "buildx.build.provenance"
_FOREIGN = "exec format error"
_NOT_THERE = ("no match for platform in manifest", "does not provide the specified platform")
_WENT_AWAY = ("error reading from server", "rpc error: code = Unavailable", "closing transport")
"""What BuildKit and Linux say."""
_TAIL = 16 << 10
"""Characters of the output that are searched for what went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is to be built, and where all of it lies.

    Attributes:
        pins: reference to digest of each image that the Dockerfile names.
        epoch: SOURCE_DATE_EPOCH, in seconds.
        folder: for what the call reads and leaves, beside the context.
    """

    docker: Docker
    artifact: Artifact
    tool: Tool
    staged: Staged
    pins: Mapping[str, str]
    epoch: int
    folder: Path

    @property
    def layout(self) -> Path:
        """Where the image is left, as an OCI layout."""
        return self.folder / "built"

    @property
    def metadata(self) -> Path:
        """Where buildx writes what it did."""
        return self.folder / "metadata.json"

    def argv(self) -> list[str]:
        """Return the command."""
        docker, tool = self.docker, self.tool
        return [
            *tool.argv,
            "build",
            *(["--builder", tool.builder] if tool.builder else []),
            "--progress=plain",
            "--provenance=false",
            "--sbom=false",
            *("--platform", self.artifact.platform),
            *("--file", str(self.staged.dockerfile)),
            *("--output", f"type=oci,tar=false,rewrite-timestamp=true,{_field(f'dest={self.layout}')}"),
            *("--metadata-file", str(self.metadata)),
            *(["--target", docker.target] if docker.target else []),
            *_repeated("--build-arg", [f"{name}={value}" for name, value in sorted(docker.args.items())]),
            *_repeated("--secret", docker.secrets),
            *_repeated("--build-context", [f"{name}={path}" for name, path in sorted(self.staged.named.items())]),
            *_repeated("--build-context", [f"{n}=docker-image://{r}" for n, r in image_contexts_of(docker).items()]),
            str(self.staged.context),
        ]


def build(context: Context, call: Call) -> list[Material]:
    """Build an image, and return what BuildKit says that it has used.

    Raises:
        BuildError: the build failed; what BuildKit wrote went to `Workspace.progress`.
        ToolError: buildx does not say what was used.
    """
    rules = call.folder / "policy.json"
    rules.write_bytes(policy(call.pins))
    extra = {POLICY: str(rules), "SOURCE_DATE_EPOCH": str(call.epoch), "BUILDX_METADATA_PROVENANCE": "min"}
    argv, said = call.argv(), _Tail()
    with context.progress.call([call.artifact], argv) as sink:

        def take(piece: bytes) -> None:
            said.add(piece)
            sink(piece)

        code = run(argv, cwd=context.workspace.root, env=environment(extra), sink=take)
        if code != 0:
            how = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
            raise BuildError(
                f"`docker buildx build` failed for `{call.artifact.id}` ({how})", hint=_hint(call, said.text)
            )
    return _materials(call)


def _field(text: str) -> str:
    """Return a field of a line of CSV, which `--output` takes (RFC 4180)."""
    return '"' + text.replace('"', '""') + '"'


class _Tail:
    """Keeps the end of what a tool writes."""

    def __init__(self) -> None:
        self.text = ""

    def add(self, piece: bytes) -> None:
        self.text = (self.text + piece.decode(errors="replace"))[-_TAIL:]


def _repeated(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def _hint(call: Call, said: str) -> str | None:
    """Return what to do about a failure that BuildKit has no words for."""
    platform, builder = call.artifact.platform, call.tool.builder
    if any(text in said for text in _NOT_THERE):
        return f"an image that the Dockerfile names is not there for `{platform}`"
    if any(text in said for text in _WENT_AWAY):
        return f"the BuildKit of the builder `{builder}` went away; see that it runs, and run again"
    if _FOREIGN not in said:
        return None
    runs = sorted({str(Platform.parse(one)) for one in call.tool.platforms if "/" in one})
    if platform in runs:
        return f"a program that a RUN starts is not for `{platform}`"
    there = ", ".join(f"`{one}`" for one in runs) or "no platform that it names"
    return (
        f"the builder `{builder}` runs {there}; a RUN for `{platform}` needs a node of that platform "
        "(`docker buildx create --append`, a remote BuildKit) or an emulator (binfmt)"
    )


def _materials(call: Call) -> list[Material]:
    try:
        document = read_json(read_limited(call.metadata, _METADATA_LIMIT))
    except (UnreadableError, ValueError) as error:
        raise ToolError(f"`docker buildx` left no metadata that can be read: {error}") from error
    found = document.get(_PROVENANCE) if isinstance(document, dict) else None
    if not isinstance(found, dict):
        raise ToolError(
            "this `docker buildx`, or its BuildKit, does not say what a build has used",
            hint="use buildx 0.16 or later, and BuildKit 0.11 or later; of an image without any layer none does",
        )
    return read_materials(found)
