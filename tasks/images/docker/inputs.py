"""The inputs of an image: what is declared, what must not be among them, and the copy that a build is given.

The copy has modes and times that are the same whoever checked the sources out, and nothing that was not measured can
get in. A context's folder is named by its content: in a context of the same name, BuildKit takes files of the same size
and time for unchanged, and here both are equal after many an edit.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from ....provenance.digest import read_limited
from ....provenance.errors import BuildError, InputChangedError, StoreError, ToolError, quoted
from ....provenance.platform import Platform
from ...freshness.build_context import Type, entries, files, folder_of, name_of
from ...freshness.inputs import Declared, Kind, key, parts
from ..annotations import as_input
from .artifacts import dockerfile_of, folders_of, secret_ids
from .dockerfile import LIMIT, named_by, parse
from .pins import Asking, resolution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from ....provenance.config import Docker
    from ...artifacts import Artifact
    from ...context import Context
    from ...freshness.build_context import Entry
    from ...freshness.snapshot import Upstream
    from ...workspace import Workspace
    from .pins import Pins

TOOL = key(Kind.TOOL, "buildkit")
POLICY_SUFFIX = ".rego"
"""A file of this ending beside a Dockerfile is buildx's policy for it."""


def declare(context: Context, docker: Docker, artifact: Artifact, pins: Pins, tool: Callable[[], str]) -> Declared:
    """Return the inputs of an image that are known without building it; no registry is asked unless `pull` says so.

    Args:
        context: the run.
        docker: its table.
        artifact: the image for one platform.
        pins: the digests of this run.
        tool: returns the value of the input that the tool is.

    Raises:
        ProvenanceError: the Dockerfile can't be understood, or docker has to be asked and does not answer.
    """
    resolutions = _resolutions(context.workspace, docker, artifact, pins)
    return declared(context.workspace, docker, tool(), resolutions)


def declared(workspace: Workspace, docker: Docker, tool: str, pins: Mapping[str, str]) -> Declared:
    """Return the same for a known tool and known digests."""
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
    names = [name_of(docker.context, dockerfile_of(docker)), *sorted(set(folders_of(docker).values()))]
    return [key(Kind.CONTEXT, name) for name in names]


def _resolutions(workspace: Workspace, docker: Docker, artifact: Artifact, pins: Pins) -> dict[str, str]:
    path = workspace.root / dockerfile_of(docker)
    if not path.is_file():
        return {}  # the missing Dockerfile makes the artifact stale, and then fails its build
    dockerfile = parse(read_limited(path, LIMIT), dockerfile_of(docker))
    named = named_by(dockerfile, docker, Platform.parse(artifact.platform))
    return pins.resolve(named.images, Asking.ALWAYS if docker.pull else Asking.WHERE_UNKNOWN)


def _rendered(table: Mapping[str, str]) -> str:
    return json.dumps(dict(table), sort_keys=True)


def read_dockerfile(workspace: Workspace, docker: Docker) -> bytes:
    """Return the bytes of an image's Dockerfile.

    Raises:
        BuildError: it is missing, or outside the workspace.
        UnreadableError: it exceeds the size limit.
    """
    name = dockerfile_of(docker)
    path = workspace.root / name
    if not path.resolve().is_relative_to(workspace.root.resolve()) or not path.is_file():
        raise BuildError(
            f"the Dockerfile {quoted(name)} is no file of the workspace",
            hint=f"correct `dockerfile` or `context` of `[docker.{docker.name}]` in provenance.toml",
        )
    return read_limited(path, LIMIT)


_PATHS = ("src", "source")


def refuse_in_contexts(context: Context, docker: Docker) -> None:
    """Require that no secret is a file of a context, before any context is copied or sent.

    Otherwise it would be sent to BuildKit, `COPY . .` would put it into a layer, and its digest would be an input.

    Raises:
        BuildError: a secret is in a context.
        ProvenanceError: a context can't be read.
    """
    secrets = {os.path.realpath(context.workspace.root / path) for path in _files(docker)}
    if not secrets:
        return
    for input_ in contexts(docker):
        for name in files(context.workspace.root, parts(input_)[1], context.build_dirs):
            if os.path.realpath(context.workspace.root / name) in secrets:
                raise BuildError(
                    f"the secret {quoted(name)} of `[docker.{docker.name}]` lies in its build context",
                    hint="exclude it in `.dockerignore`: all that is sent can get into the image",
                )


