"""Which images a build names: bases, what is copied or mounted from, and what reads the Dockerfile."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ....provenance.errors import UsageError
from ....provenance.oci.reference import Reference
from .expansion import expand
from .units import image_contexts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ....provenance.config import Docker
    from ....provenance.platform import Platform
    from .dockerfile import Dockerfile, Instruction

_SYNTAX = "BUILDKIT_SYNTAX"
"""The build argument that counts before the `syntax` directive."""
_SCRATCH = "scratch"
_ADDRESS = re.compile(r"://|git@|\.git\b|\$")
"""In what `ADD` takes: it may be none, but nothing that has none of these is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a build names.

    Attributes:
        images: in full, as `docker.io/library/debian:12`; those that are needed for the stage that is built.
        base: the one of these that the image is built on; `None`: it is built on nothing, or on a context.
        is_all: there is nothing beside them, neither an image that only BuildKit can tell nor an address.
    """

    images: tuple[str, ...]
    base: str | None
    is_all: bool


@dataclass(slots=True, kw_only=True)
class _Stage:
    """A stage: what it begins with, and what it takes from elsewhere, as the Dockerfile has it."""

    name: str
    base: str | None
    sources: list[str] = field(default_factory=list)


def named_by(dockerfile: Dockerfile, docker: Docker, platform: Platform) -> Named:
    """Return the images that a build for a platform names.

    What only BuildKit can tell, as a name with patterns of a shell in it, is not among them: what it reports after the
    build is compared with what was pinned before.
    """
    stages = _stages(dockerfile, docker, platform)
    walk = _Walk(stages, docker)
    target = walk.before(docker.target, len(stages)) if docker.target else len(stages) - 1
    if target is not None and target >= 0:
        walk.enter(target)
    syntax = docker.args.get(_SYNTAX) or dockerfile.syntax
    found = [*walk.images, *([in_full(syntax)] if syntax else [])]
    return Named(
        images=tuple(dict.fromkeys(reference for reference in found if reference)),
        base=walk.base_of(target) if target is not None and target >= 0 else None,
        is_all=not walk.untold and not any(_may_fetch(one) for one in dockerfile.instructions),
    )


def _may_fetch(one: Instruction) -> bool:
    """Tell whether an instruction adds, or may add, what lies at an address."""
    is_add = one.name == "ADD" or (one.name == "ONBUILD" and one.rest.upper().startswith("ADD"))
    return is_add and _ADDRESS.search(one.rest) is not None


def in_full(text: str) -> str | None:
    """Return a reference in full, as BuildKit knows it; `None`: it is none, or takes no image."""
    if text == _SCRATCH:
        return None
    try:
        return str(Reference.parse(text))
    except UsageError:
        return None


def _arguments(docker: Docker, platform: Platform) -> dict[str, str]:
    """Return the arguments that no Dockerfile has to declare; those that only the builder knows are missing."""
    return {
        "TARGETPLATFORM": str(platform),
        "TARGETOS": platform.os,
        "TARGETARCH": platform.architecture,
        "TARGETVARIANT": platform.variant or "",
        "TARGETSTAGE": docker.target or "default",
    } | {name: value for name, value in docker.args.items() if name.startswith("TARGET")}


def _stages(dockerfile: Dockerfile, docker: Docker, platform: Platform) -> list[_Stage]:
    values = _arguments(docker, platform)
    found: list[_Stage] = []
    for one in dockerfile.instructions:
        if one.name == "FROM":
            words = one.rest.split()
            base = expand(words[0], values, dockerfile.escape) if words else None
            name = words[2] if len(words) > 2 and words[1].lower() == "as" else ""  # noqa: PLR2004 - `BASE AS NAME`
            found.append(_Stage(name=name.lower(), base=base))
        elif one.name == "ARG" and not found:
            _declare(one, docker, values, dockerfile.escape)
        elif found:
            found[-1].sources += _sources(one)
    return found


def _declare(one: Instruction, docker: Docker, values: dict[str, str], escape: str) -> None:
    """Take the arguments that are declared before the first stage, which alone count in `FROM`."""
    for word in _words(one.rest):
        name, has_default, default = word.partition("=")
        if name in docker.args:
            values[name] = docker.args[name]
        elif has_default and (value := expand(default, values, escape)) is not None:
            values[name] = value


def _words(text: str) -> list[str]:
    """Part words at spaces that no quotes hold together; the quotes stay."""
    return re.findall(r"""(?:[^\s"']|"(?:\\.|[^"\\])*"|'[^']*')+""", text)


def _sources(one: Instruction) -> Iterator[str]:
    """Yield what an instruction copies or mounts from."""
    if one.name == "ONBUILD" and one.rest:
        return  # it is for whoever builds on the image, and not for this build
    for flag, value in one.flags:
        if one.name in {"COPY", "ADD"} and flag == "from":
            yield value
        elif one.name == "RUN" and flag == "mount":
            for option in next(csv.reader([value]), []):
                key, _, source = option.partition("=")
                if key.strip().lower() == "from" and source:
                    yield source


class _Walk:
    """Finds the images that a stage needs, and those that the stages need which it needs."""

    def __init__(self, stages: list[_Stage], docker: Docker) -> None:
        self._stages = stages
        self._contexts = {in_full(name) or name for name in docker.contexts} | set(docker.contexts)
        self._entered: set[int] = set()
        images = {name: in_full(reference) for name, reference in image_contexts_of(docker).items()}
        self._images = images | {in_full(name) or name: reference for name, reference in images.items()}
        self.images: list[str | None] = [*images.values()]
        self.untold = False
        """Something is named in a way that only BuildKit understands."""

    def before(self, name: str, end: int) -> int | None:
        """Return the number of the stage of this name or number, of those before `end`; `None`: it is no stage."""
        for index in reversed(range(end)):
            if self._stages[index].name == name.lower():
                return index
        return int(name) if name.isdecimal() and int(name) < end else None

    def enter(self, first: int) -> None:
        """Find what a stage needs."""
        waiting = [first]
        while waiting:
            index = waiting.pop()
            if index in self._entered:
                continue
            self._entered.add(index)
            stage = self._stages[index]
            self.untold |= stage.base is None
            for source in ([stage.base] if stage.base is not None else []) + stage.sources:
                other = self._stage(source, index, numbers=source is not stage.base)
                if other is not None:
                    waiting.append(other)
                elif not self._is_context(source):
                    self.images.append(in_full(source))
                    self.untold |= self.images[-1] is None and source != _SCRATCH

    def base_of(self, index: int) -> str | None:
        """Return the image that a stage is built on in the end."""
        base = self._stages[index].base
        while base is not None and (other := self._stage(base, index, numbers=False)) is not None:
            base, index = self._stages[other].base, other
        if base is not None and self._is_context(base):
            return self._images.get(base) or self._images.get(in_full(base) or base)
        return in_full(base) if base is not None else None

    def _stage(self, name: str, end: int, *, numbers: bool) -> int | None:
        """Return the stage that a name stands for; `FROM` takes no numbers."""
        if self._is_context(name) or (name.isdecimal() and not numbers):
            return None
        return self.before(name, end)

    def _is_context(self, name: str) -> bool:
        return name in self._contexts or (in_full(name) or name) in self._contexts
