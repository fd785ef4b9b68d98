"""Packages in `node_modules` (npm, package.json and folders)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...json import JSONValue, read_json
from .. import licence
from ..inventory import Component, Kind, Role
from ..package import Package, Unread, line, maintainer
from ..party import Party

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..package import Distribution, PackageIterator

_NAME = r"(?:@[^/]+/)?[^/@.][^/]*"
_INSTALLED = re.compile(rf"(?:.*/)?node_modules/{_NAME}/package\.json")
WANTED = re.compile(rf"{_INSTALLED.pattern}|(?!(?:.*/)?node_modules/)(?:.*/)?package\.json")
"""Those of packages in `node_modules` and of applications, but not further ones inside packages."""
_PARENT = re.compile(rf"(?P<above>(?:.*/)?)node_modules/{_NAME}\Z")
_PREFIX = "npm:"
_PACKAGE = re.compile(r"(?:@[^/]+/)?[^/]+")
_LEVELS = 32
_REPOSITORY = re.compile(r"(?:git\+)?(https?://\S+)")
_GITHUB = re.compile(r"(?:github:)?([\w.-]+/[\w.-]+)")


def read(files: Mapping[str, bytes], distribution: Distribution | None) -> PackageIterator:  # noqa: ARG001 - `Reader.read`
    """Yield the installed packages; a `package.json` without name or version does not describe one."""
    for path, data in sorted(files.items()):
        try:
            fields = read_json(data.removeprefix(b"\xef\xbb\xbf"))
        except ValueError as error:
            yield Unread(path=path, reason=f"not JSON: {error}")
            continue
        if isinstance(fields, dict):
            name, version = _text(fields.get("name")), _text(fields.get("version"))
            if name and version and _PACKAGE.fullmatch(name):
                yield _package(path, fields, name, version)


def _package(path: str, fields: Mapping[str, JSONValue], name: str, version: str) -> Package:
    folder = path.removesuffix("package.json").rstrip("/")
    return Package(
        component=_component(fields, name, version),
        system=False,
        database=path,
        files={path: None},
        folder=folder if _INSTALLED.fullmatch(path) else None,  # an application's folder may contain anything
        provides=frozenset({_PREFIX + folder}),
        requires=tuple(_candidates(folder, name) for name in _requirements(fields)),
    )


def _component(fields: Mapping[str, JSONValue], name: str, version: str) -> Component:
    from packageurl import PackageURL

    scope, _, bare = name.rpartition("/")
    purl = PackageURL("npm", scope or None, bare, version).to_string()
    declared = _licence(fields)
    author = _party(fields.get("author"))
    return Component(
        ref=purl,
        kind=Kind.LIBRARY,
        role=Role.CONTAINED,
        name=name,
        version=version,
        purl=purl,
        licence=licence.normalise(declared) if declared else None,
        supplier=author,  # the registry is not recorded; NTIA allows the maker as supplier
        authors=(author,) if author else (),
        description=line(_text(fields.get("description"))),
        homepage=_text(fields.get("homepage")),
        repository=_repository(fields.get("repository")),
    )


def _requirements(fields: Mapping[str, JSONValue]) -> list[str]:
    names = set[str]()
    for key in ("dependencies", "optionalDependencies", "peerDependencies"):
        if isinstance(table := fields.get(key), dict):
            names.update(table)
    return sorted(names)


def _candidates(folder: str, name: str) -> tuple[str, ...]:
    """Return where Node.js looks for a package, nearest first (modules, loading from `node_modules` folders)."""
    candidates = [f"{_PREFIX}{folder}/node_modules/{name}".replace(":/", ":")]
    while len(candidates) < _LEVELS and (parent := _PARENT.match(folder)):
        candidates.append(f"{_PREFIX}{parent['above']}node_modules/{name}")
        folder = parent["above"].removesuffix("/")
    return tuple(candidates)


def _licence(fields: Mapping[str, JSONValue]) -> str | None:
    return " OR ".join(_licences(fields.get("license") or fields.get("licenses"))) or None


def _licences(value: JSONValue) -> Iterator[str]:
    match value:
        case str() if value.strip():
            yield value
        case {"type": str(name)} if name.strip():
            yield name
        case list():
            for item in value:
                yield from _licences(item)


def _party(value: JSONValue) -> Party | None:
    """Parse a person, either `NAME <ADDRESS> (URL)` or an object (package.json, people fields)."""
    if isinstance(value, dict):
        name, email = _text(value.get("name")), _text(value.get("email"))
        return Party(name=line(name) or name, email=email) if name else None
    text = line(_text(value))
    return maintainer(text.partition(" (")[0]) if text else None


def _repository(value: JSONValue) -> str | None:
    text = _text(value.get("url") if isinstance(value, dict) else value) or ""
    if match := _REPOSITORY.fullmatch(text):
        return match[1]
    match = _GITHUB.fullmatch(text)
    return f"https://github.com/{match[1]}" if match else None


def _text(value: JSONValue) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
