"""The docker engine without buildx: the images in its store, and building with it through docker's library."""

from __future__ import annotations

import re
import secrets
import tarfile
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from ....provenance.errors import BuildError, ToolError, quoted
from ....provenance.fs.store import writing
from ....provenance.oci.reference import Reference
from ....provenance.platform import Platform
from .pins import Material

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from docker import DockerClient

    from ....provenance.config import Docker
    from ....provenance.process import Sink
    from ...context import Context
    from .inputs import BuildRequest

_CHUNK = 1 << 20
_TIMEOUT = 300
"""Seconds that the engine may say nothing: it puts an archive together before it sends it."""


def image_id(name: str) -> str:
    """Return an engine's id of an image, `sha256:…`.

    Raises:
        ToolError: there is no engine, or no such image in it.
    """
    with opened_engine() as client:
        return str(client.images.get(name).id)


def save(name: str, target: Path) -> str:
    """Save an image into an archive, and return the engine's id of it.

    Exactly the image of that id is saved, even if the name is moved to another one meanwhile.

    Raises:
        ToolError: there is no engine, no such image in it, or the engine breaks off before the end of the archive.
        StoreError: the archive can't be written.
    """
    with opened_engine() as client:
        id_ = str(client.images.get(name).id)
        with writing(target):
            archive = target.open("wb", buffering=0)
        with archive:
            for chunk in client.api.get_image(id_, chunk_size=_CHUNK):
                with writing(target):  # not around the loop, where errors are the engine's
                    archive.write(chunk)
    return id_


@contextmanager
def opened_engine() -> Iterator[DockerClient]:
    """Yield a client of the engine that the environment names, as the docker command has it."""
    import docker
    from docker.errors import DockerException, ImageNotFound
    from requests import RequestException
    from urllib3.exceptions import HTTPError

    try:
        client = docker.from_env(timeout=_TIMEOUT)
    except (DockerException, ValueError) as error:  # ValueError: DOCKER_HOST is malformed
        raise ToolError(
            f"no docker engine can be reached: {_reason(error)}",
            hint="start it, or set DOCKER_HOST to where it listens",
        ) from error
    try:
        yield client
    except ImageNotFound as error:
        raise ToolError(f"the docker engine has no such image: {error.explanation}", hint="build or pull it") from error
    except (DockerException, RequestException, HTTPError) as error:  # streams are read past `requests`
        raise ToolError(f"the docker engine failed: {quoted(str(error))}") from error
    finally:
        client.close()


def _reason(error: BaseException) -> str:
    """Return the innermost reason for a failed connection; the message of docker's library shows its wrapping."""
    inner = error
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
    return inner.strerror if isinstance(inner, OSError) and inner.strerror else str(error)


_ID = re.compile(r"sha256:[0-9a-f]{64}\Z")
_BUILDKIT = "`docker buildx create --use` makes a builder that can; see https://docs.docker.com/build/builders/"


def version() -> str:
    """Return the engine's version.

    Raises:
        ToolError: there is no engine.
    """
    with opened_engine() as client:
        return str(client.version()["Version"])


def look_up(reference: str) -> str:
    """Return the digest that a reference has in its registry now.

    Raises:
        ToolError: the engine can't be asked, or has no answer.
    """
    with opened_engine() as client:
        digest = str(client.api.inspect_distribution(reference)["Descriptor"]["digest"])
    if not _ID.match(digest):
        raise ToolError(f"the docker engine did not tell the digest of {quoted(reference)}, but {quoted(digest)}")
    return digest


def build(context: Context, request: BuildRequest, archive: Path) -> list[Material]:
    """Build an image, save it into an archive, and remove it from the engine; return the images it was built on.

    Raises:
        BuildError: the build failed, or the image is for another platform: engines without BuildKit build for their
            own, whatever they are asked for.
        ToolError: the engine does not answer, or breaks off.
    """
    _refuse_what_needs_buildkit(request.docker)
    argv = ["docker", "engine", "build", "--platform", request.artifact.platform]
    with context.progress.call([request.artifact], argv) as sink, opened_engine() as client:
        for reference, digest in request.pins.items():
            _pull(client, reference, digest, request.artifact.platform)
        built = _build(client, request, sink)
        try:
            _refuse_other_platform(client, built, request)
            save(built, archive)
        finally:
            client.api.remove_image(built, force=True)
    return [_material(reference, digest) for reference, digest in request.pins.items()]


