"""Refusing a configuration that is wrong beyond its words, alike for every builder."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ..provenance.config import FILE
from ..provenance.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

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
