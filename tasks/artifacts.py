"""Names of artifacts: how provenance.toml refers to them, and how a wrong table is refused, alike for every builder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ..provenance.config import FILE
from ..provenance.errors import ConfigError, did_you_mean, quoted
from ..provenance.record import file_names, image_names, place_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from ..provenance.record import FileNames

_WILDCARDS = re.compile(r"[*?]+|\[[^\]]+\]")
_UNFIT = re.compile(r"[^\w.+-]+")
_JOINTS = re.compile(r"-*([.-])[.-]*")
_COMPARED = 1000
"""Ids that a guess looks at: comparing takes time with their number."""


_NAME = re.compile(r"[^\s@:=*?\[\]/\\\x00-\x1f]+(/[^\s@:=*?\[\]/\\\x00-\x1f]+)*\Z")


class Form(StrEnum):
    """What an artifact is on disk."""

    FILE = "file"
    IMAGE = "image"
    """A folder, which is an OCI image layout of one image, or of an index and its images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One thing that ships.

    Attributes:
        builder: the builder's name, as `cargo`. name: unique in it; a feature set is part of it (`wash+fips`).
        platform: in the builder's own words: for cargo the target triple.
        group: id of the group of artifacts that one call of the tool builds.
        file: the name of its file; a pattern (`*.whl`) where only the build tells. Of an image `record.IMAGE`.
        form: a file or an image.
        upstream: ids of the artifacts that go into it; they are built before it.
    """

    builder: str
    name: str
    platform: str
    group: str
    file: str
    form: Form = Form.FILE
    upstream: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that could not be a task's or a folder's."""
        for part in (self.builder, self.name, self.platform):
            if not _NAME.match(part) or set(part.split("/")) & {".", ".."}:
                raise ConfigError(
                    f"`{part}` can't be part of an artifact's id: it is used as a task's and a folder's name",
                    hint="give the artifact another name, for cargo with `[cargo.rename]` in provenance.toml",
                )

    @property
    def id(self) -> str:
        """`BUILDER:NAME@PLATFORM`, which is the name of its doit task."""
        return f"{self.builder}:{self.name}@{self.platform}"

    @property
    def folder(self) -> Path:
        """Where it lies below the output folder."""
        return Path(self.place)

    @property
    def names(self) -> FileNames:
        """The names of the files in that folder; patterns where only the build tells."""
        return image_names(self.name) if self.form is Form.IMAGE else file_names(self.file)

    @property
    def place(self) -> str:
        """The same, as text with `/`."""
        return place_of(self.builder, self.name, self.platform)


class Ids:
    """The ids of all artifacts, and what a reference to them stands for."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = tuple(ids)

    def standing_for(self, reference: str) -> tuple[str, ...]:
        """Return the ids that a reference stands for: the one, or those on all platforms; none: there are none."""
        return tuple(self.by_reference.get(reference, ()))

    @cached_property
    def by_reference(self) -> Mapping[str, Sequence[str]]:
        """Everything that can be referred to."""
        found: dict[str, list[str]] = {}
        for id_ in self._ids:
            found[id_] = [id_]
            found.setdefault(id_.rpartition("@")[0], []).append(id_)
        return found

    @cached_property
    def builders(self) -> frozenset[str]:
        """The names of the builders that have artifacts."""
        return frozenset(id_.partition(":")[0] for id_ in self._ids)


def unknown(
    at: str, references: Iterable[str], ids: Ids, untold: Container[str] = (), but: Container[str] = ()
) -> Iterator[str]:
    """Yield a line for each reference that stands for no artifact.

    Args:
        at: where the array of them stands, as `command.wheel.artifacts`.
        references: in the order of the file.
        ids: of all artifacts.
        untold: the builders that could not tell what they build.
        but: references of which something else is to be said.
    """
    for index, reference in enumerate(references):
        if reference in but or ids.standing_for(reference):
            continue
        builder = reference.partition(":")[0]
        if builder in untold:
            yield f"{at}[{index}]: {quoted(reference)} is not known, as `{builder}` can't tell what it builds"
        else:
            guess = did_you_mean(reference, islice(ids.by_reference, _COMPARED))
            yield f"{at}[{index}]: {quoted(reference)} stands for no artifact{guess}"


_LISTED = 100
"""Mistakes that are told."""


def refuse(lines: Iterable[str]) -> None:
    """Refuse a configuration with mistakes, of which there may be very many: the first hundred are told.

    Args:
        lines: one for each, as `docker.wash.platforms[0]: …`.

    Raises:
        ConfigError: there is one.
    """
    if wrong := list(islice(lines, _LISTED)):
        raise ConfigError("\n".join(f"{FILE}: {line}" for line in wrong))


def part(pattern: str) -> str:
    """Return the file name of an output without wildcards, and with `-` for what can't stand in an id.

    >>> part("dist/wash-*-linux.tar.gz"), part("dist/*.whl"), part("out/lib*.so"), part("My App.dmg")
    ('wash-linux.tar.gz', 'whl', 'lib.so', 'My-App.dmg')
    """
    text = _UNFIT.sub("-", _WILDCARDS.sub("-", pattern.rpartition("/")[2]))
    return _JOINTS.sub(r"\1", text).strip(".-")
