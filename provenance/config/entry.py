"""What the definition of one key of `provenance.toml` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .kinds import Kind

ANY = "NAME"
"""Stands in a key's path for a name that the user gives."""

Value = str | bool | tuple[str, ...] | Mapping[str, str]


class Presence(StrEnum):
    """Whether a key has to stand in its table, once the table is there."""

    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key.

    Attributes:
        path: from the root, dotted; `ANY` where the user gives a name.
        doc: what it does, in Markdown, in whole sentences.
        default: the value that a missing key has; `None`: it has none.
        absent: what a missing key means, where `default` does not say it.
        example: a value that shows what can be written.
    """

    path: str
    kind: Kind
    doc: str
    default: Value | None = None
    absent: str = ""
    example: Value | None = None
    presence: Presence = Presence.OPTIONAL

    @property
    def parent(self) -> str:
        """The path of the table that it stands in; empty at the root."""
        return self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition(".")[2]
