"""What `[command.NAME]` comes to: the artifacts of each command, what goes into them, and what can be wrong."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from ...provenance.errors import did_you_mean, quoted
from ..artifacts import Artifact, part, unknown

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from ...provenance.config import Command
    from ..artifacts import Ids

_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "i386": "386",
    "i686": "386",
    "armv6l": "arm/v6",
    "armv7l": "arm/v7",
    "armv8l": "arm/v8",
}
"""What the kernel calls them, to the words of OCI images (GOARCH and its variants)."""


@lru_cache(maxsize=1)
def host_platform() -> str:
    """Return this machine's platform in the words of OCI images, as `linux/amd64`.

    The default for artifacts of a command; `any` is only for files that run anywhere.
    """
    system = os.uname()
    return f"{system.sysname.lower()}/{_ARCHITECTURES.get(system.machine, system.machine)}"


def artifact_names(command: Command) -> list[str]:
    """Return the name of each output's artifact: the command's, with the output's part where it has several.

    A part is empty where the output's file name is nothing but wildcards.
    """
    if len(command.outputs) == 1:
        return [command.name]
    return [f"{command.name}/{part(pattern)}" for pattern in command.outputs]


BUILDER = "command"
PLACEHOLDER = re.compile(r"\{([a-z]+:[^{}:\s]+)\}")
"""Stands in an argument for the file of an upstream artifact, by its id or `BUILDER:NAME`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One artifact of a command, and the pattern that finds its file after a run."""

    artifact: Artifact
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One command, and what it makes.

    Attributes:
        references: each entry of the command's `artifacts`, to the ids that it stands for.
    """

    command: Command
    outputs: tuple[Output, ...]
    references: Mapping[str, tuple[str, ...]]

    @property
    def upstream(self) -> tuple[str, ...]:
        """The ids of the artifacts that go into it, each once."""
        return self.outputs[0].artifact.upstream

    def argv(self, files: Mapping[str, str]) -> list[str]:
        """Return the program and its arguments, with files in the place of upstream artifacts.

        `files`: the path of each, by its id.
        """

        def file(found: re.Match[str]) -> str:
            ids = standing_for(found[1], self.references)
            return files[ids[0]] if ids else found[0]

        return [PLACEHOLDER.sub(file, word) for word in self.command.run]