def _refuse_what_needs_buildkit(docker: Docker) -> None:
    for key, value in (("secrets", docker.secrets), ("contexts", docker.contexts)):
        if value:
            raise BuildError(
                f"`{key}` of `[docker.{docker.name}]` need BuildKit, which this engine lacks", hint=_BUILDKIT
            )


def _pull(client: DockerClient, reference: str, digest: str, platform: str) -> None:
    """Pull an image by its digest, and tag it with the name that the Dockerfile uses."""
    parsed = Reference.parse(reference)
    pulled = client.images.pull(parsed.name, tag=digest, platform=platform)
    if parsed.tag:
        pulled.tag(parsed.name, tag=parsed.tag)


def _build(client: DockerClient, request: BuildRequest, sink: Sink) -> str:
    """Return the engine's id of the image that it built."""
    from docker.errors import APIError

    with _packed(request) as (context, dockerfile):
        try:
            answers = client.api.build(
                fileobj=context,
                custom_context=True,
                dockerfile=dockerfile,
                platform=request.artifact.platform,
                buildargs=dict(request.docker.args),
                target=request.docker.target,
                rm=True,
                forcerm=True,
                decode=True,
            )
            built = _follow(answers, request, sink)
        except APIError as error:
            if not error.is_client_error():
                raise
            raise _failed(request, str(error.explanation)) from error  # the Dockerfile is malformed
    if not _ID.match(built):
        raise ToolError("the docker engine ended in the middle of the build", hint="see that it runs, and run again")
    return built


def _follow(answers: Iterable[Mapping[str, object]], request: BuildRequest, sink: Sink) -> str:
    built = ""
    for answer in answers:
        match answer:
            case {"error": str(error)}:
                sink(f"{error}\n".encode())
                raise _failed(request, error)
            case {"stream": str(text)}:
                sink(text.encode())
            case {"aux": {"ID": str(id_)}}:
                built = id_
    return built


def _failed(request: BuildRequest, message: str) -> BuildError:
    is_newer = any(
        text in message.lower() for text in ("unknown instruction", "unknown flag", "dockerfile parse error")
    )
    return BuildError(
        f"the docker engine failed to build `{request.artifact.id}`: {quoted(message)}",
        hint=f"what this engine does not know may be BuildKit's; {_BUILDKIT}" if is_newer else None,
    )


@contextmanager
def _packed(request: BuildRequest) -> Iterator[tuple[BinaryIO, str]]:
    """Yield the context as an archive, and the Dockerfile's name in it; the engine leaves that file out again."""
    name = f".dockerfile.{secrets.token_hex(8)}"
    path = request.folder / "context.tar"
    ignore = f".dockerignore\n{name}\n".encode()
    with path.open("w+b") as stream:
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
            archive.add(request.staged.context, arcname=".", filter=lambda member: _plain(member, request.epoch))
            for file, data in ((name, request.staged.text), (".dockerignore", ignore)):
                member = tarfile.TarInfo(file)
                member.size = len(data)
                archive.addfile(member, BytesIO(data))
        stream.seek(0)
        yield stream, name


def _plain(member: tarfile.TarInfo, epoch: int) -> tarfile.TarInfo | None:
    if member.name == "./.dockerignore":
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = epoch
    return member


def _refuse_other_platform(client: DockerClient, built: str, request: BuildRequest) -> None:
    image = client.api.inspect_image(built)
    actual = Platform(
        os=str(image["Os"]), architecture=str(image["Architecture"]), variant=image.get("Variant") or None
    )
    expected = Platform.parse(request.artifact.platform)
    if (actual.os, actual.architecture) != (expected.os, expected.architecture):
        raise BuildError(
            f"the docker engine built `{request.artifact.id}` for `{actual}`: without BuildKit it builds for its own",
            hint=_BUILDKIT,
        )


def _material(reference: str, digest: str) -> Material:
    """Return an image by its package URL, as BuildKit would report it."""
    parsed = Reference.parse(reference)
    tag = f"@{parsed.tag}" if parsed.tag else ""
    return Material(uri=f"pkg:docker/{parsed.name}{tag}?digest={digest}", digest={"sha256": digest.partition(":")[2]})
