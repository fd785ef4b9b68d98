"""Read `provenance.toml`: strictly, and all mistakes at once."""

from __future__ import annotations

import os
import re
import tomllib
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from .. import VERSION
from ..digest import digest_bytes, read_limited
from ..errors import ConfigError, UnreadableError
from .errors import failed, mistakes
from .model import FILE, Config
from .schema import KEY_FILE, Choice, Flag, NamedTables, Table, Text, TextMap, Texts, keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..json import JSONValue
    from .schema import Key, Kind

_T = TypeVar("_T")

LIMIT = 8 << 20
"""Bytes: room for fifty thousand commands."""
_LARGE = 16 << 10
"""Bytes; parsing a smaller file is as quick as the memory."""
_LISTED = 100
_HINT = "every key: https://github.com/doit-provenance/doit-provenance/blob/main/docs/configuration.md"

_DEEP_KEY = re.compile(
    # 33 dotted parts, each bare or quoted. tomllib takes time and memory with the square of their number.
    r"""(?<![^\s\[{,])(?:(?:[\w-]++|"(?:\\.|[^"\\\n])*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){32}"""
)


class Memory(Protocol):
    """A cache: it returns what was put into it, or `None`."""

    def get(self, key: str) -> JSONValue:
        """Return the value of a key."""

    def put(self, key: str, value: JSONValue) -> None:
        """Store the value of a key."""


def load(workspace: Path, memory: Memory | None = None) -> Config:
    """Read the `provenance.toml` of `workspace`; where there is none, every setting has its default.

    With a `memory`, a large file without mistakes is not parsed again while its bytes are the same.

    Raises:
        ConfigError: it can't be read, is not TOML, or has mistakes; the message has one line for each.
    """
    path = workspace / FILE
    return parse(_read(path), workspace=workspace, memory=memory)


def parse(data: bytes, *, workspace: Path, memory: Memory | None = None) -> Config:
    """Read `data` as the `provenance.toml` of `workspace`.

    Raises:
        ConfigError: as `load`.
    """
    known = _known(data, memory)
    document = _parse_toml(data) if known is None else known
    root = workspace.absolute()
    wrong = mistakes(document) if known is None else iter(())
    lines = list(islice(chain(wrong, _misplaced_key(document, root)), _LISTED + 1))
    if lines:
        more = [f"more mistakes follow; these are the first {_LISTED}"] if len(lines) > _LISTED else []
        raise ConfigError("\n".join(f"{FILE}: {line}" for line in lines[:_LISTED] + more), hint=_HINT)
    if known is None and memory is not None and len(data) > _LARGE:
        # Without mistakes it holds texts, flags, lists and tables: all of them JSON.
        memory.put(FILE, {"of": _name_of(data), "document": cast("JSONValue", document)})
    return _build(Config, keys(Config), document, root, workspace=root, path=root / FILE)


def _known(data: bytes, memory: Memory | None) -> Mapping[str, object] | None:
    """Return the document that this version of the program once read from these bytes without mistakes."""
    if memory is None or len(data) <= _LARGE:
        return None
    match memory.get(FILE):
        case {"of": of, "document": dict(document)} if of == _name_of(data):
            return document
    return None


def _name_of(data: bytes) -> str:
    return f"{VERSION} sha256:{digest_bytes(data).sha256}"


def _read(path: Path) -> bytes:
    if not os.path.lexists(path) and path.parent.is_dir():
        return b""
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise ConfigError(f"`{path}` is not a file")
    try:
        return read_limited(path, LIMIT)
    except UnreadableError as error:
        raise ConfigError(error.message) from error


def _parse_toml(data: bytes) -> Mapping[str, object]:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{FILE}: not UTF-8: byte {data[error.start]:#04x} in line {line}") from error
    if text.startswith("\ufeff"):
        raise ConfigError(f"{FILE}: begins with a byte order mark, which TOML does not have", hint="save it without")
    deep = _DEEP_KEY.search(text)
    if deep:
        line = text.count("\n", 0, deep.start()) + 1
        raise ConfigError(f"{FILE}: not TOML that is read here: a key of more than 32 parts in line {line}")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(f"{FILE}: not TOML that is read here: nested too deeply") from error
    except ValueError as error:  # TOMLDecodeError is one; an integer of thousands of digits is a plain one
        raise ConfigError(f"{FILE}: not TOML: {error}") from error


def _misplaced_key(document: Mapping[str, object], workspace: Path) -> Iterator[str]:
    """Yield what no pattern can check of `signing.key`: where the file really is."""
    signing = document.get("signing")
    value = signing.get("key") if isinstance(signing, dict) else None
    if not isinstance(value, str) or failed(KEY_FILE, value):
        return  # absent, or already reported
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        yield "signing.key: the home folder that `~` stands for is not known here"
        return
    if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(workspace)):  # unlike resolve(), takes link loops
        yield "signing.key: expected a path outside the workspace, so that the key is never committed"


def _build(
    make: Callable[..., _T], declared: Mapping[str, Key], document: Mapping[str, object], root: Path, **given: object
) -> _T:
    """Make the value of a table without mistakes; missing keys have the defaults of their declarations."""
    values = {
        key.attribute: _value(key.kind, document[name], root) for name, key in declared.items() if name in document
    }
    return make(**given, **values)


def _value(kind: Kind, value: object, root: Path) -> object:
    """Return what the model has for a value without mistakes, as tomllib or the memory returns it."""
    result: object
    match kind, value:
        case Text(convert=convert), str():
            result = convert(value, root) if convert else value
        case Texts(item=Text(convert=convert)), list():
            result = tuple(convert(text, root) for text in value) if convert else tuple(value)
        case Choice(options=options), str():
            result = options(value)
        case Flag(), bool():
            result = value
        case Table(of=of, make=make), dict():
            result = _build(make or of, keys(of), value, root)
        case NamedTables(of=of), dict():
            result = tuple(_build(of, keys(of), inner, root, name=name) for name, inner in value.items())
        case TextMap(), dict():
            result = MappingProxyType(value)
        case _:
            raise TypeError(f"{value!r} is not of the kind {kind}")
    return result
