"""How messages about `provenance.toml` show what stands in it, and guess at what was meant."""

from __future__ import annotations

import datetime as dt
import difflib
from typing import TYPE_CHECKING

from ..errors import quoted
from .entry import ANY, Key
from .keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_COMPARED = 80
"""Characters of a foreign text that a guess looks at: comparing takes time with the square of them."""
_INTEGER_BITS = 64


def described(value: object) -> str:
    """Return what `value` is, in TOML's words, as `3 (integer)`."""
    match value:
        case str():
            what = f"{quoted(value)} (text)"
        case bool():
            what = f"{str(value).lower()} (boolean)"
        case int():
            # tomllib reads hexadecimal integers of any length; Python refuses to print them.
            what = f"{value} (integer)" if value.bit_length() <= _INTEGER_BITS else "an integer"
        case float():
            what = f"{value} (float)"
        case dt.date() | dt.time():
            what = f"{value.isoformat()} (date or time)"
        case list():
            what = "an array"
        case _:
            what = "a table"
    return what


def did_you_mean(text: str, candidates: Iterable[str]) -> str:
    """Return `did you mean …?` for the candidate that is most like `text`, or nothing."""
    close = difflib.get_close_matches(text[:_COMPARED], list(candidates), n=1)
    return f"did you mean `{close[0]}`?" if close else ""


def misplaced(name: str, known: Mapping[str, Key]) -> str:
    """Say what may be meant by `name`, which is no key of the table whose keys are `known`.

    A key of the same name elsewhere comes first, then one spelled nearly so here, then one spelled nearly so elsewhere.
    """
    elsewhere = {key.name: key.path for key in reversed(KEYS) if ANY not in key.path.split(".")}
    if name in elsewhere:
        return f"did you mean `{elsewhere[name]}`?"
    here = did_you_mean(name, known)
    if here:
        return here
    close = difflib.get_close_matches(name[:_COMPARED], elsewhere, n=1)
    if close:
        return f"did you mean `{elsewhere[close[0]]}`?"
    return f"taken here: {', '.join(f'`{key}`' for key in known)}"
