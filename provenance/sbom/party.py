"""People and organisations: authors, suppliers, maintainers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A person or an organisation."""

    name: str
    email: str | None = None
    url: str | None = None
    person: bool = False
