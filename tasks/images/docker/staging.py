"""What BuildKit is given: a copy of the context with nothing in it but what counts.

Modes and times are the same whoever checked the sources out, and nothing that was not measured can get in. The folder
of a context is named by what is in it: BuildKit takes files of a context of the same name for unchanged by their size
and time, which are equal here after many an edit.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from ....provenance.errors import BuildError, InputChangedError, StoreError, ToolError, quoted
from ...freshness.build_context import Type, entries, folder_of
from ...freshness.inputs import parts
from .inputs import POLICY_SUFFIX, contexts, read_dockerfile
from .units import dockerfile_of, folders_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from ....provenance.config import Docker
    from ...context import Context
    from ...freshness.build_context import Entry
    from ...freshness.snapshot import Upstream

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
    """Put all together that BuildKit is to be given.

    Args:
        context: the run.
        docker: the image.
        upstream: what is put at the context's root.
        epoch: the time of every file, in seconds since 1970.
        folder: receives it; it must not be there.

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
        by_place = {parts(of)[1]: of for of in others}
        places = {place: copy.copy_context(place, folder / f"named-{i}", ()) for i, place in enumerate(by_place)}
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
        named={name: places[place] for name, place in folders_of(docker).items()},
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
        place = folder_of(name)
        found = entries(self.context.workspace.root, name, self.context.build_dirs)
        content = hashlib.sha256(f"{self.epoch}\0".encode())
        new = parent / "new"
        new.mkdir(parents=True)
        for entry in found:
            path = os.path.normpath(f"{place}/{entry.path}")
            what = self._entry(entry, self.context.workspace.root / path, new / entry.path, path)
            content.update(f"{entry.type}\0{entry.path}\0{what}\0".encode())
        for one in upstream:
            content.update(f"{Type.PROGRAM}\0{one.file}\0{self._upstream(one, new)}\0".encode())
        for path_, folders, _ in os.walk(new, topdown=False):
            for folder in folders:
                if not os.path.islink(os.path.join(path_, folder)):  # noqa: PTH118, PTH114 - paths of `os.walk`
                    self._settle(os.path.join(path_, folder))  # noqa: PTH118 - likewise
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
                copy.flush()  # so that nothing is written after the time was set
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

    def _upstream(self, one: Upstream, folder: Path) -> str:
        target = folder / one.file
        if os.path.lexists(target):
            raise BuildError(
                f"the artifact `{one.id}` is put into the context as {quoted(one.file)}, and there is one already",
                hint="exclude it in `.dockerignore`, or let `context` in provenance.toml be another folder",
            )
        sha256 = self.file(self.context.workspace.root / one.path, target, one.path)
        del self.files[one.path]  # it is an input by its id
        if sha256 != one.digest.sha256:
            raise InputChangedError(f"the upstream artifact `{one.id}` changed while it was copied", hint="run again")
        return sha256

    def _settle(self, folder: str) -> None:
        os.chmod(folder, _PROGRAM)  # noqa: PTH101 - paths of `os.walk`
        os.utime(folder, (self.epoch, self.epoch))


@contextmanager
def _opened(source: Path, name: str) -> Iterator[BinaryIO]:
    """Open a regular file, through no link that was put in its place since."""
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
