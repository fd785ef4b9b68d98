"""The Dockerfiles and bake targets of a workspace, as `doit init` proposes them."""

from __future__ import annotations

import json
import os
import posixpath
import re
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ....provenance.config.starter import Proposed, Standing
from ....provenance.errors import ToolError
from ....provenance.process import capture, clean_environment
from .bake import bake_files, read_bake

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ....provenance.config.schema import Value
    from .bake import Target

_NAMES = ("Dockerfile", "Containerfile")
_SUFFIX_OF_NAME = re.compile(rf"(?P<name>.+)\.(?:{'|'.join(_NAMES)})\Z", re.IGNORECASE)
_PREFIX_OF_NAME = re.compile(rf"(?:{'|'.join(_NAMES)})[.-](?P<name>.+)\Z", re.IGNORECASE)
_OTHER_SUFFIXES = frozenset(
    {"dockerignore", "j2", "jinja", "jinja2", "tmpl", "tpl", "template", "in", "erb", "m4", "orig", "rej", "bak", "swp"}
    | {"md", "txt", "py", "sh", "go", "js", "ts", "rs", "json", "yaml", "yml"}
)
_SKIPPED_FOLDERS = frozenset({"target", "node_modules", "vendor", "third_party", "testdata", "testfiles", "fixtures"})
"""Folders of vendored sources, build output and test data; hidden folders, which belong to tools, are skipped too."""
_FROM = re.compile(rb"^[ \t]*FROM[ \t]+\S", re.IGNORECASE | re.MULTILINE)
_COPY = re.compile(r"^[ \t]*(?:COPY|ADD)[ \t]+(?P<words>.+)$", re.IGNORECASE | re.MULTILINE)
_CONTINUED = re.compile(r"[\\`][ \t]*\r?\n")
_READ = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerfilePath:
    """A Dockerfile of the workspace, and its likely context.

    Attributes:
        path: from the workspace's root.
        context: the folder, from the workspace's root, that its `COPY` instructions seem to be written for.
    """

    path: str
    context: str


def dockerfiles(root: Path, build_dirs: Iterable[Path]) -> list[DockerfilePath]:
    """Return the Dockerfiles of a workspace that git does not ignore, by depth and path.

    Args:
        root: the workspace.
        build_dirs: folders that builds fill.
    """
    outputs = [PurePosixPath(path.relative_to(root)) for path in build_dirs if path.is_relative_to(root)]
    found = []
    for path in sorted(_listed(root), key=lambda path: (path.count("/"), path)):
        pure = PurePosixPath(path)
        if not _is_dockerfile_name(pure.name) or any(_is_skipped(part) for part in pure.parent.parts):
            continue
        if any(pure.is_relative_to(output) for output in outputs):
            continue
        data = _read(root / path)
        if data is not None and _FROM.search(data):
            found.append(DockerfilePath(path=path, context=_context(root, path, data.decode(errors="replace"))))
    return found


def named(path: str, project: str) -> Sequence[str]:
    """Return names for the image of a Dockerfile, the shortest and best first.

    `Dockerfile.wash`, `wash.Dockerfile` and `images/wash/Dockerfile` are all `wash`; the Dockerfile at the root gets
    the name of the project.
    """
    pure = PurePosixPath(path)
    own = next((match["name"] for p in (_SUFFIX_OF_NAME, _PREFIX_OF_NAME) if (match := p.match(pure.name))), None)
    parts = [*pure.parent.parts, *([own] if own else [])] or [project]
    found = [_name("-".join(parts[start:])) for start in reversed(range(len(parts)))]
    return [name for name in found if name] or ["image"]


