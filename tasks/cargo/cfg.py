"""`cfg(…)` expressions, as cargo's configuration uses them for its `[target.'cfg(…)']` tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...provenance.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(r'\s*(?:(?P<word>[A-Za-z_][A-Za-z0-9_]*)|"(?P<text>[^"]*)"|(?P<mark>[(),=]))')


def matches(expression: str, facts: frozenset[str]) -> bool:
    """Tell whether `expression` holds for `facts`, lines as `rustc --print cfg` prints them.

    The grammar is the Rust reference's (Conditional compilation): `all()`, `any()`, `not()`, a name, `name = "value"`.

    Raises:
        ToolError: it is no such expression.

    >>> matches('cfg(all(unix, not(target_os = "macos")))', frozenset({"unix", 'target_os="linux"'}))
    True
    """
    tokens = list(_tokens(expression))
    try:
        value, rest = _predicate(tokens[2:], facts)
        if tokens[:2] != ["cfg", "("] or rest != [")"]:
            raise ValueError(rest)
    except (ValueError, IndexError, RecursionError) as error:
        raise ToolError(f"`{expression}` in cargo's configuration is no cfg expression") from error
    return value


def _tokens(expression: str) -> Iterator[str]:
    position, text = 0, expression.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ToolError(f"`{expression}` in cargo's configuration is no cfg expression")
        yield match["word"] or match["mark"] or f'"{match["text"]}"'
        position = match.end()


def _predicate(tokens: list[str], facts: frozenset[str]) -> tuple[bool, list[str]]:
    name, rest = tokens[0], tokens[1:]
    if not name.isidentifier():
        raise ValueError(name)
    if rest[:1] == ["="]:
        if not rest[1].startswith('"'):
            raise ValueError(rest[1])
        return f"{name}={rest[1]}" in facts, rest[2:]
    if rest[:1] != ["("]:
        return name == "true" or name in facts, rest
    values, rest = [], rest[1:]
    while rest[0] != ")":
        value, rest = _predicate(rest, facts)
        values.append(value)
        if rest[0] == ",":
            rest = rest[1:]
        elif rest[0] != ")":
            raise ValueError(rest[0])
    outcomes = {"all": all(values), "any": any(values), "not": not all(values)}
    if name not in outcomes or (name == "not" and len(values) != 1):
        raise ValueError(name)
    return outcomes[name], rest[1:]
