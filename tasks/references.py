"""How provenance.toml refers to artifacts of the workspace: by an id, or by `BUILDER:NAME` for all its platforms."""

from __future__ import annotations

from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from ..provenance.errors import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

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
