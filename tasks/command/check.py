"""What can be wrong with commands beyond the words of provenance.toml: a line for each mistake."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from ...provenance.errors import did_you_mean, quoted
from ..references import unknown
from . import BUILDER
from .names import artifact_names
from .units import PLACEHOLDER, ids_of, platform_of, standing_for

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from ...provenance.config import Command
    from ..references import Ids


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
