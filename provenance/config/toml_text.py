"""Values as TOML text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .keys import Value

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
