"""Read `provenance.toml`: strictly, and all mistakes at once."""

from __future__ import annotations

import os
import re
import tomllib
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, cast

from .. import VERSION
from ..digest import digest_bytes, read_limited
from ..errors import ConfigError, UnreadableError
from ..sbom.party import Party
from .check import failed, mistakes
from .clauses import KEY_FILE
from .keys import FILE, CargoTool, SigningMode
from .model import Cargo, Command, Config, FeatureSet, Plan, Project, Signing
from .model_image import Docker, Oci
from .model_nix import Nix
from .settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..json import JSONValue

LIMIT = 8 << 20
"""Bytes: room for fifty thousand commands."""
_LARGE = 16 << 10
"""Bytes; smaller files are parsed as quickly as they are remembered."""
_LISTED = 100
_HINT = "every key: https://github.com/doit-provenance/doit-provenance/blob/main/docs/configuration.md"

_DEEP_KEY = re.compile(
    # 33 dotted parts, each bare or quoted. tomllib takes time and memory with the square of their number.
    r"""(?<![^\s\[{,])(?:(?:[\w-]++|"(?:\\.|[^"\\\n])*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){32}"""
)


class Memory(Protocol):
    """Keeps what was found out for later; what it gives back it was given, or it gives `None`."""

    def get(self, key: str) -> JSONValue:
        """Return what is kept under a key."""

    def put(self, key: str, value: JSONValue) -> None:
        """Keep a value."""


def load(workspace: Path, memory: Memory | None = None) -> Config:
    """Read the `provenance.toml` of `workspace`; where there is none, every setting has its default.

    With a `memory`, a large file that was found right once is not parsed again while its bytes are the same.

    Raises:
        ConfigError: it can't be read, is no TOML, or has mistakes; the message has one line for each.
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
    settings = Settings(document)
    root = workspace.absolute()
    wrong = mistakes(document) if known is None else iter(())
    lines = list(islice(chain(wrong, _misplaced_key(settings, root)), _LISTED + 1))
    if lines:
        more = [f"more mistakes follow; these are the first {_LISTED}"] if len(lines) > _LISTED else []
        raise ConfigError("\n".join(f"{FILE}: {line}" for line in lines[:_LISTED] + more), hint=_HINT)
    if known is None and memory is not None and len(data) > _LARGE:
        # Without mistakes it holds texts, flags, lists and tables: all of them JSON.
        memory.put(FILE, {"of": _name_of(data), "document": cast("JSONValue", document)})
    return Config(
        workspace=root,
        path=root / FILE,
        project=_project(settings),
        cargo=_cargo(settings),
        commands=tuple(_command(name, table) for name, table in settings.tables("command")),
        dockers=tuple(_docker(name, table) for name, table in settings.tables("docker")),
        ocis=tuple(_oci(name, table) for name, table in settings.tables("oci")),
        nix=_nix(settings),
        plan=Plan(runners=MappingProxyType(settings.text_map("plan.runners"))),
        signing=_signing(settings, root),
    )


def _known(data: bytes, memory: Memory | None) -> Mapping[str, object] | None:
    """Return the document that these bytes were once found to be, without mistakes, by this version of the program."""
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


def _misplaced_key(settings: Settings, workspace: Path) -> Iterator[str]:
    """Yield what no pattern can say of `signing.key`: where the file really is."""
    value = settings.raw("signing.key")
    if not isinstance(value, str) or failed(KEY_FILE, value):
        return  # absent, or already told
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        yield "signing.key: the home folder that `~` stands for is not known here"
        return
    if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(workspace)):  # unlike resolve(), takes link loops
        yield "signing.key: expected a path outside the workspace, so that the key is never committed"


def _project(settings: Settings) -> Project:
    return Project(
        name=settings.text_or_none("project.name"),
        source=settings.text_or_none("project.source"),
        output=PurePosixPath(settings.text("project.output")),
        supplier=_supplier(settings) if settings.has("project.supplier") else None,
    )


def _supplier(settings: Settings) -> Party:
    return Party(
        name=settings.text("project.supplier.name"),
        email=settings.text_or_none("project.supplier.email"),
        url=settings.text_or_none("project.supplier.url"),
        person=settings.flag("project.supplier.person"),
    )


def _cargo(settings: Settings) -> Cargo:
    return Cargo(
        manifests=settings.texts("cargo.manifests"),
        include=settings.texts("cargo.include"),
        exclude=settings.texts("cargo.exclude"),
        targets=settings.texts("cargo.targets"),
        profile=settings.text("cargo.profile"),
        tool=CargoTool(settings.text("cargo.tool")),
        features=settings.texts("cargo.features"),
        all_features=settings.flag("cargo.all-features"),
        no_default_features=settings.flag("cargo.no-default-features"),
        rename=MappingProxyType(settings.text_map("cargo.rename")),
        feature_sets=tuple(_feature_set(settings, name) for name in settings.names("cargo.feature-sets")),
    )


def _feature_set(settings: Settings, name: str) -> FeatureSet:
    at = f"cargo.feature-sets.{name}"
    return FeatureSet(
        name=name,
        features=settings.texts(f"{at}.features"),
        all_features=settings.flag(f"{at}.all-features"),
        no_default_features=settings.flag(f"{at}.no-default-features"),
        include=settings.texts(f"{at}.include"),
    )


def _command(name: str, table: Settings) -> Command:
    return Command(
        name=name,
        run=table.texts("run"),
        inputs=table.texts("inputs"),
        outputs=table.texts("outputs"),
        exclude=table.texts("exclude"),
        artifacts=table.texts("artifacts"),
        environment=table.texts("environment"),
        platform=table.text_or_none("platform"),
    )


def _docker(name: str, table: Settings) -> Docker:
    return Docker(
        name=name,
        context=table.text("context"),
        dockerfile=table.text_or_none("dockerfile"),
        platforms=table.texts("platforms"),
        args=MappingProxyType(table.text_map("args")),
        target=table.text_or_none("target"),
        secrets=table.texts("secrets"),
        contexts=MappingProxyType(table.text_map("contexts")),
        artifacts=table.texts("artifacts"),
        annotations=MappingProxyType(table.text_map("annotations")),
        pull=table.flag("pull"),
    )


def _oci(name: str, table: Settings) -> Oci:
    return Oci(
        name=name,
        source=table.text_or_none("source"),
        artifact=table.text_or_none("artifact"),
        platforms=table.texts("platforms"),
        annotations=MappingProxyType(table.text_map("annotations")),
        pull=table.flag("pull"),
    )


def _nix(settings: Settings) -> Nix:
    return Nix(
        flake=settings.text("nix.flake"),
        packages=settings.texts("nix.packages"),
        exclude=settings.texts("nix.exclude"),
        systems=settings.texts("nix.systems"),
        file=settings.text_or_none("nix.file"),
        attributes=settings.texts("nix.attributes"),
        files=settings.texts("nix.files"),
        images=settings.texts("nix.images"),
        rebuild=settings.flag("nix.rebuild"),
        build_inventory=settings.flag("nix.build-inventory"),
        experimental_features=settings.flag("nix.experimental-features"),
    )


def _signing(settings: Settings, workspace: Path) -> Signing:
    key = settings.text_or_none("signing.key")
    return Signing(
        mode=SigningMode(settings.text("signing.mode")),
        key=Path(key).expanduser() if key else None,
        public_keys=tuple(workspace / path for path in settings.texts("signing.public-keys")),
    )
