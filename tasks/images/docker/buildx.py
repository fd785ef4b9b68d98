"""`docker buildx`: which builder it uses, and one call of it."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ....provenance.digest import digest_bytes, read_limited
from ....provenance.errors import BuildError, ToolError, UnreadableError, quoted
from ....provenance.json import read_json
from ....provenance.platform import Platform
from ....provenance.process import capture, clean_environment, run
from .artifacts import image_contexts_of
from .pins import POLICY, Material, policy, read_materials

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ...context import Context
    from .inputs import BuildRequest

_MEMORY = "docker buildkit"
_CHOOSING = ("BUILDX_BUILDER", "BUILDX_CONFIG", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_HOST", "PATH")
"""Variables that decide which builder is used."""
_BOOT = 300.0
"""Seconds for a builder to begin; one in a container is pulled and started."""
_ASK = 60.0
_LOOK_UP = 120.0
"""Seconds for a registry to answer."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_FIELD = re.compile(r"^(?P<name>[A-Z][A-Za-z ]*):[ \t]*(?P<value>.*?)[ \t]*$", re.MULTILINE)
_NO_BUILDX = ("is not a docker command", "unknown command: docker buildx", 'unknown command "buildx"')
_NO_ENGINE = ("cannot connect to the docker daemon", "is the docker daemon running", "connection refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """What builds.

    Attributes:
        argv: how `buildx` is started; if empty, the engine builds.
        builder: the name of buildx's builder.
        driver: of the builder, as `docker-container` or `remote`.
        version: of BuildKit, or of the engine.
        platforms: that the builder says it runs.
    """

    argv: tuple[str, ...]
    builder: str = ""
    driver: str = ""
    version: str = ""
    platforms: tuple[str, ...] = ()

    @property
    def value(self) -> str:
        """Its value as an input, without the name of the builder, which is private."""
        return f"BuildKit {self.version}" if self.argv else f"engine {self.version}"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for docker, without variables that change the result of a build."""
    ignored = ("BUILDX_GIT_LABELS", "BUILDX_GIT_INFO", "BUILDX_METADATA_PROVENANCE", "DOCKER_DEFAULT_PLATFORM")
    kept = {name: value for name, value in clean_environment().items() if name not in ignored}
    return kept | {"DOCKER_CLI_HINTS": "false", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"} | dict(extra or {})


def find_tool(context: Context) -> Tool:
    """Ask which builder there is, and remember its version for runs that build nothing.

    Raises:
        ToolError: there is neither buildx nor an engine, or the builder does not answer.
    """
    argv = _buildx(context.workspace.root)
    tool = _inspect(argv, context.workspace.root) if argv else None
    if tool is None or (tool.driver == "docker" and not _keeps_oci(context.workspace.root)):
        tool = Tool(argv=(), driver="engine", version=_engine_version(lacks_buildx=not argv))
    context.memory.put(_MEMORY, {"of": _choice(), "value": tool.value})
    return tool


def _engine_version(*, lacks_buildx: bool) -> str:
    from .engine import version

    try:
        return version()
    except ToolError as error:
        if not lacks_buildx:
            raise
        raise ToolError(
            f"there is no `docker buildx`, and {error.message}", hint=f"install buildx, or the engine: {error.hint}"
        ) from error


def tool_value(context: Context, find: Callable[[], Tool]) -> str:
    """Return the value of the input that the tool is, as remembered for the same choice of builder, else by `find`.

    A new version of BuildKit in the same builder is noticed at the next build.

    Raises:
        ToolError: nothing is remembered, and the tool does not answer.
    """
    match context.memory.get(_MEMORY):
        case {"of": of, "value": str(value)} if of == _choice():
            return value
    return find().value


def _choice() -> str:
    """Return a digest of all that decides which builder is used: variables and docker's own files."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    chosen = [os.environ.get(name, "") for name in _CHOOSING]
    buildx = Path(os.environ.get("BUILDX_CONFIG") or folder / "buildx")
    try:
        chosen.append((buildx / "current").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        chosen.append("")
    try:
        document = json.loads((folder / "config.json").read_bytes())
        chosen.append(str(document.get("currentContext")) if isinstance(document, dict) else "")
    except (OSError, ValueError, RecursionError):
        chosen.append("")
    return digest_bytes("\0".join(chosen).encode(errors="surrogateescape")).sha256


def _buildx(root: Path) -> tuple[str, ...]:
    """Return how buildx is started; empty if it is not installed."""
    if shutil.which("docker"):
        try:
            capture(["docker", "buildx", "version"], cwd=root, env=environment(), timeout=_ASK)
        except ToolError as error:
            if not any(text in str(error) for text in _NO_BUILDX):
                raise unreachable(error) from error
        else:
            return ("docker", "buildx")
    return ("buildx",) if shutil.which("buildx") else ()


def _inspect(argv: Sequence[str], root: Path) -> Tool:
    try:
        output = capture([*argv, "inspect", "--bootstrap"], cwd=root, env=environment(), timeout=_BOOT)
    except ToolError as error:
        known = unreachable(error)
        if known is not error:
            raise known from error
        name = os.environ.get("BUILDX_BUILDER", "")
        which = f"the builder {quoted(name)}" if name else "the builder in use"
        raise ToolError(f"{which} of `docker buildx` can't be used: {_last_line(error.message)}", hint=_HINT) from error
    fields: dict[str, list[str]] = {}
    for match in _FIELD.finditer(output.decode(errors="replace")):
        fields.setdefault(match["name"], []).append(match["value"])
    versions = list(dict.fromkeys(fields.get("BuildKit version", fields.get("Buildkit", []))))
    if not versions:
        why = next(iter(fields.get("Error", [])), "none of its nodes runs")
        raise ToolError(
            f"the builder `{fields.get('Name', ['default'])[0]}` of `docker buildx` can't be used: {why}", hint=_HINT
        )
    platforms = (p.strip().rstrip("*") for line in fields.get("Platforms", []) for p in line.split(","))
    return Tool(
        argv=tuple(argv),
        builder=fields["Name"][0],
        driver=fields.get("Driver", [""])[0],
        version=" and ".join(versions),
        platforms=tuple(dict.fromkeys(platforms)),
    )


def look_up(reference: str, tool: Tool, root: Path) -> str:
    """Return the digest that a reference has in its registry now; the user's credentials and mirrors are used.

    Raises:
        ToolError: the image can't be looked up.
    """
    if not tool.argv:
        from . import engine

        return engine.look_up(reference)
    builder = ["--builder", tool.builder] if tool.builder else []
    argv = [*tool.argv, "imagetools", "inspect", *builder, reference, "--format", "{{.Manifest.Digest}}"]
    try:
        digest = capture(argv, cwd=root, env=environment(), timeout=_LOOK_UP).decode(errors="replace").strip()
    except ToolError as error:
        raise ToolError(
            f"the image {quoted(reference)}, which a Dockerfile names, can't be looked up: {error.message}",
            hint="see that it is there, log in with `docker login`, or name it by its digest",
        ) from error
    if not _DIGEST.match(digest):
        raise ToolError(f"`docker buildx` did not tell the digest of {quoted(reference)}, but {quoted(digest)}")
    return digest


def unreachable(error: ToolError) -> ToolError:
    """Return our own error if docker reports that the engine does not answer, else the error itself."""
    if any(text in str(error).lower() for text in _NO_ENGINE):
        return ToolError(f"the docker engine does not answer: {_last_line(error.message)}", hint=_HINT)
    return error


_HINT = "start it, or choose another builder with `docker buildx use` or BUILDX_BUILDER"


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2].removeprefix("ERROR: ")


def _keeps_oci(root: Path) -> bool:
    """Tell whether the engine's store is containerd's: only then can its own BuildKit export OCI layouts."""
    argv = ["docker", "info", "--format", "{{json .DriverStatus}}"]
    try:
        return b"io.containerd.snapshotter" in capture(argv, cwd=root, env=environment(), timeout=_ASK)
    except ToolError as error:
        raise unreachable(error) from error


_METADATA_LIMIT = 64 << 20
_PROVENANCE = "buildx.build.provenance"
_FOREIGN = "exec format error"
_NOT_THERE = ("no match for platform in manifest", "does not provide the specified platform")
_WENT_AWAY = ("error reading from server", "rpc error: code = Unavailable", "closing transport")
"""Messages of BuildKit and Linux."""
_TAIL = 16 << 10
"""Characters of the output that are searched for what went wrong."""


def _argv(request: BuildRequest, tool: Tool) -> list[str]:
    docker = request.docker
    return [
        *tool.argv,
        "build",
        *(["--builder", tool.builder] if tool.builder else []),
        "--progress=plain",
        "--provenance=false",
        "--sbom=false",
        *("--platform", request.artifact.platform),
        *("--file", str(request.staged.dockerfile)),
        *("--output", f"type=oci,tar=false,rewrite-timestamp=true,{_field(f'dest={request.layout}')}"),
        *("--metadata-file", str(request.metadata)),
        *(["--target", docker.target] if docker.target else []),
        *_repeated("--build-arg", [f"{name}={value}" for name, value in sorted(docker.args.items())]),
        *_repeated("--secret", docker.secrets),
        *_repeated("--build-context", [f"{name}={path}" for name, path in sorted(request.staged.named.items())]),
        *_repeated("--build-context", [f"{n}=docker-image://{r}" for n, r in image_contexts_of(docker).items()]),
        str(request.staged.context),
    ]


def build(context: Context, request: BuildRequest, tool: Tool) -> list[Material]:
    """Build an image, and return the materials that BuildKit reports.

    Raises:
        BuildError: the build failed; what BuildKit wrote went to `Context.progress`.
        ToolError: buildx does not report the materials.
    """
    rules = request.folder / "policy.json"
    rules.write_bytes(policy(request.pins))
    extra = {POLICY: str(rules), "SOURCE_DATE_EPOCH": str(request.epoch), "BUILDX_METADATA_PROVENANCE": "min"}
    argv, tail = _argv(request, tool), _Tail()
    with context.progress.call([request.artifact], argv) as sink:

        def take(piece: bytes) -> None:
            tail.add(piece)
            sink(piece)

        code = run(argv, cwd=context.workspace.root, env=environment(extra), sink=take)
        if code != 0:
            how = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
            raise BuildError(
                f"`docker buildx build` failed for `{request.artifact.id}` ({how})",
                hint=_hint(request.artifact.platform, tool, tail.text),
            )
    return _materials(request.metadata)


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


def _hint(platform: str, tool: Tool, output: str) -> str | None:
    """Return a hint for failures that BuildKit does not explain."""
    builder = tool.builder
    if any(text in output for text in _NOT_THERE):
        return f"an image that the Dockerfile names is not there for `{platform}`"
    if any(text in output for text in _WENT_AWAY):
        return f"the BuildKit of the builder `{builder}` went away; see that it runs, and run again"
    if _FOREIGN not in output:
        return None
    runs = sorted({str(Platform.parse(text)) for text in tool.platforms if "/" in text})
    if platform in runs:
        return f"a program that a RUN starts is not for `{platform}`"
    there = ", ".join(f"`{each}`" for each in runs) or "no platform that it names"
    return (
        f"the builder `{builder}` runs {there}; a RUN for `{platform}` needs a node of that platform "
        "(`docker buildx create --append`, a remote BuildKit) or an emulator (binfmt)"
    )


def _materials(metadata: Path) -> list[Material]:
    try:
        document = read_json(read_limited(metadata, _METADATA_LIMIT))
    except (UnreadableError, ValueError) as error:
        raise ToolError(f"`docker buildx` left no metadata that can be read: {error}") from error
    provenance = document.get(_PROVENANCE) if isinstance(document, dict) else None
    if not isinstance(provenance, dict):
        raise ToolError(
            "this `docker buildx`, or its BuildKit, does not say what a build has used",
            hint="use buildx 0.16 or later, and BuildKit 0.11 or later; of an image without any layer none does",
        )
    return read_materials(provenance)