def _listed(root: Path) -> Iterator[str]:
    """Yield the files that git does not ignore; without git, all files outside skipped folders."""
    globs = [f"*{name}*" for name in _NAMES]
    argv = ["git", "-c", "core.fsmonitor=false", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    environment = clean_environment({"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"})
    try:
        output = capture([*argv, "--", *(f":(icase){glob}" for glob in globs)], cwd=root, env=environment)
    except ToolError:  # no git, or no repository
        yield from _walked(root)
        return
    yield from sorted({os.fsdecode(path) for path in output.split(b"\0") if path})


def _walked(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not _is_skipped(name)]
        for name in files:
            yield posixpath.normpath((Path(folder) / name).relative_to(root).as_posix())


def _is_skipped(folder: str) -> bool:
    return folder in _SKIPPED_FOLDERS or folder.startswith(".")


def _is_dockerfile_name(name: str) -> bool:
    if name.rpartition(".")[2].lower() in _OTHER_SUFFIXES:
        return False
    return name in _NAMES or bool(_SUFFIX_OF_NAME.match(name) or _PREFIX_OF_NAME.match(name))


def _read(path: Path) -> bytes | None:
    """Return the beginning of a regular file; `None` for links, which may lead out of the workspace."""
    try:
        with open(path, "rb", opener=_without_following) as stream:
            return stream.read(_READ) if stat.S_ISREG(os.fstat(stream.fileno()).st_mode) else None
    except OSError:  # removed though still in git's index, or not readable
        return None


def _without_following(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _context(root: Path, path: str, text: str) -> str:
    """Return the Dockerfile's folder, or the workspace's root if more of the copied files exist there."""
    folder = posixpath.dirname(path) or "."
    sources = list(_copied(text))
    here, above = (sum(os.path.lexists(root / base / source) for source in sources) for base in (folder, "."))
    return "." if above > here else folder


def _copied(text: str) -> Iterator[str]:
    """Yield the plain paths that `COPY` and `ADD` take from the context."""
    for match in _COPY.finditer(_CONTINUED.sub(" ", text)):
        words = match["words"].split()
        flags = [word for word in words if word.startswith("--")]
        rest = (
            match["words"].strip()[sum(len(flag) + 1 for flag in flags) :].strip() if flags else match["words"].strip()
        )
        if any(flag.startswith("--from") for flag in flags):
            continue
        for source in _words(rest)[:-1]:
            plain = source.lstrip("/")
            if plain.strip("./") and not re.search(r"[*?\[$<:]|\.\.", plain):
                yield plain


def _words(text: str) -> list[str]:
    if text.startswith("["):
        try:
            words = json.loads(text)
        except ValueError:
            return []
        return [word for word in words if isinstance(word, str)] if isinstance(words, list) else []
    return text.split()


def _name(text: str) -> str:
    """Return text without the characters that an image's name can't have."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")


PARENT = "docker"
_MOST = 30
"""Dockerfiles that are offered; of more than these, few are meant to ship."""
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The images to propose.

    Attributes:
        proposed: tables for `provenance.toml`.
        notes: what can't be proposed and why, in lines for a person.
    """

    proposed: tuple[Proposed, ...]
    notes: tuple[str, ...]


def propose_images(root: Path, project: str, build_dirs: Iterable[Path]) -> Images:
    """Look for bake files and Dockerfiles.

    Targets that `docker buildx bake` builds by default are set, since they are declared to be built. Everything else is
    offered behind `#`: a Dockerfile may also be for tests or for a developer's machine.

    Args:
        root: the workspace.
        project: its name.
        build_dirs: folders that builds fill.
    """
    files = bake_files(root)
    notes: list[str] = []
    targets: Sequence[Target] = ()
    if files:
        try:
            targets = read_bake(root, files)
        except ToolError as error:
            notes.append(f"{', '.join(files)} was not read, so its targets are not proposed: {error}")
    proposals = list(_from_bake(targets, files, notes))
    baked = {target.dockerfile for target in targets if not target.unfit}
    others = [each for each in dockerfiles(root, build_dirs) if each.path not in baked]
    if len(others) > _MOST:
        notes.append(f"only the first {_MOST} of {len(others)} Dockerfiles are proposed")
    proposals += _from_dockerfiles(others[:_MOST], project, taken={each.name for each in proposals})
    fit = []
    for proposal in proposals:
        mistakes = proposal.mistakes()
        notes += [f"{PARENT}:{proposal.name} is not proposed: {line}" for line in mistakes]
        fit += [] if mistakes else [proposal]
    return Images(proposed=tuple(fit), notes=tuple(notes))


def _from_bake(targets: Iterable[Target], files: Sequence[str], notes: list[str]) -> Iterator[Proposed]:
    where = ", ".join(files)
    others = [target.name for target in targets if not target.is_image]
    if others:
        more = f", and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        notes.append(f"targets of {where} that make no image are not proposed: {', '.join(others[:_NAMED])}{more}")
    for target in targets:
        if not target.is_image:
            continue
        if target.unfit:
            notes.append(f"target `{target.name}` of {where} is not proposed: {target.unfit}")
            continue
        seen = f"Found: target `{target.name}` of {where}."
        standing = Standing.SET if target.is_default and not target.left_out else Standing.OFFERED
        if target.left_out:
            seen += f" No setting says of it: {', '.join(target.left_out)}."
        yield _proposed(target.name, target.settings, seen, standing)


def _from_dockerfiles(dockerfiles: Iterable[DockerfilePath], project: str, *, taken: set[str]) -> Iterator[Proposed]:
    for dockerfile in dockerfiles:
        name = _free(named(dockerfile.path, project), taken)
        taken.add(name)
        settings = {"context": dockerfile.context}
        if dockerfile.path != posixpath.normpath(posixpath.join(dockerfile.context, "Dockerfile")):
            settings["dockerfile"] = dockerfile.path
        yield _proposed(name, settings, f"Found: {dockerfile.path}.", Standing.OFFERED)


def _proposed(name: str, settings: Mapping[str, Value], seen: str, standing: Standing) -> Proposed:
    offered = "" if standing is Standing.SET else " Take the `#` away to build it."
    return Proposed(parent=PARENT, name=name, settings=settings, seen=f"{seen}{offered}", standing=standing)


def _free(names: Sequence[str], taken: set[str]) -> str:
    """Return the first name that is not taken, else the last one with a number."""
    for name in names:
        if name not in taken:
            return name
    number = 2
    while (name := f"{names[-1]}-{number}") in taken:
        number += 1
    return name
