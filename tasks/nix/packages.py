"""The packages that ship, as Nix's answer (`expression`) has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ...provenance.errors import ToolError, quoted
from ...provenance.sbom.nix.store import StoreName
from .facts import Meta

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ...provenance.json import JSONValue

_OUTPUT = re.compile(r"[A-Za-z0-9+._?=-]*")
"""Nix manual, "Store Path": an output's name is part of one; of what is no derivation it is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package of one system.

    Attributes:
        name: in `packages.SYSTEM`, or the path of its attribute.
        derivation: path of its `.drv` file; `None`: it is no derivation.
        output: the name of the output that ships, as `out`.
        within: the derivations that it is made of, itself included; known of images alone.
    """

    name: str
    system: str
    derivation: str | None
    output: str
    within: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """All packages that ship.

    Attributes:
        names: system to the names of every package that the flake has for it.
        meta: what the evaluation says of packages, by the store paths of their outputs.
    """

    packages: tuple[Package, ...]
    names: Mapping[str, Sequence[str]]
    meta: Mapping[str, Meta]


def matches(globs: Iterable[str], name: str) -> bool:
    """Tell whether one of the globs stands for a package's name."""
    return any(fnmatchcase(name, glob) for glob in globs)


def images_of(found: Mapping[str, JSONValue], globs: Sequence[str]) -> list[str]:
    """Return the derivations of the packages in one answer that are images, each once."""
    images = (one.derivation for one in _packages(found) if matches(globs, one.name))
    return list(dict.fromkeys(derivation for derivation in images if derivation))


def read_answers(answers: Iterable[JSONValue]) -> Evaluation:
    """Return what Nix has answered of a flake and of a file.

    Raises:
        ToolError: it is something else.
    """
    packages: list[Package] = []
    names: dict[str, list[str]] = {}
    meta: dict[str, Meta] = {}
    for found in answers:
        if not isinstance(found, dict):
            raise ToolError("nix answers something else than it was asked for: no set of packages")
        packages += _packages(found)
        for system, listed in _table(found, "names").items():
            names.setdefault(system, []).extend(_texts(listed))
        for said in _list(found.get("meta")):
            if isinstance(said, dict):
                meta |= dict.fromkeys(_texts(said.get("paths")), _meta(said))
    return Evaluation(packages=tuple(packages), names=names, meta=meta)


def _packages(found: Mapping[str, JSONValue]) -> Iterator[Package]:
    within = _table(found, "within")
    store = found.get("store")
    for system, listed in _table(found, "packages").items():
        for name, one in (listed if isinstance(listed, dict) else {}).items():
            match one:
                case {"derivation": str() | None as derivation, "output": str(output)}:
                    _refuse_forged(name, derivation, output, store)
                    yield Package(
                        name=name,
                        system=system,
                        derivation=derivation,
                        output=output,
                        within=frozenset(_texts(within.get(derivation or ""))),
                    )
                case _:
                    raise ToolError("nix answers something else than it was asked for: a package has no `derivation`")


def _refuse_forged(name: str, derivation: str | None, output: str, store: JSONValue) -> None:
    """Refuse what a flake may say of a set that it calls a derivation: both become words of Nix's command line.

    There `--post-build-hook`, for one, would be an option, and a program of the flake's choice would run.
    """
    folder, _, base = (derivation or "").rpartition("/")
    is_derivation = folder == store and base.endswith(".drv") and StoreName.parse(base) is not None
    if derivation is not None and not is_derivation:
        raise ToolError(
            f"the package {quoted(name)} says that its derivation is {quoted(derivation)}, which no store has",
            hint="leave it out in `[nix]`; a package has to be what `derivation` returns",
        )
    if not _OUTPUT.fullmatch(output):
        raise ToolError(f"the package {quoted(name)} has an output {quoted(output)}, which can't be the name of one")


def _meta(said: Mapping[str, JSONValue]) -> Meta:
    texts = {key: value for key, value in said.items() if isinstance(value, str)}
    return Meta(
        name=texts.get("name", ""),
        version=texts.get("version", ""),
        licences=tuple(_texts(said.get("licences"))),
        homepage=texts.get("homepage", ""),
        description=texts.get("description", ""),
    )


def _table(found: Mapping[str, JSONValue], key: str) -> Mapping[str, JSONValue]:
    value = found.get(key)
    return value if isinstance(value, dict) else {}


def _list(value: JSONValue) -> list[JSONValue]:
    return value if isinstance(value, list) else []


def _texts(value: JSONValue) -> list[str]:
    return [one for one in _list(value) if isinstance(one, str)]