def standing_for(reference: str, references: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return what a placeholder stands for: an entry of a command's `artifacts`, or one of the ids of such an entry."""
    if reference in references:
        return references[reference]
    return (reference,) if any(reference in ids for ids in references.values()) else ()


def platform_of(command: Command) -> str:
    """Return what a command's artifacts are for."""
    return command.platform or host_platform()


def ids_of(command: Command) -> list[str]:
    """Return the ids of a command's artifacts, in the order of its outputs."""
    return [f"{BUILDER}:{name}@{platform_of(command)}" for name in artifact_names(command)]


def unit(command: Command, ids: Ids) -> Unit:
    """Return the unit of a command in which `check.mistakes` found nothing wrong."""
    references = {reference: ids.standing_for(reference) for reference in command.artifacts}
    upstream = tuple(dict.fromkeys(id_ for each in references.values() for id_ in each))
    platform = platform_of(command)
    group = f"{BUILDER}:{command.name}@{platform}"
    return Unit(
        command=command,
        references=references,
        outputs=tuple(
            Output(
                pattern=pattern,
                artifact=Artifact(
                    builder=BUILDER,
                    name=name,
                    platform=platform,
                    group=group,
                    file=pattern.rpartition("/")[2],
                    upstream=upstream,
                ),
            )
            for name, pattern in zip(artifact_names(command), command.outputs, strict=True)
        ),
    )


def mistakes(commands: Sequence[Command], ids: Ids, untold: Container[str] = ()) -> Iterator[str]:
    """Yield what is wrong, as `command.wheel.artifacts[0]: …`; lazily, as it may be very much.

    `ids` are those of all artifacts, these included; `untold` the builders that could not tell theirs.
    """
    yield from chain(_parts(commands), _clashes(commands))
    missing = False
    for command in commands:
        if command.artifacts or any("{" in word for word in command.run):
            for line in chain(
                unknown(f"command.{command.name}.artifacts", command.artifacts, ids, untold),
                _placeholders(command, ids),
            ):
                missing = True
                yield line
    if not missing:
        yield from _ring(commands, ids)


def _parts(commands: Sequence[Command]) -> Iterator[str]:
    """Yield outputs whose artifacts would have no name, or that of another output of the same command."""
    for command in commands:
        if len(command.outputs) == 1:
            continue
        seen: dict[str, str] = {}
        for index, (pattern, name) in enumerate(zip(command.outputs, artifact_names(command), strict=True)):
            at = f"command.{command.name}.outputs[{index}]"
            if name.endswith("/"):
                yield f"{at}: {quoted(pattern)} names its artifact by wildcards alone; write a part of the file's name"
            elif name in seen:
                both = f"{quoted(seen[name])} and {quoted(pattern)}"
                yield f"{at}: {both} would both be the artifact `{BUILDER}:{name}`; let the files' names differ"
            seen.setdefault(name, pattern)


def _clashes(commands: Sequence[Command]) -> Iterator[str]:
    """Yield what two commands would both write: an output, or a folder of the output folder."""
    outputs: dict[str, str] = {}
    folders: dict[str, str] = {}
    for command in commands:
        for index, pattern in enumerate(command.outputs):
            if outputs.setdefault(pattern, command.name) != command.name:
                other = f"is an output of `command.{outputs[pattern]}` too"
                yield f"command.{command.name}.outputs[{index}]: {quoted(pattern)} {other}"
        for name in artifact_names(command):
            folder = f"{name}/{platform_of(command).replace('/', '-')}".replace("/", "-", name.count("/"))
            if folders.setdefault(folder, name) != name:
                both = f"the artifacts `{BUILDER}:{name}` and `{BUILDER}:{folders[folder]}` would have one folder"
                yield f"command.{command.name}: {both}; give this command another name"


def _placeholders(command: Command, ids: Ids) -> Iterator[str]:
    """Yield placeholders that stand for nothing or for several; what names no builder is left as it is."""
    references = {reference: ids.standing_for(reference) for reference in command.artifacts}
    for index, word in enumerate(command.run):
        for found in PLACEHOLDER.finditer(word):
            at, reference = f"command.{command.name}.run[{index}]", found[1]
            meant = standing_for(reference, references)
            if len(meant) > 1:
                several = ", ".join(f"`{{{id_}}}`" for id_ in meant)
                yield f"{at}: {quoted(found[0])} stands for {len(meant)} artifacts; write one of {several}"
            elif not meant and reference not in references and reference.partition(":")[0] in ids.builders:
                guess = did_you_mean(reference, references)
                yield f"{at}: {quoted(found[0])} stands for none of this command's `artifacts`{guess}"


def _ring(commands: Sequence[Command], ids: Ids) -> Iterator[str]:
    """Yield commands that go into themselves, if there are any: one ring of them."""
    if not any(command.artifacts for command in commands):
        return
    own = {id_: command.name for command in commands for id_ in ids_of(command)}
    left = {
        command.name: {own[id_] for r in command.artifacts for id_ in ids.standing_for(r) if id_ in own}
        for command in commands
        if command.artifacts
    }
    users: dict[str, list[str]] = {}
    for name, needed in left.items():
        for one in needed:
            users.setdefault(one, []).append(name)
    free = [name for name in users if name not in left] + [name for name, needed in left.items() if not needed]
    while free:
        name = free.pop()
        left.pop(name, None)
        for user in users.get(name, ()):
            left[user].discard(name)
            if not left[user]:
                free.append(user)
    if left:
        yield f"command.{next(iter(left))}.artifacts: {_rendered(left)}"


def _rendered(left: Mapping[str, set[str]]) -> str:
    """Say how a command comes to need itself; each in `left` needs another one in it."""
    path: list[str] = []
    name = next(iter(left))
    while name not in path:
        path.append(name)
        name = min(left[name] & left.keys())
    ring = [*path[path.index(name) :], name]
    return " needs ".join(f"`{BUILDER}:{one}`" for one in ring) + ": nothing can go into itself"
