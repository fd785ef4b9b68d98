"""What a registry that wants to know who asks says: the `WWW-Authenticate` header (RFC 9110, 11.6.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105 - the grammar's word, no secret
_SCHEME = re.compile(rf"\s*,?\s*({_TOKEN})(?=\s|,|$)(?!\s*=)")
_PARAMETER = re.compile(rf'\s*,?\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))')
_ESCAPED = re.compile(r"\\(.)")
_LONGEST = 8 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way to say who one is.

    Attributes:
        scheme: `basic` or `bearer`, or another; lower case.
        parameters: by their names in lower case.
    """

    scheme: str
    parameters: Mapping[str, str]


def read_challenges(header: str) -> tuple[Challenge, ...]:
    """Read the header's value; what follows something that is not of its grammar is left out."""
    found: list[Challenge] = []
    at, text = 0, header[:_LONGEST]
    while scheme := _SCHEME.match(text, at):
        at = scheme.end()
        parameters: dict[str, str] = {}
        while (one := _PARAMETER.match(text, at)) is not None:
            name, quoted, bare = one.groups()
            parameters[name.lower()] = _ESCAPED.sub(r"\1", quoted) if quoted is not None else bare
            at = one.end()
        found.append(Challenge(scheme=scheme[1].lower(), parameters=parameters))
    return tuple(found)
