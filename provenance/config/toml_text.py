"""Values and settings as TOML text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .entry import ANY, Key, Value
from .keys import definition
from .kinds import NamedTables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")


def rendered(value: Value) -> str:
    """Return `value` on one line."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped too.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case tuple():
            return f"[{', '.join(rendered(item) for item in value)}]"
        case Mapping():
            return f"{{ {', '.join(f'{dotted(name)} = {rendered(item)}' for name, item in value.items())} }}"


def dotted(*names: str) -> str:
    """Return the key that has these parts, each quoted where TOML needs it."""
    return ".".join(name if _BARE_KEY.match(name) else rendered(name) for name in names)


def assignments(key: Key, value: Value, *, name: str | None = None) -> Iterator[str]:
    """Yield the lines that set `key` to `value` below the header of its top-level table.

    Each line stands for itself: a dotted key keeps its meaning when the lines around it are commented out.

    Args:
        key: what is set.
        value: what to.
        name: the user's own, where the key is in a table that the user names; `None`: an example.
    """
    names = _names(key, name)
    if isinstance(value, Mapping):
        yield from (f"{dotted(*names, name)} = {rendered(item)}" for name, item in value.items())
    else:
        yield f"{dotted(*names)} = {rendered(value)}"


def _names(key: Key, name: str | None) -> Sequence[str]:
    """Return the parts of the key's path below its top-level table, with a name where the user gives it."""
    parts = key.path.split(".")
    for index, part in enumerate(parts):
        if part == ANY:
            named = definition(".".join(parts[:index])).kind
            parts[index] = name or (named.example if isinstance(named, NamedTables) else part)
    return parts[1:]
