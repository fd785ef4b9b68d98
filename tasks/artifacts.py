"""Names of artifacts: how provenance.toml refers to them, and how a wrong table is refused, alike for every builder."""

from __future__ import annotations

import re
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from ..provenance.config import FILE
from ..provenance.errors import ConfigError, did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

_WILDCARDS = re.compile(r"[*?]+|\[[^\]]+\]")
_UNFIT = re.compile(r"[^\w.+-]+")
_JOINTS = re.compile(r"-*([.-])[.-]*")
_COMPARED = 1000
"""Ids that a guess looks at: comparing takes time with their number."""


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
