"""Reading JSON into values, strictly: every mistake is a ValueError that has the path to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeAlias

from ..errors import quoted
from ..json import JSONValue

Reader: TypeAlias = Callable[[JSONValue], Any]
"""Turns what stands in a document into a value. Raises ValueError where it can't."""


def as_made_by(make: Callable[..., Any], readers: Mapping[str, Reader]) -> Reader:
    """Return a reader for objects with the members `readers`, which `make` takes by keyword."""

    def read(value: JSONValue) -> Any:
        found = {}
        for key, item in as_members(value).items():
            if key not in readers:
                raise ValueError(f"unknown key {quoted(key)}")
            try:
                found[key] = readers[key](item)
            except ValueError as error:
                raise ValueError(f"`{key}`: {error}") from error
        try:
            return make(**found)
        except TypeError as error:  # the keys are known and their values of the right type: one is missing
            raise ValueError(str(error).partition("() ")[2]) from error

    return read


def as_list_of(reader: Reader) -> Reader:
    """Return a reader for lists, read into tuples."""

    def read(value: JSONValue) -> tuple[Any, ...]:
        if not isinstance(value, list):
            _refuse(value, "a list")
        return tuple(reader(item) for item in value)

    return read


def as_map_of(reader: Reader) -> Reader:
    """Return a reader for objects with any names as keys."""
    return lambda value: {key: reader(item) for key, item in as_members(value).items()}


def as_members(value: JSONValue) -> dict[str, JSONValue]:
    """Return the members of an object."""
    if not isinstance(value, dict):
        _refuse(value, "an object")
    return value


def as_text(value: JSONValue) -> str:
    """Return a text."""
    if not isinstance(value, str):
        _refuse(value, "text")
    return value


def as_name(value: JSONValue) -> str:
    """Return a text that is not blank."""
    found = as_text(value)
    if not found.strip():
        raise ValueError("it is blank")
    return found


def as_sha256(value: JSONValue) -> str:
    """Return a sha256 in lower-case hex."""
    found = as_text(value)
    if not re.fullmatch(r"[0-9a-f]{64}", found):
        _refuse(value, "a sha256 in hex")
    return found


def as_flag(value: JSONValue) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        _refuse(value, "true or false")
    return value


def as_count(value: JSONValue) -> int:
    """Return a whole number from 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        _refuse(value, "a number from 0")
    return value


def _refuse(value: JSONValue, expected: str) -> NoReturn:
    raise ValueError(f"expected {expected}, found {quoted(str(value))}")