def refuse_missing(workspace: Workspace, docker: Docker) -> None:
    """Require that each secret exists: BuildKit silently takes an unset variable for an empty secret.

    Raises:
        BuildError: a secret is missing.
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
        for path in (fields[name] for name in _PATHS if name in fields):
            if not (workspace.root / path).is_file():
                raise BuildError(
                    f"the secret {quoted(fields['id'])} of `[docker.{docker.name}]` is no file: {quoted(path)}",
                    hint="paths are taken from the workspace's root",
                )


def _fields(secret: str) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in secret.split(","))


def _files(docker: Docker) -> Iterator[str]:
    """Yield the paths of secrets that are files; a secret with only an id may be a file of that name (buildx)."""
    for secret in docker.secrets:
        fields = _fields(secret)
        if named := [fields[name] for name in _PATHS if name in fields]:
            yield from named
        elif "env" not in fields and fields.get("type") != "env":
            yield fields["id"]


_CHUNK = 1 << 20
_PROGRAM, _FILE = 0o755, 0o644
_IGNORE = b"# All that lies in the context was chosen already.\n"
_NAME = 32
"""Digits of a digest that name a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A context that is ready.

    Attributes:
        context: its folder.
        dockerfile: a copy of the Dockerfile, in a folder of its own.
        named: the named contexts that are folders, by name.
        text: the Dockerfile's bytes.
        files: what was copied: path from the workspace's root to sha256.
    """

    context: Path
    dockerfile: Path
    named: Mapping[str, Path]
    text: bytes
    files: Mapping[str, str]


def stage(context: Context, docker: Docker, upstream: Iterable[Upstream], epoch: int, folder: Path) -> Staged:
    """Copy everything that a build is given.

    Args:
        context: the run.
        docker: the image.
        upstream: the artifacts to put at the context's root.
        epoch: the time of every file, in seconds since 1970.
        folder: receives the copy; it must not exist.

    Raises:
        BuildError: an upstream artifact has the name of something in the context.
        InputChangedError: something changed while it was copied.
        ProvenanceError: something can't be read or written.
    """
    text = read_dockerfile(context.workspace, docker)
    try:
        copy = _Copy(context=context, epoch=epoch)
        main, *others = contexts(docker)
        main_context = copy.copy_context(parts(main)[1], folder / "context", upstream)
        names = dict.fromkeys(parts(input_)[1] for input_ in others)
        named = {name: copy.copy_context(name, folder / f"named-{i}", ()) for i, name in enumerate(names)}
        dockerfile = folder / "dockerfile" / "Dockerfile"
        dockerfile.parent.mkdir(parents=True)
        dockerfile.write_bytes(text)
        dockerfile.with_name("Dockerfile.dockerignore").write_bytes(_IGNORE)
        copy.files[dockerfile_of(docker)] = hashlib.sha256(text).hexdigest()
        policy = context.workspace.root / f"{dockerfile_of(docker)}{POLICY_SUFFIX}"
        if policy.is_file():
            name = f"{dockerfile_of(docker)}{POLICY_SUFFIX}"
            copy.file(policy, dockerfile.with_name(f"Dockerfile{POLICY_SUFFIX}"), name)
    except OSError as error:
        raise StoreError(f"the build context can't be put together: {error.strerror}: {error.filename}") from error
    return Staged(
        context=main_context,
        dockerfile=dockerfile,
        named={name: named[path] for name, path in folders_of(docker).items()},
        text=text,
        files=copy.files,
    )


@dataclass(slots=True, kw_only=True)
class _Copy:
    context: Context
    epoch: int
    files: dict[str, str] = field(default_factory=dict)

    def copy_context(self, name: str, parent: Path, upstream: Iterable[Upstream]) -> Path:
        """Copy a context and what is put into it; return its folder."""
        folder = folder_of(name)
        content = hashlib.sha256(f"{self.epoch}\0".encode())
        new = parent / "new"
        new.mkdir(parents=True)
        for entry in entries(self.context.workspace.root, name, self.context.build_dirs):
            path = os.path.normpath(f"{folder}/{entry.path}")
            value = self._entry(entry, self.context.workspace.root / path, new / entry.path, path)
            content.update(f"{entry.type}\0{entry.path}\0{value}\0".encode())
        for artifact in upstream:
            sha256 = self._upstream(artifact, new)
            content.update(f"{Type.PROGRAM}\0{artifact.file}\0{sha256}\0".encode())
        for parent_, folders, _ in os.walk(new, topdown=False):
            for path in (os.path.join(parent_, each) for each in folders):  # noqa: PTH118 - paths of `os.walk`
                if not os.path.islink(path):  # noqa: PTH114 - likewise
                    self._settle(path)
        self._settle(str(new))
        return new.rename(parent / content.hexdigest()[:_NAME])

    def file(self, source: Path, target: Path, name: str) -> str:
        """Copy a file that is an input of this name; return its sha256."""
        with _opened(source, name) as stream:
            is_program = os.fstat(stream.fileno()).st_mode & stat.S_IXUSR
            digest = hashlib.sha256()
            with target.open("xb") as copy:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                    copy.write(chunk)
                copy.flush()  # before the time is set
                os.fchmod(copy.fileno(), _PROGRAM if is_program else _FILE)
                os.utime(copy.fileno(), (self.epoch, self.epoch))
        self.files[name] = digest.hexdigest()
        return self.files[name]

    def _entry(self, entry: Entry, source: Path, target: Path, name: str) -> str:
        match entry.type:
            case Type.FOLDER:
                target.mkdir(parents=True, exist_ok=True)
                return ""
            case Type.LINK:
                target.symlink_to(entry.target)
                os.utime(target, (self.epoch, self.epoch), follow_symlinks=False)
                return entry.target
            case Type.FILE | Type.PROGRAM:
                return self.file(source, target, name)

    def _upstream(self, artifact: Upstream, folder: Path) -> str:
        target = folder / artifact.file
        if os.path.lexists(target):
            raise BuildError(
                f"the artifact `{artifact.id}` is put into the context as {quoted(artifact.file)}, "
                "and there is one already",
                hint="exclude it in `.dockerignore`, or let `context` in provenance.toml be another folder",
            )
        sha256 = self.file(self.context.workspace.root / artifact.path, target, artifact.path)
        del self.files[artifact.path]  # its input is its id
        if sha256 != artifact.digest.sha256:
            raise InputChangedError(
                f"the upstream artifact `{artifact.id}` changed while it was copied", hint="run again"
            )
        return sha256

    def _settle(self, folder: str) -> None:
        os.chmod(folder, _PROGRAM)  # noqa: PTH101 - paths of `os.walk`
        os.utime(folder, (self.epoch, self.epoch))


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What is to be built, and the folders of what goes in and what comes out.

    Attributes:
        pins: reference to digest of each image that the Dockerfile names.
        epoch: SOURCE_DATE_EPOCH, in seconds.
        folder: for what the build reads and leaves, beside the context.
    """

    docker: Docker
    artifact: Artifact
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
        """Where buildx writes what it has used."""
        return self.folder / "metadata.json"


@contextmanager
def _opened(source: Path, name: str) -> Iterator[BinaryIO]:
    """Open a regular file, without following a link that has replaced it since."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise InputChangedError(f"an input went away while it was copied: {quoted(name)}", hint="run again") from error
    except OSError as error:
        raise ToolError(f"an input can't be read: {quoted(name)}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputChangedError(f"an input is no file any more: {quoted(name)}", hint="run again")
        yield stream


def remove(folder: Path) -> None:
    """Remove a staged context, or what a killed run left of it."""
    shutil.rmtree(folder, ignore_errors=True)
